"""An installation is brought up to date: what the version before left is opened, read to the byte, and gone on with.

`tests/fixtures/records/before-the-move.sql` is a whole day as commit 3077019 kept it, and the `.json` beside it what
that version said of it. Neither is made anew: people have such records, and their plans wait in them for keys.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.lab.intake_harness import shipped_rules
from twokey import app as wiring
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.chat.slack.views.render import MessageRenderer
from twokey.cli import audit as audit_command
from twokey.core.approvals import Approval, StepUpUse, approval_id
from twokey.core.audit import verify
from twokey.core.errors import Conflict, Refused
from twokey.core.executions import StepRecord, StepState, record_id
from twokey.core.incidents import Incident, facts, opened_by
from twokey.core.notices import Delivery
from twokey.core.postmortems import Postmortem, postmortem_id
from twokey.core.runbooks import Plan, PlanState, digest_of
from twokey.core.sightings import Sighting
from twokey.core.signals import Cursor, RawNotification, RawState, raw_id
from twokey.engine.embedded import EmbeddedEngine
from twokey.flow.handlers import dead_letter_handler, job_handlers
from twokey.flow.intake import Intake
from twokey.settings import load
from twokey.store import migrate, open_store
from twokey.store.kinds import ALL, Kind
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds import KEY_ID, WORKLOADS, AccessKey
from twokey.testing.runbooks import QUARANTINE_ACCOUNT
from twokey.testing.world import World

RECORDS = Path(__file__).resolve().parents[1] / "fixtures" / "records"
SAID: dict[str, Any] = json.loads((RECORDS / "before-the-move.json").read_text(encoding="utf-8"))
HEAD: tuple[int, str] = (SAID["head"]["seq"], SAID["head"]["hash"])
OTHER_ACCOUNT, OTHER_KEY = "444455556666", "AKIAI44QH8DHBEXAMPLE"
CODE = "900007"  # nobody of that day gave this one


def the_plan(state: str, runbook: str, *, is_undo: bool = False) -> str:
    """Return the id of the one plan like this."""
    (found,) = (
        name
        for name, said in SAID["plans"].items()
        if (said["state"], said["runbook"], bool(said["undo_of"])) == (state, runbook, is_undo)
    )
    return found


WAITING = the_plan("proposed", QUARANTINE_ACCOUNT)
UNDO = the_plan("proposed", "aws.disable-leaked-access-key", is_undo=True)
UNDONE = SAID["plans"][UNDO]["undo_of"]
(ON_ONE_KEY,) = (name for name, said in SAID["plans"].items() if said["state"] == "done" and name != UNDONE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The record as a file, as the version before left it."""
    place = tmp_path / "record.db"
    connection = sqlite3.connect(place)
    connection.executescript((RECORDS / "before-the-move.sql").read_bytes().decode())
    connection.close()
    return place


@pytest.fixture
def rows(file: Path) -> Iterator[sqlite3.Connection]:
    """The tables, for looking past the program."""
    connection = sqlite3.connect(file)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


@pytest.fixture
def world(file: Path, tmp_path: Path) -> Iterator[World]:
    """The program a minute later: real readers, rules, record and review, and the cloud where the runs left it."""
    clock = SettableClock(datetime.fromisoformat(SAID["now"]))
    store = open_store(f"sqlite:///{file}", clock, migrate=True, completions=wiring.completions())
    clock.advance(60)
    world = World(store=store, queue=store.jobs(), clock=clock)
    settings = load({"TWOKEY_POSTMORTEMS_DIR": str(tmp_path / "out")})
    readers, vouch = wiring.normalisers(settings.modules), wiring.source_authorization(settings)
    world.intake = Intake(store, clock, readers, shipped_rules(), "T1", "E1", authorize_source=vouch)
    review: Any = wiring.build_review(settings, store, clock, world.rosters)
    world.review = review
    world.handle = job_handlers(world.intake, world.containment, world.executor, review, world.watch)
    world.parked = dead_letter_handler(world.intake, world.executor, store)
    world.engine = EmbeddedEngine(store.jobs(), world.handle, world.parked, clock, workers=1)
    world.cloud.state.keys[OTHER_KEY] = AccessKey(OTHER_ACCOUNT, "backup-batch")
    as_the_journal_says(world)
    yield world
    store.close()


