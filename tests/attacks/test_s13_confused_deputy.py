"""S13: nobody has one account contained by writing to another one's queue, and no role is taken on another's word."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.installation import Installation
from tests.lab.intake_harness import IntakeHarness
from tests.lab.trials import Proof
from twokey.core.errors import Invalid, Refused
from twokey.core.incidents import Incident
from twokey.core.signals import RawNotification, Resource, Signal, raw_id
from twokey.demo.company import BUCKETS, EXTERNAL_ID, REGION, ROLE, SHOP, TOOLS
from twokey.demo.emulators import Ministack
from twokey.flow.planning.planner import Planner
from twokey.providers.aws.module import AwsModule
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.aws.session import AwsSession
from twokey.providers.aws.source_authorization import scopes_of
from twokey.providers.aws.wiring import options_of
from twokey.settings import load
from twokey.testing.clocks import SettableClock

A, B = "111111111111", "222222222222"
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "aws"
SCOPES = ("sqs:of-a=" + A, f"sqs:of-both={A}+{B}/eu-west-1", "sqs:of-all=*", f"events:bus={B}")


def a_finding(account: str = A, region: str = "us-east-1", **changes: Any) -> bytes:
    """Return a GuardDuty finding of a stolen key, which runbooks would contain."""
    event: dict[str, Any] = json.loads((FIXTURES / "guardduty-s3-deletion.json").read_text())
    event["account"], event["region"] = account, region
    event["detail"].update({"accountId": account, "region": region, **changes})
    return json.dumps(event).encode()


def sorted_out(source: str, *bodies: bytes, scopes: tuple[str, ...] = SCOPES) -> IntakeHarness:
    """Let findings come by a source, and sort them."""
    world = IntakeHarness(authorize_source=scopes_of(scopes).dispute)
    world.arrives(source, *bodies)
    world.works()
    return world


def why(incident: Incident) -> str:
    return incident.disputed.code if incident.disputed else ""


@pytest.mark.parametrize(
    ("source", "account", "region", "code"),
    [
        ("aws.sqs:of-a", A, "us-east-1", ""),
        ("aws.sqs:of-a", B, "us-east-1", "aws.scope.beyond"),
        ("aws.sqs:of-both", A, "ap-south-1", ""),
        ("aws.sqs:of-both", B, "eu-west-1", ""),
        ("aws.sqs:of-both", B, "us-east-1", "aws.scope.beyond"),
        ("aws.sqs:of-all", "999999999999", "us-east-1", ""),
        ("aws.events:bus", B, "us-east-1", ""),
        ("aws.events:bus", A, "us-east-1", "aws.scope.beyond"),
        ("aws.sqs:unlisted", A, "us-east-1", "aws.scope.beyond"),
        ("aws.sns:arn:aws:sns:us-east-1:111111111111:t", A, "us-east-1", "aws.scope.beyond"),
        ("aws.file:replay", B, "us-east-1", ""),  # the operator at the shell vouches for it
    ],
)
def test_s13_a_source_speaks_for_its_accounts_and_regions_alone(
    source: str, account: str, region: str, code: str
) -> None:
    (incident,) = sorted_out(source, a_finding(account, region)).incidents()
    assert (why(incident), incident.account) == (code, account)


def test_s13_what_is_disputed_is_kept_shown_and_audited(proof: Proof) -> None:
    trials = proof("S13", "a notification about another account is kept, and contains nothing", ci=0)
    world = sorted_out("aws.sqs:of-a", a_finding(B))
    (incident,) = world.incidents()
    assert [raw.state.value for raw in world.raws()] == ["sorted"]
    with world.store.read() as look:
        opened = next(entry for entry in look.audit() if entry.action == "opened")
    assert opened.data["disputed"] == "aws.scope.beyond"
    with pytest.raises(Refused) as refused:
        planned(incident)
    assert refused.value.message.code == "refused.disputed"
    assert refused.value.message.nested["why"].code == "aws.scope.beyond"
    trials.count(1)


def planned(incident: Incident) -> Any:
    """Ask for a plan in a cloud that fails the test as soon as it is asked for anything."""
    nothing: Any = type(
        "Untouched",
        (),
        {"actions": {}, "checks": {}, "parameter_types": {}, "scope_parameters": ("account_id",)},
    )
    runbook: Any = type("Book", (), {"provider": "aws", "id": "aws.any"})
    return Planner({"aws": nothing}, {}).plan(runbook, incident, {})


def test_s13_a_resource_of_another_account_or_region_makes_a_finding_disputed() -> None:
    for source in ("aws.sqs:of-all", "aws.file:replay"):  # whoever says it, and with any allowlist
        for scopes in (SCOPES, ()):
            for arn, code in (
                (f"arn:aws:s3control:us-east-1:{B}:bucket/x", "aws.scope.account"),
                (f"arn:aws:iam::{B}:user/ceo", "aws.scope.account"),
                (f"arn:aws:ec2:eu-west-1:{A}:instance/i-0abc", "aws.scope.region"),
                (f"AWS::::Account:{B}", "aws.scope.account"),
                (f"arn:aws:iam::{A}:user/own", ""),
                ("arn:aws:s3:::whose", ""),
                ("arn:aws:iam::aws:policy/AdministratorAccess", ""),
                ("i-0abc", ""),
            ):
                signal = replace(the_signal(), resources=(Resource("own"), Resource(arn)))
                found = scopes_of(scopes).dispute(
                    signal, RawNotification("r", source, b"", datetime.now(UTC))
                )
                assert (found.code if found else "") == code, arn


def the_signal() -> Signal:
    body = a_finding()
    raw = RawNotification(raw_id("aws.sqs:q", body), "aws.sqs:q", body, datetime.now(UTC))
    return AwsNormaliser().normalise(raw)[0]


def test_s13_a_forged_update_joins_no_honest_incident_and_ends_none() -> None:
    honest = a_finding(B)
    archived = json.loads(honest)
    archived["detail"]["service"]["archived"] = True
    archived["detail"]["updatedAt"] = "2027-01-01T00:00:00.000Z"
    world = sorted_out("aws.sqs:of-both", a_finding(B, "eu-west-1"), scopes=(*SCOPES,))
    (before,) = world.incidents()
    world.arrives("aws.sqs:of-a", json.dumps(archived).encode(), a_finding(B, "eu-west-1", severity=1))
    world.works()
    after = world.incidents()
    assert after[0] == before
    assert [why(incident) for incident in after] == ["", "aws.scope.beyond"]
    assert after[1].group != before.group
    assert after[1].subject != before.subject


def test_s13_a_forged_copy_does_not_keep_the_honest_one_out() -> None:
    """Who is first with a finding's id would else have its real delivery taken for a repeat."""
    body = a_finding(B, "eu-west-1")
    world = sorted_out("aws.sqs:of-a", body)
    world.arrives("aws.sqs:of-both", body)
    world.works()
    assert [why(incident) for incident in world.incidents()] == ["aws.scope.beyond", ""]


