"""S13, the Azure half: nobody has one subscription contained by knowing the address of another one's webhook."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.arm import Arm, ArmState, StorageAccount
from tests.lab.installation import DOOR_SECRET, Installation
from tests.lab.intake_harness import IntakeHarness
from tests.lab.trials import Proof
from twokey import app as wiring
from twokey.catalog.runbooks import read_runbook
from twokey.core.errors import Invalid, Refused
from twokey.core.incidents import Incident
from twokey.core.signals import RawNotification, Resource, Signal, raw_id
from twokey.demo.notifications import SUBSCRIPTION
from twokey.flow.planning.planner import Planner
from twokey.providers.azure import provider
from twokey.providers.azure.normalise import AzureNormaliser
from twokey.providers.azure.source_authorization import scopes_of
from twokey.settings import data_folder, load

A = "aaaaaaaa-0000-4000-8000-00000000000a"
B = "bbbbbbbb-0000-4000-8000-00000000000b"
C = "cccccccc-0000-4000-8000-00000000000c"
INVENTED = "11111111-1111-1111-1111-111111111111"  # by the test button of an action group
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "azure"
SCOPES = (
    f"webhook:of-a={A}",
    f"webhook:of-both={A.upper()}+{B}",
    "webhook:of-all=*",
    f"eventgrid:grid={B}",
    f"queue:account/events={B}",
    f"poll:{B}={B}",
)
AT = "2026-11-16T08:27:36.1836909+00:00"


def storage(subscription: str, group: str = "rg") -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/publicassets"


def an_alert(subscription: str, resource: str = "", **changes: Any) -> bytes:
    """Return a security alert about a storage account, which a runbook would close."""
    entry = {
        "correlationId": "c0ffee00-0000-0000-0000-00000000000c",
        "eventDataId": "e0000000-0000-0000-0000-00000000000e",
        "eventSource": "Security",
        "eventTimestamp": AT,
        "submissionTimestamp": AT,
        "level": "Critical",
        "operationName": "Microsoft.Security/locations/alerts/activate/action",
        "properties": {"severity": "High", "alertDisplayName": "Anonymous access", "threatStatus": "Active"},
        "resourceId": resource or storage(subscription),
        "status": "Active",
        "subscriptionId": subscription,
        **changes,
    }
    context = {"status": "Activated", "context": {"activityLog": entry}}
    return json.dumps({"schemaId": "Microsoft.Insights/activityLogs", "data": context}).encode()


def sorted_out(source: str, *bodies: bytes, scopes: tuple[str, ...] = SCOPES) -> IntakeHarness:
    """Let alerts come by a source, and sort them as the program would with these settings."""
    world = IntakeHarness(
        authorize_source=wiring.source_authorization(load({"TWOKEY_AZURE_SOURCE_SCOPES": ",".join(scopes)}))
    )
    world.arrives(source, *bodies)
    world.works()
    return world


def why(incident: Incident) -> str:
    return incident.disputed.code if incident.disputed else ""


def notice(source: str, body: bytes = b"{}") -> RawNotification:
    return RawNotification(raw_id(source, body), source, body, datetime(2026, 11, 16, tzinfo=UTC))


def read(body: bytes) -> Signal:
    (signal,) = AzureNormaliser().normalise(notice("azure.webhook:of-a", body))
    return signal


def disputed(signal: Signal, source: str, scopes: tuple[str, ...]) -> str:
    found = scopes_of(scopes).dispute(signal, notice(source))
    return found.code if found else ""


@pytest.mark.parametrize(
    ("source", "subscription", "code"),
    [
        ("azure.webhook:of-a", A, ""),
        ("azure.webhook:of-a", A.upper(), ""),
        ("azure.webhook:of-a", B, "azure.scope.beyond"),
        ("azure.webhook:of-a", B.upper(), "azure.scope.beyond"),
        ("azure.webhook:of-both", A, ""),
        ("azure.webhook:of-both", B, ""),
        ("azure.webhook:of-both", C, "azure.scope.beyond"),
        ("azure.webhook:of-all", C, ""),
        ("azure.eventgrid:grid", B, ""),
        ("azure.eventgrid:grid", A, "azure.scope.beyond"),
        ("azure.queue:account/events", B, ""),
        ("azure.queue:account/others", B, "azure.scope.beyond"),
        (f"azure.poll:{B}", B, ""),
        (f"azure.activitylog:{B}", B, "azure.scope.beyond"),  # what is not listed speaks for nobody
        ("azure.webhook:unlisted", A, "azure.scope.beyond"),
        ("azure.webhook:file:of-a", B, "azure.scope.beyond"),
        ("azure.file:replay", B, ""),  # the operator at the shell vouches for it
    ],
)
def test_s13_a_source_of_azure_speaks_for_its_subscriptions_alone(
    source: str, subscription: str, code: str
) -> None:
    (incident,) = sorted_out(source, an_alert(subscription)).incidents()
    assert (why(incident), incident.account) == (code, subscription.lower())


def test_s13_without_a_list_every_source_of_azure_may_speak_for_every_subscription() -> None:
    (incident,) = sorted_out("azure.webhook:of-a", an_alert(B), scopes=()).incidents()
    assert incident.disputed is None


@pytest.fixture
def arm() -> Iterator[Arm]:
    with Arm(ArmState(subscriptions={A: "Enabled", B: "Enabled"})) as fake:
        fake.state.accounts += [StorageAccount(name, "rg", "publicassets") for name in (A, B)]
        yield fake


def test_s13_an_alert_about_another_subscription_is_kept_and_shown_and_gets_no_plan(
    arm: Arm, proof: Proof
) -> None:
    """The same alert gets a plan where its source may speak: it is the list that makes the difference."""
    trials = proof("S13", "an alert about another subscription is kept, and contains nothing", ci=0)
    session = arm.session(A, B)
    azure = provider(session)
    file = data_folder("runbooks") / "azure.block-public-storage.yaml"
    book = read_runbook(file.read_bytes(), file.name, file.parent, {"azure": azure}).runbook
    assert book is not None
    planner = Planner({"azure": azure}, {})

    world = sorted_out("azure.webhook:of-a", an_alert(B))
    (incident,) = world.incidents()
    assert [raw.state.value for raw in world.raws()] == ["sorted"]
    with world.store.read() as look:
        opened = next(entry for entry in look.audit() if entry.action == "opened")
    assert opened.data["disputed"] == "azure.scope.beyond"
    with pytest.raises(Refused) as refused:
        planner.plan(book, incident, {})
    assert refused.value.message.code == "refused.disputed"
    assert refused.value.message.nested["why"].code == "azure.scope.beyond"
    assert refused.value.message.nested["why"].params == {"source": "webhook:of-a", "subscription": B}
    assert arm.calls == []
    trials.count(1)

    (honest,) = sorted_out("azure.webhook:of-both", an_alert(B)).incidents()
    plan = planner.plan(book, honest, {})
    assert plan.target.account == B
    assert [touch.id for touch in plan.touches] == [storage(B)]
    assert arm.writes == []
    session.close()


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (storage(B), "azure.scope.subscription"),
        (storage(B).upper(), "azure.scope.subscription"),
        (f"{storage(B)}/blobServices/default/containers/images", "azure.scope.subscription"),
        (f"/subscriptions/{B}", "azure.scope.subscription"),
        (
            storage(B).replace("/s", "/\u017f", 1),
            "azure.scope.subscription",
        ),  # a long s, read as an s elsewhere
        (storage(A), ""),
        (storage(A).upper(), ""),
        (f"/subscriptions/{A}", ""),
        (f"/subscriptions/{INVENTED}/resourceGroups/test-RG", ""),  # nothing that exists lies there
        ("/subscriptions/<subscription id>/resourceGroups/rg", ""),  # as templates and samples have it
        ("/providers/Microsoft.Management/managementGroups/everything", ""),
        (f"/tenants/subscriptions/{B}", ""),  # no runbook takes it for a resource's id
        ("vm-of-somebody", ""),
    ],
)
def test_s13_a_resource_of_another_subscription_makes_an_alert_disputed(resource: str, code: str) -> None:
    """Whoever says it, with any list and with none."""
    signal = replace(read(an_alert(A)), resources=(Resource(storage(A)), Resource(resource)))
    for source in ("azure.webhook:of-all", "azure.file:replay"):
        for scopes in (SCOPES, ()):
            assert disputed(signal, source, scopes) == code
    assert bool(disputed(signal, "azure.webhook:of-a", SCOPES)) is bool(code)


def test_s13_an_alert_that_says_a_and_names_b_is_set_apart_as_it_arrives() -> None:
    (incident,) = sorted_out("azure.webhook:e2e", an_alert(A, storage(B)), scopes=()).incidents()
    assert why(incident) == "azure.scope.subscription"
    assert incident.account == A


def test_s13_a_subscription_is_the_same_in_any_letters() -> None:
    shouted = replace(read(an_alert(A)), account=A.upper(), resources=(Resource(storage(A)),))
    assert disputed(shouted, "azure.webhook:of-a", SCOPES) == ""
    assert disputed(shouted, "azure.webhook:of-both", SCOPES) == ""
    assert disputed(shouted, "azure.eventgrid:grid", SCOPES) == "azure.scope.beyond"


def test_s13_what_says_of_no_subscription_what_it_is_about_is_judged_by_its_resources() -> None:
    signal = replace(read(an_alert(A)), account="", resources=(Resource(storage(B)),))
    assert disputed(signal, "azure.webhook:of-a", SCOPES) == "azure.scope.beyond"
    assert disputed(signal, "azure.webhook:of-both", SCOPES) == ""
    assert disputed(replace(signal, resources=()), "azure.webhook:unlisted", SCOPES) == ""  # about nobody


def tenant_event(*subscriptions: str, **more: Any) -> bytes:
    """Return an event of the whole tenant as the API lists it, with the resources that the source looked up."""
    regions = [{"impactedRegion": "westeurope", "impactedSubscriptions": list(subscriptions)}]
    event = {
        "id": "/providers/Microsoft.ResourceHealth/events/1ABC-2D0",
        "name": "1ABC-2D0",
        "type": "/providers/Microsoft.ResourceHealth/events",
        "properties": {
            "eventType": "ServiceIssue",
            "status": "Active",
            "trackingId": "1ABC-2D0",
            "lastUpdateTime": "2026-11-16T08:27:36Z",
            "impact": [{"impactedService": "Storage", "impactedRegions": regions}],
        },
        "impactedResources": [{"targetResourceId": storage(name)} for name in subscriptions],
    }
    return json.dumps({**event, **more}).encode()


def test_s13_azures_own_event_may_list_several_subscriptions_and_their_resources() -> None:
    signal = read(tenant_event(B, C))
    assert (signal.account, len(signal.resources)) == ("", 2)
    assert disputed(signal, "azure.poll:tenant", ()) == ""
    assert disputed(signal, "azure.poll:tenant", ("poll:tenant=*",)) == ""
    assert disputed(signal, "azure.poll:tenant", (f"poll:tenant={B}+{C}",)) == ""
    own = read(
        tenant_event(A, C, id=f"/subscriptions/{A}/providers/Microsoft.ResourceHealth/events/1ABC-2D0")
    )
    assert own.account == A
    assert disputed(own, f"azure.poll:{A}", ()) == ""
    listless = replace(own, facts={})
    assert disputed(listless, f"azure.poll:{A}", ()) == "azure.scope.subscription"


def test_s13_nobody_tells_of_an_outage_in_a_subscription_he_may_not_speak_for() -> None:
    """It would explain that subscription's troubles away."""
    for body in (
        tenant_event(A, B),
        tenant_event(B),
        tenant_event(B, impactedResources=[]),
        tenant_event(A, B, impactedResources=[]),
        tenant_event(A, B, id=f"/subscriptions/{A}/providers/Microsoft.ResourceHealth/events/1ABC-2D0"),
        tenant_event(B, id=f"/subscriptions/{B}/providers/Microsoft.ResourceHealth/events/1ABC-2D0"),
    ):
        (incident,) = sorted_out("azure.webhook:of-a", body).incidents()
        assert why(incident) == "azure.scope.beyond"