def as_the_journal_says(world: World) -> None:
    """Bring the cloud, which was in memory and went with its process, to where the runs on record left it."""
    with world.store.read() as look:
        done = look.find(Plan, state=PlanState.DONE)
    for plan in done:
        journal = world.journal(plan)
        for step in plan.writes:
            row = journal[step.id]
            assert row.state is StepState.VERIFIED
            world.cloud.actions[step.action].apply(plan.target, row.inputs, row.key)
    world.cloud.effects.clear()


def every(world: World, kind: type[Any]) -> list[Any]:
    """Return every noun of a kind."""
    with world.store.read() as look:
        return look.find(kind)


def sha256(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


# it opens, and proves itself


def test_it_opens_where_it_stood(file: Path) -> None:
    before, after = migrate(f"sqlite:///{file}")
    assert before == SAID["revision"]
    assert migrate(f"sqlite:///{file}") == (after, after)
    open_store(f"sqlite:///{file}", SettableClock()).close()


def test_the_trail_proves_itself_with_the_head_that_was_posted(world: World) -> None:
    store: Any = world.store
    assert store.verify(head=HEAD) == HEAD
    assert verify(world.trail(), head=HEAD) == HEAD
    lines: list[str] = []
    assert store.export(lines.append) == HEAD[0]
    assert sha256("".join(lines)) == SAID["export_sha256"]


def test_the_auditors_command_proves_it(file: Path) -> None:
    migrate(f"sqlite:///{file}")
    posted = f"{HEAD[0]}:{HEAD[1]}"
    asked = ["verify", "--database-url", f"sqlite:///{file}", "--head", posted, "--json"]
    ran = CliRunner().invoke(audit_command.app, asked, catch_exceptions=False)
    assert (ran.exit_code, json.loads(ran.output)) == (
        0,
        {"proved": True, "entries": HEAD[0], "head": posted},
    )


def test_the_trail_goes_on_from_the_old_head(world: World) -> None:
    world.response.note("INC-1", "we were brought up to date", world.who("ana"))
    (first, *_) = [entry for entry in world.trail() if entry.seq > HEAD[0]]
    assert (first.action, first.previous) == ("noted", HEAD[1])
    store: Any = world.store
    assert store.verify(head=HEAD)[0] > HEAD[0]


# every noun reads, and is written again to the very same bytes


def test_no_kind_of_noun_was_lost() -> None:
    assert {kind.table.name for kind in ALL} >= set(SAID["nouns"])
    assert all(SAID["counts"].values())  # there is one of each to look at


KNOWN_THEN = [kind for kind in ALL if kind.table.name in SAID["counts"]]


@pytest.mark.parametrize("kind", KNOWN_THEN, ids=lambda kind: kind.table.name)
def test_every_noun_is_written_again_as_it_stands(
    kind: Kind, file: Path, world: World, rows: sqlite3.Connection
) -> None:
    """A field that is added later turns this red: who adds it says here what an old noun has in its place.

    Signals, incidents and resources have typed answers since: an old one has none until the record completes it,
    which is not asked for here (see test_the_answers_of_an_old_record).
    """
    kept = rows.execute(f'SELECT * FROM "{kind.table.name}" ORDER BY position').fetchall()
    assert len(kept) == SAID["counts"][kind.table.name]
    assert {row["id"]: sha256(row["body"]) for row in kept} == SAID["nouns"][kind.table.name]
    with closing(open_store(f"sqlite:///{file}", world.clock)) as as_it_stands, as_it_stands.read() as look:
        nouns = [look.get(kind.noun, row["id"]) for row in kept]
    for row, noun in zip(kept, nouns, strict=True):
        columns = {name: _as_kept(value) for name, value in kind.values(noun).items()}
        assert columns == {name: row[name] for name in columns}


def test_what_is_on_record_has_the_name_that_it_would_be_given_now(world: World) -> None:
    """A name is what a repeat is known by."""
    assert all(raw.id == raw_id(raw.source, raw.body) for raw in every(world, RawNotification))
    assert all(key.id == approval_id(key.plan_id, key.person_id) for key in every(world, Approval))
    assert all(row.id == record_id(row.plan_id, row.step_id) for row in every(world, StepRecord))
    assert all(
        draft.id == postmortem_id(draft.incident_id, draft.language, draft.audience)
        for draft in every(world, Postmortem)
    )


def _as_kept(value: object) -> object:
    return f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value


# what was computed then is computed now


@pytest.mark.parametrize("name", SAID["plans"])
def test_a_plan_has_the_digest_that_its_keys_were_turned_on(name: str, world: World) -> None:
    plan, stands, said = world.plan(name), world.containment.approval_status(name), SAID["plans"][name]
    assert plan.digest == digest_of(plan) == said["digest"] == said["digest_of"]
    assert {key.digest for key in world.keys(plan)} == {plan.digest}
    assert {
        "incident": plan.incident_id,
        "runbook": plan.runbook_id,
        "state": plan.state.value,
        "undo_of": plan.undo_of,
        "digest": plan.digest,
        "digest_of": digest_of(plan),
        "keys": list(stands.people),
        "needed": stands.needed,
        "missing": [one.code for one in stands.missing],
    } == said


def test_the_waiting_plan_previewed_anew_is_the_same_plan(world: World) -> None:
    """That version did not say where a value came from, nor when the incident began."""
    plan = replace(world.previews("dia", QUARANTINE_ACCOUNT, "INC-2"), provenance={}, began="")
    assert digest_of(plan) == SAID["plans"][WAITING]["digest"]


def test_the_undo_previewed_anew_is_the_same_plan(world: World) -> None:
    undo = world.containment.preview_undo(UNDONE, world.who("ana"))
    assert undo.digest == SAID["plans"][UNDO]["digest"]


@pytest.mark.parametrize("name", SAID["incidents"])
def test_an_incident_is_what_it_was_and_the_same_runbooks_fit_it(name: str, world: World) -> None:
    incident = world.response.shown(name)
    assert {**_answers(incident), "suggestions": _suggested(world, incident)} == SAID["incidents"][name]


def test_every_signal_would_open_the_same_incident_again(world: World) -> None:
    found = {
        seen.id: {
            "incident": seen.incident_id,
            "subject": seen.subject,
            "opens": _answers(opened_by(seen.signal, seen.verdict, 1, seen.at)),
        }
        for seen in every(world, Sighting)
    }
    assert found == SAID["sightings"]


def _answers(incident: Incident) -> dict[str, Any]:
    return {
        "number": incident.number,
        "title": incident.title,
        "label": incident.verdict.label.value,
        "rule": incident.verdict.rule,
        "state": incident.state.value,
        "severity": incident.severity.value,
        "group": incident.group,
        "subject": incident.subject,
        "signals": incident.signals,
        "services": list(incident.services),
        "regions": list(incident.regions),
        "is_availability": incident.is_availability,
        "is_open": incident.is_open,
        "is_contained_by_us": incident.verdict.is_contained_by_us,
        "disputed": incident.disputed.code if incident.disputed else "",
        "related": list(incident.related),
        "facts": facts(incident),
    }


def _suggested(world: World, incident: Incident) -> list[str] | str:
    try:
        return [book.id for book in world.containment.suggestions(incident.id)]
    except Refused as refusal:
        return refusal.message.code


# plans that wait get their last key, and run


def test_the_waiting_plan_gets_its_second_key_and_runs_to_its_end(world: World) -> None:
    plan = world.plan(WAITING)
    assert world.cloud.state.accounts[OTHER_ACCOUNT] == WORKLOADS
    assert world.approves("cho", plan, code=CODE).is_satisfied
    world.works()
    assert world.plan(WAITING).state is PlanState.DONE
    assert [row.state for row in world.journal(plan).values()] == [StepState.VERIFIED] * len(plan.steps)
    unit = world.cloud.state.units[world.cloud.state.accounts[OTHER_ACCOUNT]]
    assert unit.name == "quarantine-INC-2"
    assert {key.person_id: key.digest for key in world.keys(plan)} == dict.fromkeys(
        ("d-ben", "d-cho"), SAID["plans"][WAITING]["digest"]
    )
    store: Any = world.store
    store.verify(head=HEAD)


def test_the_key_that_was_turned_before_still_counts_once(world: World) -> None:
    with pytest.raises(Refused, match=r"refused.key_turned_before"):
        world.approves("ben", world.plan(WAITING), code=CODE)
    with pytest.raises(Refused, match=r"refused.own_plan"):
        world.approves("ana", world.plan(WAITING), code=CODE)
    world.works()
    assert (world.plan(WAITING).state, world.cloud.effects) == (PlanState.PROPOSED, [])


def test_a_code_that_was_used_before_opens_nothing(world: World) -> None:
    (used, *_) = [use.id.rpartition(":")[2] for use in every(world, StepUpUse) if use.person_id == "d-ben"]
    with pytest.raises(Refused, match=r"refused.step_up"):
        world.approves("ben", world.plan(UNDO), code=used)
    assert world.approves("ben", world.plan(UNDO), code=CODE).is_satisfied


def test_a_click_that_was_heard_before_is_a_repeat(world: World) -> None:
    (click,) = every(world, Delivery)
    with pytest.raises(Conflict), world.store.change() as tx:
        tx.add(click)


def test_a_waiting_plan_of_which_one_byte_was_changed_gets_no_key(
    world: World, rows: sqlite3.Connection
) -> None:
    kept = rows.execute("SELECT body FROM plan WHERE id = ?", (WAITING,)).fetchone()["body"]
    other = kept.replace(
        f'"params":{{"account_id":"{OTHER_ACCOUNT}"', '"params":{"account_id":"444455556667"'
    )
    assert other != kept
    rows.execute("UPDATE plan SET body = ? WHERE id = ?", (other, WAITING))
    rows.commit()
    with pytest.raises(Refused, match=r"refused.plan_changed"):
        world.approves("cho", world.plan(WAITING), code=CODE)


def test_the_undo_gets_its_second_key_and_takes_back_what_the_version_before_did(world: World) -> None:
    undo, state = world.plan(UNDO), world.cloud.state
    assert state.keys[KEY_ID].status == "Inactive"
    assert ("111122223333", "deploy", "twokey-quarantine-INC-1") in state.user_policies
    assert world.approves("ana", undo, code=CODE).is_satisfied
    world.works()
    assert world.plan(UNDO).state is PlanState.DONE
    assert state.keys[KEY_ID].status == "Active"
    assert ("111122223333", "deploy", "twokey-quarantine-INC-1") not in state.user_policies
    journal = world.journal(world.plan(UNDONE))
    assert {journal[step.id].state for step in world.plan(UNDONE).writes} == {StepState.UNDONE}


def test_the_run_on_one_key_can_be_confirmed_by_a_second_person(world: World) -> None:
    assert world.confirms("ben", world.plan(ON_ONE_KEY), code=CODE).confirmed_by == "d-ben"
    assert [key.role for key in every(world, Approval) if key.plan_id == ON_ONE_KEY] == [
        "break-glass",
        "confirmation",
    ]


# what is owed is done


def test_work_that_was_owed_is_done(world: World) -> None:
    assert len(every(world, Postmortem)) == 4
    (new,) = [raw for raw in every(world, RawNotification) if raw.state is RawState.NEW]
    assert world.works() == 2  # the sorting and the draft: everything else has its time
    assert {raw.id: raw.state for raw in every(world, RawNotification)}[new.id] is RawState.SORTED
    assert world.response.shown("INC-2").signals == SAID["incidents"]["INC-2"]["signals"] + 1
    drafts = [draft for draft in every(world, Postmortem) if draft.incident_id == "INC-3"]
    assert {(draft.language, draft.audience) for draft in drafts} == {
        (language, audience) for language in ("en", "ja") for audience in ("internal", "public")
    }


def test_plans_that_nobody_answers_end_at_the_time_they_were_given(world: World) -> None:
    plans = [world.plan(name) for name in (WAITING, UNDO)]
    for plan in plans:
        assert plan.expires_at
        world.clock.set(plan.expires_at)
        world.works()
        assert world.plan(plan).state is PlanState.EXPIRED
    assert world.cloud.effects == []


def test_the_confirmation_that_is_owed_is_asked_for_a_day_later(world: World) -> None:
    world.clock.advance(24 * 3600)
    world.works()
    assert "containment.confirmation_owed" in world.told()


def test_everything_that_people_were_told_or_will_be_can_be_drawn(world: World) -> None:
    review: Any = world.review
    flows = Flows(world.intake, world.response, world.containment, review, world.watch)
    renderer = MessageRenderer(flows, world.rosters, SlackOptions("none", "T1", "C-INCIDENTS"))
    notices = {notice.id: notice for notice in world.notices()}
    for notice in notices.values():
        assert renderer.post(notice, notices.get(f"card:{notice.incident_id}")).text
    assert {notice.state.value for notice in notices.values()} == {"pending", "sending", "sent", "failed"}


def test_a_source_that_is_polled_goes_on_where_it_stood(world: World) -> None:
    assert {one.source: one.position for one in every(world, Cursor)} == {
        "aws.poll:health": "2026-11-20T07:40:00Z",
        "azure.poll:servicehealth": "2026-11-20T07:20:00Z",
    }


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_post_mortem_tells_of_the_plan_that_ran_then(language: str, world: World) -> None:
    review: Any = world.review
    page = review.preview("INC-1", language, "internal")
    assert world.plan(UNDONE).short in page
    (revised,) = [draft for draft in review.drafts("INC-6") if draft.revised_at]
    assert revised.text == "# The alarm\n\nIt was not us.\n"


# old matters go on


def hears(world: World, source: str, body: bytes) -> None:
    """Let a notification arrive and be sorted."""
    world.intake.receive([RawNotification(raw_id(source, body), source, body, world.clock.now())])
    world.works()


def test_all_that_arrived_arrives_again_by_the_same_way_and_is_known(world: World) -> None:
    again = [
        RawNotification(raw_id(raw.source, raw.body), raw.source, raw.body, world.clock.now())
        for raw in every(world, RawNotification)
    ]
    assert world.intake.receive(again) == []


def test_all_that_arrived_arrives_again_by_another_way_and_counts_nothing_twice(world: World) -> None:
    world.works()
    seen, incidents = every(world, Sighting), every(world, Incident)
    for raw in every(world, RawNotification):
        hears(world, f"{raw.source}-again", raw.body)
    assert every(world, Sighting) == seen
    assert every(world, Incident) == incidents


def finding(told: Any) -> None:
    """Tell a GuardDuty finding anew."""
    told["detail"]["service"]["count"], told["detail"]["updatedAt"] = 99, "2026-11-20T07:56:00.000Z"


def health(told: Any) -> None:
    """Tell an AWS Health event anew."""
    told["detail"]["communicationId"] += "-2"
    told["detail"]["lastUpdatedTime"] = "Fri, 20 Nov 2026 07:55:00 GMT"


def communication(told: Any) -> None:
    """Tell anew of Azure's maintenance."""
    about = told["data"]["alertContext"]
    about["eventDataId"] = "6fa98c0f-334a-b066-1934-000000000002"
    about["properties"]["communicationId"] = "11000000000002"
    about["eventTimestamp"] = about["submissionTimestamp"] = "2026-11-20T07:55:00Z"


def machine(told: Any) -> None:
    """Let the machine fail again, which has an id of its own."""
    about = told["data"]["alertContext"]
    about["eventDataId"] = "6fa98c0f-334a-b066-1934-000000000003"
    about["correlationId"] = about["operationId"] = "f3cf2430-1ee3-4158-8e35-000000000003"
    about["eventTimestamp"] = about["submissionTimestamp"] = "2026-11-20T07:55:00Z"


def alarm(told: Any) -> None:
    """Let the alarm be over."""
    told["id"], told["time"] = "shop-5xx-over", "2026-11-20T07:55:00Z"
    told["detail"]["state"] = {"value": "OK", "reason": "well", "timestamp": told["time"]}


def another_finding(told: Any) -> None:
    """Let the storm's key do something else: another matter, and the same principal."""
    before = told["detail"]["id"]
    told["detail"]["id"] = before[:-3] + "fff"
    told["detail"]["arn"] = told["detail"]["arn"].replace(before, told["detail"]["id"])


@pytest.mark.parametrize(
    ("name", "tell_anew"),
    [
        ("INC-1", finding),
        ("INC-2", finding),
        ("INC-2", another_finding),
        ("INC-3", communication),
        ("INC-4", machine),
        ("INC-5", health),
        ("INC-6", alarm),
        ("INC-7", health),
        ("INC-8", finding),
    ],
    ids=lambda given: given if isinstance(given, str) else given.__name__,
)
def test_a_new_word_on_an_old_matter_finds_its_incident(
    name: str, tell_anew: Callable[[Any], None], world: World
) -> None:
    world.works()
    before, signals = len(world.incidents()), world.response.shown(name).signals
    with world.store.read() as look:
        (first, *_) = look.find(Sighting, incident_id=name)
        raw = look.get(RawNotification, first.signal.raw_id)
    assert raw is not None
    told = json.loads(raw.body)
    tell_anew(told)
    hears(world, raw.source, json.dumps(told).encode())
    assert len(world.incidents()) == before
    assert world.response.shown(name).signals == signals + 1
    assert world.trail()[-1].action == "sorted"


def test_a_matter_of_another_principal_opens_an_incident_with_the_next_number(world: World) -> None:
    world.works()
    with world.store.read() as look:
        (first, *_) = look.find(Sighting, incident_id="INC-1")
        raw = look.get(RawNotification, first.signal.raw_id)
    assert raw is not None
    body = raw.body.replace(b"d5a000002", b"d5a0000ff").replace(KEY_ID.encode(), b"AKIAIOSFODNN8EXAMPLE")
    hears(world, raw.source, body)
    assert world.incidents()[-1].id == f"INC-{len(SAID['incidents']) + 1}"