def test_s13_any_pair_of_source_and_account_is_judged_by_the_allowlist(proof: Proof) -> None:
    trials = proof(
        "S13", "a source speaks for exactly the accounts and Regions it is listed for", ci=300, release=20_000
    )
    base = the_signal()
    for random in trials:
        accounts, regions = [f"{n:012d}" for n in range(1, 6)], ["us-east-1", "eu-west-1", "ap-south-1"]
        listed = {
            f"sqs:q{n}": {_scope(random, accounts, regions) for _ in range(random.randint(1, 3))}
            for n in range(3)
        }
        entries = [f"{source}={'+'.join(sorted(scopes))}" for source, scopes in listed.items()]
        scopes = scopes_of(entries)
        source, account, region = (
            f"sqs:q{random.randint(0, 3)}",
            random.choice(accounts),
            random.choice(regions),
        )
        allowed = {account, "*", f"{account}/{region}", f"*/{region}"} & listed.get(source, set())
        signal = replace(base, account=account, region=region, resources=())
        raw = RawNotification("r", f"aws.{source}", b"", base.detected_at or datetime.now(UTC))
        found = scopes.dispute(signal, raw)
        assert (found is None) == bool(allowed), (entries, source, account, region)
        trials.outcome("spoke" if allowed else "disputed")


def _scope(random: Random, accounts: list[str], regions: list[str]) -> str:
    account = random.choice([*accounts, "*"])
    return f"{account}/{random.choice(regions)}" if random.random() < 0.5 else account


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "of-a=" + A,
        "sqs:q",
        "sqs:q=",
        "sqs:q=12",
        f"sqs:q={A}/nowhere",
        f"sqs:q={A}+",
        "lambda:q=*",
        "sqs:q=**",
        f"sqs:q={A},",
    ],
)
def test_s13_an_allowlist_that_is_not_understood_stops_the_start(entry: str) -> None:
    with pytest.raises(Invalid):
        scopes_of([entry])
    with pytest.raises(Invalid):
        scopes_of(["sqs:q=*", "sqs:q=" + A])  # one source, two answers