def test_s13_a_forged_update_joins_no_honest_incident_of_azure_and_ends_none() -> None:
    def health(step: str, state: str, at: str) -> bytes:
        properties = {"currentHealthStatus": state, "cause": "Unknown", "title": step}
        return an_alert(
            B,
            eventSource="ResourceHealth",
            operationName=f"Microsoft.Resourcehealth/healthevent/{step}/action",
            properties=properties,
            eventDataId=f"e-{step}",
            eventTimestamp=at,
            submissionTimestamp=at,
        )

    world = sorted_out("azure.webhook:of-both", health("Activated", "Unavailable", AT))
    (before,) = world.incidents()
    over = health("Resolved", "Available", "2026-11-16T09:27:36+00:00")
    again = health("Updated", "Unavailable", "2026-11-16T09:28:36+00:00")
    world.arrives("azure.webhook:of-a", over, again)
    world.works()
    after = world.incidents()
    assert after[0] == before
    assert [why(incident) for incident in after] == ["", "azure.scope.beyond"]
    assert (after[1].group, after[1].subject) != (before.group, before.subject)
    world.arrives("azure.webhook:of-both", over)
    world.works()
    assert world.incidents()[0].provider_resolved  # said by whom it concerns, it is taken in


def test_s13_a_forged_copy_does_not_keep_the_honest_alert_out() -> None:
    """Who is first with an alert's id would else have its real delivery taken for a repeat."""
    body = an_alert(B)
    world = sorted_out("azure.webhook:of-a", body)
    world.arrives("azure.webhook:of-both", body)
    world.works()
    assert [why(incident) for incident in world.incidents()] == ["azure.scope.beyond", ""]


