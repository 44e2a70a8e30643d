"""What every record must keep to: sub-class StoreContract and give it a `store` and a `clock` fixture."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from twokey.core.approvals import Approval, StepUpUse
from twokey.core.audit import GENESIS, verify
from twokey.core.errors import Conflict, Invalid, Tampered
from twokey.core.incidents import Incident, State
from twokey.core.jobs import Job, JobKind, sorted_by
from twokey.core.notices import Delivery, Notice, NoticeKind, NoticeState
from twokey.core.people import Actor, ChatAccount, system
from twokey.core.responsibility import Label
from twokey.core.runbooks import Plan
from twokey.core.signals import Cursor, RawNotification, RawState, raw_id
from twokey.testing.builders import a_plan, a_sighting, a_verdict, an_approval, an_incident
from twokey.testing.clocks import START, SettableClock

FLOW = system("flow")


def a_raw(text: str = "{}", source: str = "aws.sqs:findings", **changes: Any) -> RawNotification:
    """Make a notification as a door would."""
    body = text.encode()
    return replace(RawNotification(raw_id(source, body), source, body, START), **changes)


def a_notice(id: str = "card:INC-1", order: int = 1, **changes: Any) -> Notice:
    """Make an outbox row."""
    return replace(Notice(id, NoticeKind.CARD, START, order=order), **changes)


class StoreContract:
    """The promises of ports.Store, Transaction and Snapshot."""

    def test_what_was_put_comes_back_equal(self, store: Any) -> None:
        nouns = (
            an_incident(),
            a_plan(),
            a_sighting(),
            an_approval(a_plan()),
            a_raw("\x00 bytes"),
            a_notice(),
        )
        with store.change() as change:
            for noun in nouns:
                change.put(noun)
            change.append(FLOW, "opened")
        with store.read() as reading:
            for noun in nouns:
                assert reading.get(type(noun), noun.id) == noun

    def test_a_source_has_one_cursor_and_the_last_place_counts(self, store: Any, clock: Any) -> None:
        for position in ("2026-11-22T00:00:00Z", "2026-11-22T00:05:00Z"):
            with store.change() as change:
                change.put(Cursor("aws.poll:health", position, clock.now(), account="111111111111"))
                change.append(FLOW, "polled")
        with store.read() as reading:
            assert [cursor.position for cursor in reading.find(Cursor)] == ["2026-11-22T00:05:00Z"]
            assert reading.get(Cursor, "aws.poll:health") == reading.find(Cursor)[0]
            assert reading.get(Cursor, "aws.poll:other") is None

    def test_what_is_not_there_is_none(self, store: Any) -> None:
        with store.read() as reading:
            assert reading.get(Incident, "INC-404") is None
            assert reading.find(Incident) == []

    def test_a_change_sees_its_own_writes(self, store: Any) -> None:
        with store.change() as change:
            change.put(an_incident())
            assert change.get(Incident, "INC-12") == an_incident()
            assert change.find(Incident, state=State.TRIAGE) or change.find(Incident)
            entry = change.append(FLOW, "opened", incident_id="INC-12")
            assert change.head() == (entry.seq, entry.hash)
            assert change.audit(incident_id="INC-12") == [entry]

    def test_an_exception_keeps_nothing(self, store: Any) -> None:
        with pytest.raises(ZeroDivisionError), store.change() as change:  # noqa: PT012 - the block is the change
            change.put(an_incident())
            change.append(FLOW, "opened")
            change.enqueue(Job("draft:INC-12", JobKind.DRAFT))
            assert change.next_number("incident") == 1
            raise ZeroDivisionError
        with store.read() as reading:
            assert reading.get(Incident, "INC-12") is None
            assert reading.head() == (0, GENESIS)

    def test_a_change_without_an_audit_entry_is_refused_and_keeps_nothing(self, store: Any) -> None:
        with pytest.raises(ValueError, match="audit"), store.change() as change:
            change.put(an_incident())
        with store.read() as reading:
            assert reading.get(Incident, "INC-12") is None

    @pytest.mark.parametrize("owing", ["job", "number"])
    def test_a_job_or_a_number_needs_an_audit_entry_too(self, store: Any, owing: str) -> None:
        with pytest.raises(ValueError, match="audit"), store.change() as change:  # noqa: PT012 - the block is the change
            if owing == "job":
                change.enqueue(Job("draft:INC-1", JobKind.DRAFT))
            else:
                change.next_number("incident")

    def test_looking_inside_a_change_needs_no_audit_entry(self, store: Any) -> None:
        with store.change() as change:
            assert change.get(Incident, "INC-12") is None

    def test_a_change_inside_a_change_is_refused_at_once(self, store: Any) -> None:
        with store.change() as change:
            change.append(FLOW, "noted")
            with pytest.raises(RuntimeError, match="inside"), store.change():
                pass
        with store.change() as change:
            change.append(FLOW, "noted")

    def test_adding_the_same_id_again_says_that_it_is_there(self, store: Any) -> None:
        with store.change() as change:
            change.add(Delivery("click-1", START))
            change.append(FLOW, "clicked")
        with store.change() as change:
            with pytest.raises(Conflict):
                change.add(Delivery("click-1", START))
            change.add(Delivery("click-2", START))  # the change goes on after the refusal
            change.append(FLOW, "clicked")
        with store.read() as reading:
            assert reading.get(Delivery, "click-2") is not None

    def test_one_person_has_one_key_on_a_plan_whatever_its_id_says(self, store: Any) -> None:
        key = an_approval(a_plan(), "d-ben")
        with store.change() as change:
            change.add(key)
            with pytest.raises(Conflict):
                change.add(replace(key, id="another"))
            with pytest.raises(Conflict):
                change.put(replace(key, id="another"))
            change.append(FLOW, "approved")
        with store.read() as reading:
            assert reading.find(Approval, plan_id=key.plan_id) == [key]

    def test_an_incident_number_is_given_once(self, store: Any) -> None:
        with store.change() as change:
            change.add(an_incident("INC-1", number=1))
            with pytest.raises(Conflict):
                change.put(an_incident("INC-2", number=1))
            change.append(FLOW, "opened")

    def test_a_step_up_code_opens_one_door_once(self, store: Any) -> None:
        use = StepUpUse("d-ben:4711", "d-ben", START)
        with store.change() as change:
            change.add(use)
            with pytest.raises(Conflict):
                change.add(use)
            change.append(FLOW, "approved")

    def test_putting_replaces_and_keeps_its_place(self, store: Any) -> None:
        with store.change() as change:
            for number in (1, 2, 3):
                change.put(an_incident(f"INC-{number}", number=number))
            change.put(an_incident("INC-1", number=1, title="another"))
            change.append(FLOW, "opened")
        with store.read() as reading:
            found = reading.find(Incident)
            assert [incident.id for incident in found] == ["INC-1", "INC-2", "INC-3"]
            assert found[0].title == "another"

    def test_finding_goes_by_indexed_fields_oldest_first(self, store: Any) -> None:
        unknown = a_verdict(Label.UNKNOWN)
        with store.change() as change:
            for number in range(1, 6):
                state = State.CLOSED if number % 2 else State.TRIAGE
                verdict = unknown if number > 3 else a_verdict()
                change.put(an_incident(f"INC-{number}", number=number, state=state, verdict=verdict))
            change.append(FLOW, "opened")

        def found(**asked: Any) -> list[int]:
            with store.read() as reading:
                return [incident.number for incident in reading.find(Incident, **asked)]

        assert found(state=State.CLOSED) == [1, 3, 5]
        assert found(state=State.CLOSED, newest_first=True, limit=2) == [5, 3]
        assert found(state=(State.CLOSED, State.TRIAGE)) == [1, 2, 3, 4, 5]
        assert found(label=Label.UNKNOWN, state=State.CLOSED) == [5]
        assert found(label="unknown") == [4, 5]
        assert found(number=3) == [3]
        assert found(number=(2, 9)) == [2]
        assert found(state=()) == []
        assert found(limit=2) == [1, 2]
        assert found(limit=2, skip=3) == [4, 5]
        assert found(state=State.CLOSED, newest_first=True, limit=2, skip=1) == [3, 1]
        with store.read() as reading:
            assert reading.count(Incident) == 5
            assert reading.count(Incident, state=State.CLOSED) == 3
            assert reading.count(Incident, state=(State.CLOSED, State.TRIAGE), label=Label.UNKNOWN) == 2
            assert reading.count(Incident, state=()) == 0

    def test_asking_for_a_field_that_is_not_indexed_is_a_programming_error(self, store: Any) -> None:
        with store.read() as reading:
            with pytest.raises(KeyError):
                reading.find(Incident, title="x")
            with pytest.raises(KeyError):
                reading.find(str)

    def test_the_outbox_is_read_in_its_order(self, store: Any) -> None:
        with store.change() as change:
            for order in (1, 2, 3):
                change.put(a_notice(f"thread:{order}", order))
            change.append(FLOW, "told")
        with store.change() as change:
            change.put(a_notice("thread:1", 4))  # told again: now last in the line
            change.append(FLOW, "told")
        with store.read() as reading:
            found = reading.find(Notice, state=NoticeState.PENDING)
            assert [notice.order for notice in found] == [2, 3, 4]

    def test_the_outbox_is_asked_for_one_kind_of_message(self, store: Any) -> None:
        """A field may have the name of `find`'s own first parameter."""
        with store.change() as change:
            change.put(a_notice("thread:1", 1, kind=NoticeKind.THREAD))
            change.put(a_notice("card:INC-1", 2))
            change.append(FLOW, "told")
        with store.read() as reading:
            assert [one.id for one in reading.find(Notice, kind=NoticeKind.CARD)] == ["card:INC-1"]

    def test_hostile_text_is_kept_and_found(self, store: Any) -> None:
        for number, text in enumerate(("a\0b", "\ud800 half", "x" * 100_000, "日本語" * 2000, "'; DROP"), 1):
            with store.change() as change:
                incident = an_incident(f"INC-{number}", number=number, subject=text, group=text, title=text)
                change.put(incident)
                change.append(FLOW, "opened", incident_id=incident.id, data={"title": text, text: [text]})
            with store.read() as reading:
                assert reading.find(Incident, subject=text) == [incident]
                assert reading.get(Incident, incident.id) == incident
        store.verify()

    def test_long_texts_that_begin_alike_stay_apart(self, store: Any) -> None:
        with store.change() as change:
            for number in (1, 2):
                change.put(an_incident(f"INC-{number}", number=number, group="x" * 5000 + str(number)))
            change.append(FLOW, "opened")
        with store.read() as reading:
            assert [i.number for i in reading.find(Incident, group="x" * 5000 + "2")] == [2]

    def test_numbers_have_no_gaps_and_no_repeats(self, store: Any) -> None:
        given: list[int] = []

        def work() -> None:
            for turn in range(5):
                try:
                    with store.change() as change:
                        number = change.next_number("incident")
                        change.append(FLOW, "opened")
                        if turn == 2:
                            raise ZeroDivisionError
                    given.append(number)
                except ZeroDivisionError:
                    continue

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(given) == list(range(1, 17))
        with store.change() as change:
            assert change.next_number("another") == 1
            change.append(FLOW, "opened")

    def test_a_look_is_one_moment_and_a_change_does_not_wait_for_it(self, store: Any) -> None:
        with store.read() as reading:
            assert reading.get(Incident, "INC-12") is None
            with store.change() as change:
                change.put(an_incident())
                change.append(FLOW, "opened")
            assert reading.get(Incident, "INC-12") is None
            assert reading.head() == (0, GENESIS)
        with store.read() as reading:
            assert reading.get(Incident, "INC-12") is not None

    # the audit trail

    def test_entries_are_chained_in_order(self, store: Any, clock: SettableClock) -> None:
        person = Actor("d-aoi", ChatAccount("T0", "U1"))
        with store.change() as change:
            first = change.append(
                FLOW, "opened", incident_id="INC-1", data={"n": 1, "f": 0.5, "l": [None, {}]}
            )
            clock.advance(1)
            second = change.append(person, "acknowledged", incident_id="INC-1", plan_id="plan-1")
        with store.change() as change:
            third = change.append(person, "noted", incident_id="INC-2", data={"text": "é \u2028 😀 \x7f"})
        assert [first.seq, second.seq, third.seq] == [1, 2, 3]
        assert (first.previous, second.previous, third.previous) == (GENESIS, first.hash, second.hash)
        assert second.actor == person
        with store.read() as reading:
            assert reading.audit() == [first, second, third]
            assert reading.audit(incident_id="INC-1") == [first, second]
            assert reading.audit(after=1, limit=1) == [second]
            assert reading.head() == (3, third.hash)
            assert verify(reading.audit()) == store.verify() == (3, third.hash)

    def test_the_chain_goes_on_behind_a_change_that_was_not_kept(self, store: Any) -> None:
        with store.change() as change:
            first = change.append(FLOW, "opened")
        with pytest.raises(ZeroDivisionError), store.change() as change:  # noqa: PT012 - the block is the change
            change.append(FLOW, "lost")
            raise ZeroDivisionError
        with store.change() as change:
            second = change.append(FLOW, "noted")
        assert (second.seq, second.previous) == (2, first.hash)

    def test_threads_write_one_chain(self, store: Any) -> None:
        def work() -> None:
            for _ in range(10):
                with store.change() as change:
                    change.append(FLOW, "noted")
                    change.append(FLOW, "noted")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.verify()[0] == 80

    def test_what_json_cannot_say_exactly_is_written_as_text(self, store: Any) -> None:
        data: Any = {"big": 2**60, "nan": float("nan"), "when": START, "set": (1, 2)}
        with store.change() as change:
            entry = change.append(FLOW, "noted", data=data)
        assert entry.data["big"] == str(2**60)
        assert entry.data["nan"] == "nan"
        assert entry.data["set"] == [1, 2]
        store.verify()

    def test_a_head_that_was_posted_outside_must_be_in_the_chain(self, store: Any) -> None:
        with store.change() as change:
            first = change.append(FLOW, "opened")
            change.append(FLOW, "noted")
        store.verify(head=(1, first.hash))
        with pytest.raises(Tampered) as differs:
            store.verify(head=(1, "f" * 64))
        assert differs.value.message.code == "audit.head_differs"
        with pytest.raises(Tampered) as cut:
            store.verify(head=(7, first.hash))
        assert cut.value.message.code == "audit.cut"

    # receiving

    def test_receiving_keeps_rows_entries_and_jobs(self, store: Any) -> None:
        raws = [a_raw(f'{{"n": {n}}}', account="111122223333", tenant="o-1") for n in range(3)]
        assert store.receive(raws, system("intake")) == [raw.id for raw in raws]
        with store.read() as reading:
            assert reading.find(RawNotification, state=RawState.NEW) == raws
            assert reading.find(RawNotification, account="111122223333", source=raws[0].source) == raws
            entries = reading.audit()
        assert [entry.action for entry in entries] == ["received"] * 3
        assert [entry.data["raw"] for entry in entries] == [raw.id for raw in raws]
        assert entries[0].data["size"] == len(raws[0].body)
        queue, now = store.jobs(), START + timedelta(days=1)
        assert sorted_by(queue.take("w", now, now).job) == [raw.id for raw in raws]
        assert queue.take("w", now, now) is None
        store.verify()

    def test_a_redelivery_is_the_same_row_and_owes_nothing_new(self, store: Any) -> None:
        raw = a_raw()
        assert store.receive([raw, raw], FLOW) == [raw.id]
        assert store.receive([raw], FLOW) == []
        assert store.receive([a_raw("new"), raw], FLOW) == [a_raw("new").id]
        assert store.receive([], FLOW) == []
        assert store.verify()[0] == 2

    def test_a_redelivery_does_not_undo_the_sorting(self, store: Any) -> None:
        raw = a_raw()
        store.receive([raw], FLOW)
        with store.change() as change:
            change.put(replace(raw, state=RawState.SORTED))
            change.append(FLOW, "sorted")
        store.receive([raw], FLOW)
        with store.read() as reading:
            assert reading.get(RawNotification, raw.id).state is RawState.SORTED

    def test_one_bad_row_does_not_lose_the_others(self, store: Any) -> None:
        good = [a_raw(f"good {n}") for n in range(4)]
        naive = a_raw("bad", received_at=START.replace(tzinfo=None))
        with pytest.raises(Invalid) as refused:
            store.receive([*good[:2], naive, *good[2:]], FLOW)
        assert naive.id in refused.value.message.params["ids"]
        with store.read() as reading:
            assert reading.find(RawNotification) == good
        assert store.receive(good, FLOW) == []

    def test_any_bytes_and_any_source_are_kept(self, store: Any) -> None:
        raws = [
            RawNotification(f"raw-{n}", source, body, START, account=source)
            for n, (source, body) in enumerate(
                (("aws.\0", b"\0\xff"), ("azure.\ud800", b""), ("x" * 9000, bytes(range(256)) * 4000))
            )
        ]
        assert store.receive(raws, FLOW) == [raw.id for raw in raws]
        with store.read() as reading:
            assert [reading.get(RawNotification, raw.id) for raw in raws] == raws
        store.verify()

    # jobs

    def test_the_same_job_id_is_owed_once_even_when_it_is_done(
        self, store: Any, clock: SettableClock
    ) -> None:
        job = Job("draft:INC-1", JobKind.DRAFT, {"incident_id": "INC-1"}, lock="INC-1")
        for _ in range(2):
            with store.change() as change:
                change.enqueue(job)
                change.enqueue(job)
                change.append(FLOW, "closed")
        queue, now = store.jobs(), clock.now()
        taken = queue.take("w", now, now + timedelta(seconds=30))
        assert taken.job == job
        assert queue.take("w", now, now) is None
        assert queue.done(taken)
        with store.change() as change:
            change.enqueue(job)
            change.append(FLOW, "closed")
        assert queue.take("w", now, now) is None

    def test_watchers_hear_of_jobs_that_were_kept_only(self, store: Any) -> None:
        heard: list[int] = []
        store.jobs().watch(heard.append)
        with pytest.raises(ZeroDivisionError), store.change() as change:  # noqa: PT012 - the block is the change
            change.enqueue(Job("one", JobKind.DRAFT))
            change.append(FLOW, "closed")
            raise ZeroDivisionError
        assert heard == []
        with store.change() as change:
            change.enqueue(Job("one", JobKind.DRAFT))
            change.append(FLOW, "closed")
        assert heard == [1]

    def test_a_plan_round_trips_whole(self, store: Any) -> None:
        plan = a_plan(expires_at=START, notes=())
        with store.change() as change:
            change.put(plan)
            change.append(FLOW, "proposed", plan_id=plan.id)
        with store.read() as reading:
            assert reading.get(Plan, plan.id) == plan
            assert reading.find(Plan, digest=plan.digest) == [plan]