def test_s13_honest_notifications_are_not_disputed() -> None:
    """Every sample that agrees with itself: an allowlist of nothing but agreement sets hardly any apart."""
    vouch = AwsModule().source_authorization()
    disputed, seen = [], 0
    folders = [FIXTURES, *([CORPUS] if CORPUS.exists() else [])]
    for path in sorted(
        found for folder in folders for found in folder.rglob("*.json") if "azure" not in str(found)
    ):
        raw = RawNotification(
            raw_id("aws.sqs:q", path.read_bytes()), "aws.sqs:q", path.read_bytes(), datetime.now(UTC)
        )
        try:
            signals = AwsNormaliser().normalise(raw)
        except Invalid:
            continue
        seen += len(signals)
        disputed += [path.name for signal in signals if signal.family != "other" and vouch(signal, raw)]
    assert seen > 20
    assert disputed == []


def test_s13_a_running_bot_shows_it_and_refuses_to_contain(worlds: Callable[..., Installation]) -> None:
    """The demo's finding about the shop's account, by a queue that may speak for the tools' account alone."""
    world = worlds("sqlite", TWOKEY_AWS_SOURCE_SCOPES=f"sqs:twokey-findings={TOOLS}")
    world.bot()
    world.attack()
    text = world.slack.show(world.card("INC-1"), 4000)
    assert "for which it may not speak" in text
    assert "TWOKEY_AWS_SOURCE_SCOPES" in world.thread_text()
    view = world.preview("aws.protect-buckets")
    assert view.callback_id == "told"
    assert "nothing is contained on its word" in world.slack.show(view)
    assert world.plan_cards() == []
    assert world.writes() == []
    assert set(BUCKETS) <= set(world.company.buckets())
    world.proven()


def test_s13_the_role_is_taken_with_external_id_and_tags_and_not_without(aws: Ministack) -> None:
    """ministack looks at the external id, as AWS does; the trust policy is the one that deploy/aws gives."""
    from twokey.demo.company import Company

    Company(aws.url).build() if ROLE not in _roles(aws) else None
    environment = {
        "TWOKEY_AWS_ENDPOINT_URL": aws.url,
        "TWOKEY_REHEARSAL": "1",
        "TWOKEY_AWS_REGION": REGION,
        "TWOKEY_AWS_ROLE_NAME": ROLE,
        "TWOKEY_AWS_EXTERNAL_ID": EXTERNAL_ID,
        "TWOKEY_AWS_SESSION_TAGS": "tool=twokey,team=incident-response",
    }
    session, asked = spied(environment)
    assert session.call("sts", "get_caller_identity", SHOP)["Account"] == SHOP
    (given,) = asked
    assert given["RoleArn"] == f"arn:aws:iam::{SHOP}:role/{ROLE}"
    assert given["ExternalId"] == EXTERNAL_ID
    assert (given["Tags.member.1.Key"], given["Tags.member.1.Value"]) == ("tool", "twokey")
    assert (given["Tags.member.2.Key"], given["Tags.member.2.Value"]) == ("team", "incident-response")
    for wrong in ("", "another-tenants-id"):
        session, _ = spied({**environment, "TWOKEY_AWS_EXTERNAL_ID": wrong})
        with pytest.raises(Refused) as refused:
            session.call("sts", "get_caller_identity", SHOP)
        assert refused.value.message.params["action"] == "sts:AssumeRole"


def _roles(aws: Ministack) -> list[str]:
    from twokey.demo.company import Company

    return [role["RoleName"] for role in Company(aws.url).client("iam", SHOP).list_roles()["Roles"]]


def spied(environment: dict[str, str]) -> tuple[AwsSession, list[dict[str, Any]]]:
    """Return the session that these settings make, and what it asks STS for."""
    options = replace(
        options_of(load(environment).module(AwsModule).settings),
        access_key_id="test",
        secret_access_key="test",
    )
    session, asked = AwsSession(options, SettableClock()), []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params["body"])

    session.client("sts").meta.events.register("before-call.sts.AssumeRole", note)
    return session, asked


def test_s13_tags_that_are_no_tags_stop_the_start() -> None:
    for tags in ("tool", "=x", "tool="):
        with pytest.raises(Invalid):
            load({"TWOKEY_AWS_SESSION_TAGS": tags})