def test_s13_any_pair_of_source_and_subscription_is_judged_by_the_list(proof: Proof) -> None:
    trials = proof(
        "S13",
        "a source of Azure speaks for exactly the subscriptions it is listed for",
        ci=300,
        release=20_000,
    )
    base = read(an_alert(A))
    ids = [f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(0xA1, 0xA6)]
    kinds = ("webhook", "eventgrid", "queue", "poll", "activitylog")
    for random in trials:
        names = [f"{random.choice(kinds)}:s{n}" for n in range(4)]
        allowed = {name: set(random.choices([*ids, "*"], k=random.randint(1, 3))) for name in names[:3]}
        entries = [f"{name}={_spelled(random, '+'.join(sorted(some)))}" for name, some in allowed.items()]
        source, account, resource = random.choice(names), random.choice(ids), random.choice(ids)
        if random.random() < 0.7:
            resource = account
        signal = replace(base, account=account, resources=(Resource(_spelled(random, storage(resource))),))
        may = allowed.get(source, set())
        found = scopes_of(entries).dispute(signal, notice(f"azure.{source}"))
        expected = "azure.scope.subscription" if resource != account else ""
        if "*" not in may and not {account, resource} <= may:
            expected = "azure.scope.beyond"
        assert (found.code if found else "") == expected, (entries, source, account, resource)
        trials.outcome(expected.rpartition(".")[2] or "spoke")


