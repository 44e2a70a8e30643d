"""R11: the checker passes what really happened, and catches by name whatever is planted into it.

The history is real: the whole program with its people, an emulated AWS and a fake Slack, exported by the program.
What is planted is sealed anew, so that the chain alone does not betray it.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.installation import Installation, installed
from tests.lab.installation.recorded import Recorded, record
from twokey.core.audit import GENESIS
from twokey.core.runbooks import Plan, canonical
from twokey.demo import notifications
from twokey.demo.emulators import Ministack
from twokey.history import PROMISES, History, judge, read

QUICK = {"TWOKEY_SLACK_PER_SECOND": "25", "TWOKEY_LEASE_S": "10"}


def a_day(world: Installation) -> None:
    """Let everything happen once that the promises are about."""
    world.bot()
    world.attack()
    assert world.webhook(notifications.planned_maintenance(datetime.now(UTC)).encode()) == 202
    assert world.webhook(b"{ this is no JSON") == 202
    ran = world.propose(buckets="shop-images,shop-exports")
    assert not world.key(world.dee, ran).errors
    world.ends(world.plan_id(ran), "done")
    no = world.propose(buckets="shop-logs")
    world.ben.click(world.fresh(no), "plan_reject")
    world.fill(world.ben, world.until(lambda: world.view(world.ben, "plan_reject")), reason="not this one")
    world.ends(world.plan_id(no), "refused")
    broken = glass(world)
    undo(world, ran)
    world.ana.command("/twokey", "note INC-1 the key is off", world.security)
    world.until(lambda: "noted" in world.actions())
    assert broken.break_glass_by
    world.quiet()


def glass(world: Installation) -> Plan:
    view = world.preview("aws.disable-leaked-access-key", person=world.ben)
    world.ben.click(view, "glass_open")
    modal = world.until(lambda: world.view(world.ben, "glass_break"))
    given = world.fill(
        world.ben, modal, typed=world.company.key_id[-4:], reason="nobody else is awake and it deletes"
    )
    assert not given.errors, given.errors
    plan = world.until(lambda: next((p for p in world.find(Plan) if p.break_glass_by), None))
    world.ends(plan.id, "done")
    world.quiet()
    card = next(
        m for m in world.thread() if any(b.get("block_id") == f"approval:{plan.id}" for b in m.blocks)
    )
    world.cy.click(card, "plan_confirm")
    outcome = world.until(lambda: world.view(world.cy, "run_confirm"))
    assert not world.fill(world.cy, outcome).errors
    world.until(lambda: "confirmed" in world.actions())
    return plan


def undo(world: Installation, done: Any) -> None:
    world.quiet()
    world.ana.click(world.fresh(done), "plan_undo")
    view = world.until(lambda: world.view(world.ana, "contain_propose"))
    known = len(world.plan_cards())
    assert not world.fill(world.ana, view).errors
    world.until(lambda: len(world.plan_cards()) > known)
    card = world.plan_cards()[-1]
    world.drawn[card.ts] = card.blocks
    assert not world.key(world.eve, card).errors
    world.ends(world.plan_id(card), "done")


@pytest.fixture(scope="module")
def recorded(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("recorded")
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(installed(folder, aws, settings=QUICK))
        a_day(world)
        yield record(world)


# Planting


@dataclass
class Copy:
    """A history that may be written to."""

    entries: list[dict[str, Any]]
    cloud: list[dict[str, Any]]
    chat: list[dict[str, Any]]
    random: Random

    def plan(self, ends: str) -> str:
        """Return a plan that was proposed, and ended so."""
        proposed = {e["plan"] for e in self.entries if e["action"] == "proposed"}
        found = [e["plan"] for e in self.entries if e["action"] == ends and e["plan"] in proposed]
        return self.random.choice(found)

    def one(self, *actions: str, plan: str = "", **data: Any) -> dict[str, Any]:
        """Return one entry of these actions."""
        return self.random.choice(
            [
                e
                for e in self.entries
                if e["action"] in actions
                and plan in ("", e["plan"])
                and all(e["data"].get(name) == value for name, value in data.items())
            ]
        )

    def forget(self, entry: dict[str, Any]) -> None:
        """Put something harmless in an entry's place: the numbers of the others stay."""
        entry |= {
            "action": "expiry.checked",
            "actor": "system:engine",
            "plan": "",
            "incident": "",
            "data": {},
        }

    def add(self, like: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Put one more entry at the end."""
        self.entries.append({**copy.deepcopy(like), "seq": len(self.entries) + 1, **changes})
        if like["action"] in ("approved", "confirmed"):
            self.says(self.entries[-1])
        return self.entries[-1]

    def says(self, entry: dict[str, Any]) -> None:
        """Let the message that an added entry owes be sent: only what is planted may be found."""
        sent = copy.deepcopy(self.one("notice.sent"))
        sent |= {"seq": len(self.entries) + 1}
        sent["data"]["notice"] = f"thread:{entry['incident']}:{entry['seq']}"
        self.entries.append(sent)

    def effect(self) -> dict[str, Any]:
        """Return a call that changed the cloud."""
        return self.random.choice([c for c in self.cloud if c["operation"] == "PutBucketPolicy"])

    def sealed(self) -> History:
        lines, previous = [], GENESIS
        for number, entry in enumerate(self.entries, 1):
            covered = {name: value for name, value in entry.items() if name != "hash"}
            covered |= {"seq": number, "previous": previous}
            text = canonical(covered)
            previous = hashlib.sha256(text).hexdigest()
            lines.append(canonical({**covered, "hash": previous}).decode())
        return read(lines, map(json.dumps, self.cloud), map(json.dumps, self.chat))


def opened(recorded: Recorded, random: Random) -> Copy:
    def rows(path: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    return Copy(rows(recorded.trail), rows(recorded.cloud), rows(recorded.slack), random)


def moved(at: str, seconds: float) -> str:
    return (datetime.fromisoformat(at) + timedelta(seconds=seconds)).isoformat()


def a_key_that_was_never_turned(h: Copy) -> None:
    h.forget(h.one("approved", plan=h.plan("run.done")))


def the_proposer_as_the_second_person(h: Copy) -> None:
    plan = h.plan("run.done")
    h.one("approved", plan=plan)["actor"] = h.one("proposed", plan=plan)["actor"]


def a_second_key_of_one_person(h: Copy) -> None:
    plan = h.plan("run.done")
    key = copy.deepcopy(h.one("approved", plan=plan))
    spare = next(e for e in h.entries if e["action"] == "heard")
    spare |= {k: v for k, v in key.items() if k != "seq"}
    h.says(spare)


def the_machine_as_an_approver(h: Copy) -> None:
    h.one("approved", plan=h.plan("run.done"))["actor"] = "system:executor"


def a_critical_plan_on_two_people(h: Copy) -> None:
    h.one("proposed", plan=h.plan("run.done"))["data"]["risk"] = "critical"


def a_third_key_that_is_missing(h: Copy) -> None:
    h.one("proposed", plan=h.plan("run.done"))["data"]["needed"] = 3


def another_plan_ran(h: Copy) -> None:
    h.one("run.started", plan=h.plan("run.done"))["data"]["digest"] = "f" * 64


def a_key_for_another_plan(h: Copy) -> None:
    h.one("approved", plan=h.plan("run.done"))["data"]["digest"] = "0" * 64


def a_key_that_should_be_a_signature(h: Copy) -> None:
    h.one("proposed", plan=h.plan("run.done"))["data"]["step_up"] = "passkey"


def a_key_after_its_time(h: Copy) -> None:
    plan = h.plan("run.done")
    key = h.one("approved", plan=plan)
    h.one("proposed", plan=plan)["data"]["expires_at"] = moved(key["at"], -1)


def a_key_after_a_no(h: Copy) -> None:
    key = h.one("approved")
    h.add(key, plan=h.plan("refused"))


def a_run_after_a_no(h: Copy) -> None:
    h.add(h.one("step.started"), plan=h.plan("refused"))


def an_effect_twice(h: Copy) -> None:
    effect = h.effect()
    h.cloud.append({**effect, "at": moved(effect["at"], 1)})


def an_effect_of_nobody(h: Copy) -> None:
    h.cloud.append(
        {**h.effect(), "operation": h.random.choice(["DeleteUser", "DetachPolicy", "PutRolePolicy"])}
    )


def an_effect_on_another_resource(h: Copy) -> None:
    h.cloud.append({**h.effect(), "request": "/somebody-elses-bucket?policy {}"})


def a_plan_that_was_never_asked_for(h: Copy) -> None:
    h.forget(h.one("proposed", plan=h.plan("run.done")))


def an_effect_before_its_intent(h: Copy) -> None:
    effect = h.random.choice(
        [c for c in h.cloud if c["operation"] == "UpdateAccessKey" and c["status"] == 200]
    )
    effect["at"] = moved(effect["at"], -600)


def an_outcome_without_an_intent(h: Copy) -> None:
    done = h.one("step.done")
    for entry in h.entries:
        is_its = entry["action"] == "step.started" and entry["plan"] == done["plan"]
        if is_its and entry["data"]["step"] == done["data"]["step"]:
            h.forget(entry)


def a_message_that_was_never_sent(h: Copy) -> None:
    promised = [
        e
        for e in h.entries
        if e["action"] == "notice.sent"
        and e["data"]["notice"].partition(":")[0] == "thread"
        and h.entries[int(e["data"]["notice"].rpartition(":")[2]) - 1]["action"] in ("approved", "run.done")
    ]
    h.forget(h.random.choice(promised))


def a_card_that_was_never_sent(h: Copy) -> None:
    for entry in h.entries:
        if entry["action"] == "notice.sent" and entry["data"]["notice"] == "card:INC-1":
            h.forget(entry)


def a_message_that_the_chat_never_had(h: Copy) -> None:
    ts = h.one("notice.sent")["data"]["ts"]
    h.chat[:] = [call for call in h.chat if call["ts"] != ts]


def a_notification_that_was_dropped(h: Copy) -> None:
    h.forget(h.one("sorted"))


def a_glass_that_nobody_confirmed(h: Copy) -> None:
    broken, confirmed = h.one("glass.broken"), h.one("confirmed")
    h.forget(confirmed)
    h.add(h.one("expiry.checked"), at=moved(broken["at"], 26 * 3600))


def a_glass_confirmed_too_late(h: Copy) -> None:
    broken, confirmed = h.one("glass.broken"), h.one("confirmed")
    confirmed["at"] = moved(broken["at"], 27 * 3600)


def a_glass_confirmed_by_its_breaker(h: Copy) -> None:
    h.one("confirmed")["actor"] = h.one("glass.broken")["actor"]


def a_critical_glass(h: Copy) -> None:
    h.one("glass.broken")["data"]["risk"] = "critical"


def an_incident_closed_on_one_key(h: Copy) -> None:
    broken, confirmed = h.one("glass.broken"), h.one("confirmed")
    h.forget(confirmed)
    entry = h.add(
        h.one("noted"), action="moved", incident=broken["incident"], data={"state": "closed", "reason": ""}
    )
    h.says(entry)


def a_run_where_acting_is_stopped(h: Copy) -> None:
    began = h.one("run.started")
    where = h.random.choice(["all", began["data"]["account"]])
    stop = h.random.choice([e for e in h.entries if e["action"] == "heard" and e["seq"] < began["seq"]])
    h.forget(stop)
    stop |= {"action": "acting.stopped", "actor": "d-dee", "data": {"where": where, "reason": "stop"}}


def a_breaker_that_was_passed(h: Copy) -> None:
    began = h.one("run.started", contains=True)
    opened_at = h.random.choice([e for e in h.entries if e["action"] == "heard" and e["seq"] < began["seq"]])
    h.forget(opened_at)
    opened_at |= {"action": "breaker.opened", "actor": "system:executor", "data": {"where": "all"}}


def a_stop_that_one_person_lifted(h: Copy) -> None:
    for entry, action in zip(
        [e for e in h.entries if e["action"] == "heard"], ("acting.lift_asked", "acting.lifted"), strict=False
    ):
        h.forget(entry)
        entry |= {"action": action, "actor": "d-dee", "data": {"where": "all", "stop": 1}}


PLANTED: dict[Callable[[Copy], None], str] = {
    a_key_that_was_never_turned: "two-people",
    the_proposer_as_the_second_person: "two-people",
    a_second_key_of_one_person: "one-key-a-person",
    the_machine_as_an_approver: "two-people",
    a_critical_plan_on_two_people: "proposer",
    a_third_key_that_is_missing: "two-people",
    another_plan_ran: "same-digest",
    a_key_for_another_plan: "same-digest",
    a_key_that_should_be_a_signature: "signed",
    a_key_after_its_time: "in-time",
    a_key_after_a_no: "no-is-no",
    a_run_after_a_no: "no-is-no",
    an_effect_twice: "effect-once",
    an_effect_of_nobody: "effect-has-a-plan",
    an_effect_on_another_resource: "effect-has-a-plan",
    a_plan_that_was_never_asked_for: "effect-has-a-plan",
    an_effect_before_its_intent: "intent-first",
    an_outcome_without_an_intent: "intent-first",
    a_message_that_was_never_sent: "everything-said",
    a_card_that_was_never_sent: "everything-said",
    a_message_that_the_chat_never_had: "chat-has-it",
    a_notification_that_was_dropped: "nothing-dropped",
    a_glass_that_nobody_confirmed: "glass",
    a_glass_confirmed_too_late: "glass",
    a_glass_confirmed_by_its_breaker: "glass",
    a_critical_glass: "glass",
    an_incident_closed_on_one_key: "glass",
    a_run_where_acting_is_stopped: "stopped",
    a_breaker_that_was_passed: "stopped",
    a_stop_that_one_person_lifted: "stopped",
}


def test_what_really_happened_kept_every_promise(recorded: Recorded) -> None:
    history = recorded.history()
    assert judge(history) == []
    assert {"run.done", "glass.broken", "confirmed", "refused", "unreadable"} <= {
        e["action"] for e in history.entries
    }
    assert sum(call.is_effect for call in history.cloud) >= 5
    assert history.chat


def test_sealing_anew_alone_is_no_violation(recorded: Recorded) -> None:
    assert judge(opened(recorded, Random("x")).sealed()) == []


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_violation_is_caught_by_name(
    plant: Callable[[Copy], None], recorded: Recorded, proof: Any
) -> None:
    trials = proof("R11", "the history checker catches a planted violation by name", ci=5, release=200)
    for random in trials:
        planted = opened(recorded, random)
        plant(planted)
        found = judge(planted.sealed())
        assert PLANTED[plant] in {violation.promise for violation in found}, found
        assert all(violation.says for violation in found)
        trials.outcome(PLANTED[plant])


def test_an_entry_that_was_changed_without_sealing_is_caught(recorded: Recorded, proof: Any) -> None:
    trials = proof("R11", "the history checker catches a broken chain", ci=100, release=5_000)
    lines = [line for line in recorded.trail.read_text().split("\n") if line]
    for random in trials:
        changed, at = list(lines), random.randrange(len(lines) - 1)
        match random.choice(["cut out", "swapped", "changed", "twice"]):
            case "cut out":
                del changed[at]
            case "swapped":
                changed[at], changed[at + 1] = changed[at + 1], changed[at]
            case "twice":
                changed.insert(at, changed[at])
            case _:
                changed[at] = changed[at].replace('"actor":"', '"actor":"x', 1)
        assert "chain" in {violation.promise for violation in judge(read(changed))}


def test_a_tail_that_was_cut_off_is_caught_with_a_head_that_was_posted(recorded: Recorded) -> None:
    lines = [line for line in recorded.trail.read_text().split("\n") if line]
    last = json.loads(lines[-1])
    head = (last["seq"], last["hash"][:24])
    assert [v.promise for v in judge(read(lines[:-5], head=head)) if v.promise == "chain"] == ["chain"]
    assert "chain" not in {v.promise for v in judge(read(lines, head=head))}


def test_every_promise_of_the_checker_was_broken_once() -> None:
    assert {*PLANTED.values(), "chain"} == set(PROMISES)


def test_the_command_says_what_held_and_what_did_not(recorded: Recorded, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "twokey.history"]

    def judged(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)

    logs = ("--cloud", str(recorded.cloud), "--slack", str(recorded.slack))
    whole = judged(str(recorded.trail), *logs)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert whole.stdout.count("held ") == len(PROMISES)
    lines = [line for line in recorded.trail.read_text().splitlines() if '"action":"sorted"' not in line]
    (tmp_path / "bad.jsonl").write_text("\n".join(lines))
    bad = judged(str(tmp_path / "bad.jsonl"), *logs, "--json")
    assert bad.returncode == 1
    assert {"chain", "nothing-dropped"} <= {row["promise"] for row in json.loads(bad.stdout)["broken"]}
    (tmp_path / "none.jsonl").write_text("this is no trail")
    unread = judged(str(tmp_path / "none.jsonl"))
    assert (unread.returncode, unread.stdout) == (2, "")
    assert "could not be read" in unread.stderr
