"""A third cloud is a folder of its own and one registration: from a notification to a verified step, nothing else touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.toy_cloud.stratus.api import StratusApi
from tests.toy_cloud.stratus.cloud import SetTokenState
from tests.toy_cloud.stratus.module import StratusModule
from twokey import app as wiring
from twokey import settings
from twokey.app import App
from twokey.app.doctor import examine
from twokey.app.running import Poller
from twokey.clouds import CLOUDS
from twokey.core.errors import Invalid, Refused
from twokey.core.executions import StepRecord, StepState
from twokey.core.incidents import Incident
from twokey.core.people import ChatAccount, ChatIdentity
from twokey.core.responsibility import Label
from twokey.core.runbooks import Plan, PlanState, Target
from twokey.ports import CloudModule
from twokey.testing.contracts.actions import ActionContract, Scene
from twokey.testing.showings import shown_whole

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = HERE / "stratus"
TEAM = "T0STRATUS"
RUNBOOK, TOKEN = "stratus.freeze-token", "tok_a1b2c3d4"
ATLAS, BOREAS = "prj-atlas", "prj-boreas"
PEOPLE = {
    "ana": ("responder, approver", ATLAS),
    "ben": ("approver", ATLAS),
    "eve": ("responder, approver", BOREAS),
}
FINDING = {
    "stratusFinding": {
        "number": "S-1",
        "revision": "1",
        "kind": "token-abuse",
        "title": "A token of prj-atlas is used from an address on a threat list",
        "project": ATLAS,
        "token": TOKEN,
        "seen": "2026-11-20T10:00:00Z",
    }
}


def who(name: str) -> ChatIdentity:
    """Return what the chat says about a person."""
    return ChatIdentity(ChatAccount(TEAM, f"U0{name.upper()}"), workspace=TEAM)


@pytest.fixture
def api() -> StratusApi:
    """Return a Stratus with a token of the same name in two projects."""
    return StratusApi({(ATLAS, TOKEN): "active", (BOREAS, TOKEN): "active"})


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    people = [
        f"  - {{id: {name}, name: {name}, slack: [{{team: {TEAM}, user: U0{name.upper()}}}],"
        f" roles: [{roles}], scopes: [{scope}]}}"
        for name, (roles, scope) in PEOPLE.items()
    ]
    roster = tmp_path / "roster.yaml"
    roster.write_text("\n".join(["people:", *people]) + "\n")
    return {
        "TWOKEY_DATABASE_URL": f"sqlite:///{tmp_path}/record.db",
        "TWOKEY_ROSTER_FILE": str(roster),
        "TWOKEY_RUNBOOKS_DIR": str(FOLDER / "runbooks"),
        "TWOKEY_RULES_DIR": str(FOLDER / "rules"),
        "TWOKEY_SLACK_TEAM": TEAM,
        "TWOKEY_CLOUDS": "stratus",
        "TWOKEY_STRATUS_FEED": "findings",
    }


@pytest.fixture
def app(environment: dict[str, str], api: StratusApi) -> Iterator[App]:
    """Build the program, with the toy cloud's one registration."""
    made = wiring.build(settings.load(environment, (*CLOUDS, StratusModule(api))))
    yield made
    made.store.close()


def incident_of(app: App, api: StratusApi) -> Incident:
    """Let the finding come by the feed and be sorted."""
    api.feed.append(json.dumps(FINDING).encode())
    (feed,) = app.sources
    assert Poller(feed, app.intake, Event()).once() == 1
    assert api.feed == []
    app.engine.drain()
    (incident,) = app.response.listed("all")[0]
    return incident


def test_a_notification_becomes_a_verified_step_with_its_audit_trail(app: App, api: StratusApi) -> None:
    incident = incident_of(app, api)
    assert (incident.provider, incident.account) == ("stratus", ATLAS)
    assert (incident.verdict.label, incident.verdict.rule) == (Label.CUSTOMER_SECURITY, "stratus.sentinel")
    assert [book.id for book in app.containment.suggestions(incident.id)] == [RUNBOOK]
    preview = app.containment.preview(incident.id, RUNBOOK, who("ana"))
    plan = app.containment.propose(shown_whole(app.containment, preview, who("ana")), who("ana"))
    assert (plan.target.account, plan.params["project_id"]) == (ATLAS, ATLAS)
    shown_whole(app.containment, plan, who("ben"))
    approved = app.containment.approve(
        plan.id, who("ben"), digest=plan.digest, typed=plan.typed_target, code=""
    )
    assert approved.is_satisfied
    app.engine.drain()
    with app.store.read() as look:
        (done,) = look.find(Plan)
        (step,) = look.find(StepRecord, plan_id=plan.id)
        trail = [entry.action for entry in look.audit()]
    assert (done.state, step.state) == (PlanState.DONE, StepState.VERIFIED)
    assert dict(step.seen) == {"state": "frozen"}
    assert api.tokens == {(ATLAS, TOKEN): "frozen", (BOREAS, TOKEN): "active"}
    assert trail[:7] == ["received", "opened", "sorted", "shown", "proposed", "shown", "approved"]
    assert trail[7:] == ["run.started", "step.started", "step.done", "step.verified", "run.done"]
    seq, _ = app.store.verify()
    assert seq == len(trail)