def _spelled(random: Random, text: str) -> str:
    return random.choice((text, text.upper(), text.lower()))


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "=",
        f"prod={A}",
        "webhook:prod",
        "webhook:prod=",
        "webhook:prod=prod",
        f"webhook:={A}",
        f"webhook:prod={A}+",
        f"webhook:prod={A}/westeurope",
        f"webhook:prod={A}x",
        f"webhook:prod={A[:-1]}",
        f"webhook:prod={{{A}}}",
        f"sqs:queue={A}",
        f"file:replay={A}",  # it is not limited, and an entry that says so would lie
        f"azure.webhook:prod={A}",
        f"web hook:prod={A}",
        "webhook:prod=**",
        "webhook:prod=* ",
    ],
)
def test_s13_a_list_of_subscriptions_that_is_not_understood_stops_the_start(entry: str) -> None:
    with pytest.raises(Invalid) as refused:
        scopes_of([f"webhook:other={A}", entry])
    assert refused.value.message.code == "azure.scope.entry"
    assert refused.value.message.params["entry"] == entry


def test_s13_one_source_with_two_answers_stops_the_start() -> None:
    for again in ("webhook:prod=*", f"webhook:PROD={A}"):
        with pytest.raises(Invalid) as refused:
            scopes_of([f"webhook:prod={A}", again])
        assert refused.value.message.params["entry"] == again


def samples() -> Iterator[tuple[Path, Signal, RawNotification]]:
    for folder in [FIXTURES, *(sorted(CORPUS.glob("azure*")) if CORPUS.exists() else [])]:
        for path in sorted(found for found in folder.rglob("*") if found.is_file()):
            raw = notice("azure.webhook:prod", path.read_bytes())
            try:
                signals = AzureNormaliser().normalise(raw)
            except Invalid:
                continue
            yield from ((path, signal, raw) for signal in signals)


def test_s13_honest_notifications_of_azure_are_not_disputed() -> None:
    """Every published sample: as it is, and by a webhook that may speak for its own subscription alone."""
    seen, listed, wrong = 0, 0, []
    for path, signal, raw in samples():
        seen += 1
        lists: list[tuple[str, ...]] = [(), ("webhook:prod=*",)]
        with suppress(Invalid):  # a template's placeholder, or nobody's subscription
            scopes_of([f"webhook:prod={signal.account}"])
            lists.append((f"webhook:prod={signal.account}",))
            listed += 1
        wrong += [(path.name, scopes) for scopes in lists if scopes_of(scopes).dispute(signal, raw)]
    assert seen >= 18
    assert listed >= 15
    assert wrong == []


def test_s13_azures_own_test_passes_any_list() -> None:
    """`twokey azure setup --test` would else be told to be an attack; nothing that exists is in there."""
    machine = f"/subscriptions/{INVENTED}/resourcegroups/test-RG/providers/Microsoft.Compute/virtualMachines/test-VM"
    signal = read(an_alert(INVENTED, machine))
    assert signal.is_test
    assert disputed(signal, "azure.webhook:of-a", SCOPES) == ""
    lent = read(an_alert(B, machine))  # it does not lend its pass to what else is named
    assert disputed(lent, "azure.webhook:of-a", SCOPES) == "azure.scope.beyond"
    lent = read(an_alert(INVENTED, storage(B)))
    assert disputed(lent, "azure.webhook:of-a", SCOPES) == "azure.scope.beyond"
    assert disputed(lent, "azure.webhook:of-a", ()) == "azure.scope.subscription"


def test_s13_each_cloud_is_asked_about_its_own_alone() -> None:
    vouch = wiring.source_authorization(
        load(
            {
                "TWOKEY_AWS_SOURCE_SCOPES": "sqs:q=111111111111",
                "TWOKEY_AZURE_SOURCE_SCOPES": f"webhook:of-a={A}",
            }
        )
    )
    azure = read(an_alert(B))
    told = vouch(azure, notice("azure.webhook:of-a"))
    assert told is not None
    assert told.code == "azure.scope.beyond"
    aws = replace(azure, provider="aws", account="222222222222", resources=())
    told = vouch(aws, notice("aws.sqs:q"))
    assert told is not None
    assert told.code == "aws.scope.beyond"
    assert vouch(replace(azure, provider="third"), notice("third.way:in")) is None
    assert disputed(aws, "azure.webhook:of-a", SCOPES) == ""


def test_s13_a_running_bot_shows_the_alert_and_refuses_to_contain(
    worlds: Callable[..., Installation],
) -> None:
    """An alert about our subscription, by a webhook that may speak for another team's alone."""
    world = worlds("sqlite", TWOKEY_AZURE_SOURCE_SCOPES=f"webhook:e2e={A}")
    bot = world.bot()
    request = urllib.request.Request(f"{bot.url}/azure/{DOOR_SECRET}", an_alert(SUBSCRIPTION), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202
    world.until(lambda: world.card("INC-1"), 300)
    world.until(lambda: not world.queued(), 300)
    world.quiet()
    assert "for which it may not speak" in world.slack.show(world.card("INC-1"), 4000)
    assert "TWOKEY_AZURE_SOURCE_SCOPES" in world.thread_text()
    view = world.preview("azure.block-public-storage")
    assert view.callback_id == "told"
    assert "nothing is contained on its word" in world.slack.show(view)
    assert world.plan_cards() == []
    world.proven()