def test_approvers_of_another_project_are_refused(app: App, api: StratusApi) -> None:
    """The plan's scope is the cloud's own parameter: `project_id`, which the flow has never heard of."""
    incident = incident_of(app, api)
    with pytest.raises(Refused) as refused:
        app.containment.preview(incident.id, RUNBOOK, who("eve"))
    assert ATLAS in refused.value.message.params.values()
    preview = app.containment.preview(incident.id, RUNBOOK, who("ana"))
    plan = app.containment.propose(shown_whole(app.containment, preview, who("ana")), who("ana"))
    with pytest.raises(Refused, match=r"refused\.not_approver") as refused:
        app.containment.approve(plan.id, who("eve"), digest=plan.digest, typed=plan.typed_target, code="")
    assert refused.value.message.params["scope"] == ATLAS
    app.engine.drain()
    assert set(api.tokens.values()) == {"active"}


def test_a_parameter_that_names_another_project_asks_that_projects_people(app: App, api: StratusApi) -> None:
    """Whose roles a plan needs follows from where it acts, and not from where the incident is."""
    incident = incident_of(app, api)
    with pytest.raises(Refused) as refused:
        app.containment.preview(incident.id, RUNBOOK, who("ana"), {"project_id": BOREAS})
    assert BOREAS in refused.value.message.params.values()


def test_everything_of_the_cloud_stands_in_its_folder() -> None:
    """The program names it nowhere: not in the source, the rules, the runbooks, the words or the contracts."""
    places = [*(ROOT / "src").rglob("*"), *(ROOT / "rules").rglob("*"), *(ROOT / "runbooks").rglob("*")]
    places += [ROOT / "pyproject.toml", *(ROOT / "templates").rglob("*"), *(ROOT / "deploy").rglob("*")]
    files = [path for path in places if path.is_file() and path.suffix not in (".pyc", ".mo")]
    assert len(files) > 300
    assert [path.name for path in files if "stratus" in path.read_text("utf-8").lower()] == []


def test_the_how_to_names_everything_that_a_cloud_brings() -> None:
    page = (ROOT / "docs" / "how-to" / "add-a-cloud.md").read_text("utf-8")
    brings = [name for name in vars(CloudModule) if not name.startswith("_")]
    assert len(brings) > 15
    assert [name for name in brings if f"`{name}`" not in page] == []


def test_its_settings_exist_only_where_it_is_registered(environment: dict[str, str]) -> None:
    registered = (*CLOUDS, StratusModule())
    assert set(settings.variables(registered)) - set(settings.variables()) == {"TWOKEY_STRATUS_FEED"}
    with pytest.raises(Invalid) as refused:
        settings.load(environment)
    faults = refused.value.message.params["faults"]
    assert "TWOKEY_STRATUS_FEED: not a setting" in faults
    assert "TWOKEY_CLOUDS: stratus: aws or azure is wanted" in faults
    with pytest.raises(Invalid) as refused:
        settings.load({**environment, "TWOKEY_STRATUS_FEED": " x", "TWOKEY_AWS_POLL_S": "5"}, registered)
    faults = refused.value.message.params["faults"]
    assert "TWOKEY_STRATUS_FEED" in faults
    assert "TWOKEY_AWS_POLL_S" in faults  # the faults of all sections, at once


def test_the_doctor_looks_at_it_too(environment: dict[str, str]) -> None:
    loaded = settings.load(environment, (*CLOUDS, StratusModule()))
    told = {finding.part: finding for finding in examine(loaded)}
    assert told["stratus"].says == "the feed is findings"
    assert (told["runbooks"].says, told["rules"].ok, told["roster"].ok) == (RUNBOOK, True, True)


class TestSetTokenState(ActionContract):
    """The action keeps the promises of every action."""

    @pytest.fixture
    def scene(self, api: StratusApi) -> Scene:
        action = SetTokenState(api)
        inputs = {"token_id": TOKEN, "state": "frozen"}
        return Scene(
            action,
            Target(ATLAS, ""),
            inputs,
            world=lambda: dict(api.tokens),
            calls=lambda: list(api.calls),
            undo=action,
            undo_inputs=lambda outputs, prior: {**inputs, "state": prior["state"]},
        )
