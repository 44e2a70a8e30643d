"""Draft, revise, publish: from the record alone, once, and never in the way of closing an incident."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from twokey.core.errors import NotFound, Refused, TwokeyError, Unavailable
from twokey.core.executions import Execution
from twokey.core.incidents import State, Times
from twokey.core.jobs import Job, JobKind, draft_job
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.people import Actor, ChatAccount, Role, Roster, system
from twokey.core.postmortems import Postmortem, text_digest
from twokey.core.runbooks import PlanState
from twokey.flow.review.drafts import Review
from twokey.flow.review.publish import NotReadyError
from twokey.testing.builders import (
    TEAM,
    a_person,
    a_plan,
    a_roster,
    a_sighting,
    a_step_record,
    an_approval,
    an_identity,
    an_incident,
    at,
)
from twokey.testing.clocks import SettableClock
from twokey.testing.memory import MemoryStore

AOI, BEN = a_person(), a_person("d-ben", "Ben Okafor")


@dataclass
class Shelf:
    """A publisher that keeps pages in a dictionary; twice is once, and it can be out of order."""

    pages: dict = field(default_factory=dict)
    writes: int = 0
    fault: TwokeyError | None = None

    def render(self, record, language, audience):
        times = record.incident.times
        return f"{record.incident.id} {language} {audience} {len(record.entries)} resolved {times.resolved}\n"

    def publish(self, postmortem):
        if self.fault:
            raise self.fault
        if self.pages.get(postmortem.id) != postmortem.text:
            self.pages[postmortem.id] = postmortem.text
            self.writes += 1
        return f"shelf/{postmortem.id}"


@dataclass
class People:
    roster: Roster = field(default_factory=lambda: a_roster(AOI, BEN))
    fault: TwokeyError | None = None

    def current(self):
        if self.fault:
            raise self.fault
        return self.roster


class Case:
    """An incident that was worked through, with everything around it in the store."""

    def __init__(self, **incident):
        self.clock = SettableClock(at(120))
        self.store = MemoryStore(self.clock)
        self.shelf, self.people = Shelf(), People()
        self.review = Review(self.store, self.clock, self.people, self.shelf)
        plan = a_plan(state=PlanState.DONE)
        aoi, ben = Actor("d-aoi"), Actor("d-ben", BEN.accounts[0])
        with self.store.change() as tx:
            tx.add(an_incident(**incident))
            tx.add(a_sighting())
            tx.append(system("intake"), "opened", incident_id="INC-12")
        with self.store.change() as tx:
            tx.add(plan)
            tx.append(aoi, "proposed", incident_id="INC-12", plan_id=plan.id)
            tx.add(an_approval(plan, "d-aoi", "proposer", at=at(5)))
        self.clock.set(at(121))
        with self.store.change() as tx:
            tx.add(an_approval(plan))
            tx.append(ben, "approved", incident_id="INC-12", plan_id=plan.id, data={"keys": 2, "needed": 2})
        with self.store.change() as tx:
            tx.add(Execution(plan.id, "INC-12", at(122), ended_at=at(124)))
            tx.add(a_step_record())
            entry = tx.append(system("executor"), "run.done", incident_id="INC-12", plan_id=plan.id)
            tx.put(
                Notice(
                    f"thread:INC-12:{entry.seq}", NoticeKind.THREAD, at(122), incident_id="INC-12",
                    state=NoticeState.SENT, sent_at=at(123), sent_as="x",
                    context={"audit_seq": str(entry.seq), "audit_hash": entry.hash},
                )
            )  # fmt: skip
        self.clock.set(at(200))

    def actions(self):
        with self.store.read() as look:
            return [entry.action for entry in look.audit(incident_id="INC-12")]

    def last(self):
        with self.store.read() as look:
            return look.audit(incident_id="INC-12")[-1]

    def told(self):
        with self.store.read() as look:
            notices = look.find(Notice, incident_id="INC-12")
        return [message.code for notice in notices for message in notice.messages]

    def put(self, noun, action="moved", **data):
        with self.store.change() as tx:
            tx.put(noun)
            tx.append(Actor("d-aoi"), action, incident_id="INC-12", data=data)

    def owed(self):
        """Take the publication that is owed, an hour from now."""
        later = self.clock.now() + timedelta(hours=1)
        taken = self.store.jobs().take("t", later, later)
        assert taken is not None
        assert taken.job.kind is JobKind.PUBLISH
        return taken.job


@pytest.fixture
def case():
    return Case()


def who(person=AOI, **changes):
    return an_identity(person, **changes)


# the record


def test_the_record_is_gathered_from_the_store_alone(case):
    record = case.review.record("inc-12")
    (kept,) = record.containments
    assert record.incident.id == "INC-12"
    assert [entry.action for entry in record.entries] == ["opened", "proposed", "approved", "run.done"]
    assert kept.proposer == "Aoi Sato"
    assert kept.keys == (("Aoi Sato", "proposer", at(5)), ("Ben Okafor", "approver", at(11)))
    assert (kept.approved_at, kept.started_at, kept.ended_at) == (at(121), at(122), at(124))
    assert [row.step_id for row in kept.journal] == ["deactivate_key"]
    assert record.sources == ("raw-" + "a" * 32,)
    with case.store.read() as look:
        assert record.head == look.head()


def test_a_posted_head_is_compared_with_the_trail(case):
    (head,) = case.review.record("12").posted
    assert (head.seq, head.agrees) == (4, True)
    with case.store.change() as tx:
        notice = tx.get(Notice, "thread:INC-12:4")
        tx.put(replace(notice, context={"audit_seq": "4", "audit_hash": "0" * 64}))
        tx.append(system("test"), "noted", incident_id="INC-12")
    assert [head.agrees for head in case.review.record("12").posted] == [False]


def test_similar_incidents_share_a_principal_a_subject_a_tracking_id_or_a_side(case):
    with case.store.change() as tx:
        tx.add(an_incident("INC-3", subject="other"))
        tx.add(an_incident("INC-4", group="", subject="other"))
        tx.add(an_incident("INC-5", group="", subject="other", account="999900001111"))
        tx.append(system("test"), "opened")
    found = {one.id: one.shares for one in case.review.record("12").similar}
    assert found == {"INC-3": "group", "INC-4": "side"}


def test_refusals_voids_and_an_undo_belong_to_their_plan(case):
    with case.store.change() as tx:
        tx.add(a_plan("plan-2", undo_of="plan-1", state=PlanState.PROPOSED))
        tx.append(
            Actor("d-aoi"),
            "approval.refused",
            incident_id="INC-12",
            plan_id="plan-1",
            data={"code": "refused.own_plan"},
        )
    first = next(kept for kept in case.review.record("12").containments if kept.plan.id == "plan-1")
    assert (first.undone_by, first.undo_state) == ("plan-2", PlanState.PROPOSED)
    assert [entry.action for entry in first.events] == ["approval.refused"]


def test_an_unknown_incident_is_not_found(case):
    with pytest.raises(NotFound):
        case.review.record("INC-99")


def test_a_person_who_left_the_roster_is_shown_by_the_id_on_record(case):
    case.people.roster = a_roster(AOI)
    (kept,) = case.review.record("12").containments
    assert [name for name, _, _ in kept.keys] == ["Aoi Sato", "d-ben"]


def test_an_unreadable_roster_stops_no_draft(case):
    case.people.fault = Refused("refused.roster_empty")
    assert len(case.review.draft("12", system("review"))) == 4


# drafting


def test_a_draft_is_two_languages_for_two_audiences_in_one_transaction(case):
    drafts = case.review.draft("12", Actor("d-aoi"))
    assert [draft.id for draft in drafts] == [
        "INC-12/en/internal", "INC-12/en/public", "INC-12/ja/internal", "INC-12/ja/public",
    ]  # fmt: skip
    entry = case.last()
    assert entry.action == "postmortem.drafted"
    assert entry.data["en/internal"] == text_digest(drafts[0].text)
    assert case.told() == ["postmortem.drafted"]


def test_a_template_that_fails_keeps_nothing(case):
    def broken(record, language, audience):
        if language == "ja":
            raise Unavailable("postmortem.template_fault", template="t", line=1, problem="p")
        return "x"

    case.shelf.render = broken
    with pytest.raises(Unavailable):
        case.review.draft("12", Actor("d-aoi"))
    assert case.review.drafts("12") == []


def test_drafting_again_keeps_what_was_published(case):
    case.review.draft("12", Actor("d-aoi"))
    published = case.review.publish("12", "en", "internal", who())
    case.put(replace(an_incident(), title="other"), action="noted")
    again = case.review.draft("12", Actor("d-ben"))[0]
    assert again.text != published.text
    assert (again.published_at, again.published_to) == (published.published_at, published.published_to)
    assert not again.is_published


def test_a_draft_never_writes_over_a_persons_words(case):
    case.review.draft("12", Actor("d-aoi"))
    case.review.revise("12", "en", "internal", "my words", who())
    drafts = case.review.draft("12", system("review"))
    assert [draft.text for draft in drafts if draft.revised_at] == ["my words"]
    assert len(drafts) == 4


def test_a_draft_that_is_owed_is_made_once(case):
    with case.store.read() as look:
        job = draft_job("INC-12", look.head()[0])
    case.review.run(job)
    case.review.run(job)
    assert case.actions().count("postmortem.drafted") == 1
    with case.store.read() as look:
        later = draft_job("INC-12", look.head()[0])
    case.put(an_incident(), action="noted")
    case.review.run(replace(later, payload={**later.payload, "after": "99"}))
    assert case.actions().count("postmortem.drafted") == 2


def test_a_preview_stores_nothing(case):
    before = case.actions()
    assert case.review.preview("12", "en", "public").startswith("INC-12 en public")
    assert case.actions() == before
    assert case.review.drafts("12") == []


# revising and correcting


def test_a_revision_is_audited_by_its_digest_and_told_in_the_thread(case):
    case.review.draft("12", Actor("d-aoi"))
    revised = case.review.revise("12", "ja", "public", "人の言葉\n", who(BEN))
    assert (revised.revised_by, revised.text) == ("d-ben", "人の言葉\n")
    assert case.last().data["sha256"] == text_digest("人の言葉\n")
    assert case.told()[-1] == "postmortem.revised"


@pytest.mark.parametrize("text", ["", " \n ", "x" * 2_000_001], ids=["empty", "blank", "too long"])
def test_an_empty_or_endless_revision_is_refused(case, text):
    case.review.draft("12", Actor("d-aoi"))
    with pytest.raises(Refused):
        case.review.revise("12", "en", "internal", text, who())


def test_a_time_is_corrected_with_a_reason_and_the_trail_keeps_the_old_one(case):
    case.put(an_incident(state=State.CLOSED), state="closed")
    after = case.review.correct("12", "detected", at(-6), "the source's clock was late", who())
    assert after.times.detected == at(-6)
    entry = case.last()
    assert (entry.action, entry.actor.id) == ("time.corrected", "d-aoi")
    assert entry.data["was"] == at(-5).isoformat()
    assert entry.data["now"] == at(-6).isoformat()


@pytest.mark.parametrize(
    ("name", "moment", "reason"),
    [
        ("invented", at(0), "a long enough reason"),
        ("detected", at(0), "short"),
        ("detected", at(0).replace(tzinfo=None), "a long enough reason"),
        ("detected", at(9999), "a long enough reason"),
    ],
)
def test_a_correction_without_reason_zone_or_sense_is_refused(case, name, moment, reason):
    with pytest.raises(Refused):
        case.review.correct("12", name, moment, reason, who())


# publishing


def test_publishing_intends_acts_and_records(case):
    case.review.draft("12", Actor("d-aoi"))
    done = case.review.publish("12", "en", "internal", who())
    assert case.actions()[-2:] == ["postmortem.publishing", "postmortem.published"]
    assert (done.published_to, done.published_by) == ("shelf/INC-12/en/internal", "d-aoi")
    assert done.is_published
    assert case.last().actor.account == ChatAccount(TEAM, "UAOI")
    assert case.told()[-1] == "postmortem.published"


def test_publishing_the_same_text_twice_is_once(case):
    case.review.draft("12", Actor("d-aoi"))
    first = case.review.publish("12", "en", "internal", who())
    before = case.actions()
    assert case.review.publish("12", "en", "internal", who(BEN)) == first
    assert case.actions() == before
    assert case.shelf.writes == 1


def test_what_was_not_drafted_is_not_found(case):
    with pytest.raises(NotFound):
        case.review.publish("12", "en", "internal", who())
    with pytest.raises(NotFound):
        case.review.publish("12", "fr", "internal", who())


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ({"resolved": None}, "postmortem.time_missing"),
        ({"resolved": at(9999)}, "postmortem.time_future"),
        ({"acked": at(-10)}, "postmortem.time_order"),
    ],
)
def test_each_of_the_three_checks_is_named_and_refused_and_a_correction_mends_it(times, code):
    known = an_incident().times
    case = Case(times=replace(known, **times))
    case.review.draft("12", Actor("d-aoi"))
    with pytest.raises(NotReadyError) as raised:
        case.review.publish("12", "en", "internal", who())
    assert raised.value.message.code == code
    assert case.shelf.pages == {}
    assert (case.last().action, case.last().data["code"]) == ("postmortem.refused", code)
    for name in times:
        case.review.correct("12", name, getattr(known, name), "read from the mail log", who())
    case.review.draft("12", Actor("d-aoi"))
    assert case.review.publish("12", "en", "internal", who()).is_published


def test_every_fault_is_named_at_once(case):
    case = Case(times=Times(resolved=at(9999)))
    case.review.draft("12", Actor("d-aoi"))
    with pytest.raises(NotReadyError) as raised:
        case.review.publish("12", "en", "internal", who())
    assert len(raised.value.faults) == 5


def test_a_draft_that_does_not_know_the_latest_is_not_published(case):
    case.review.draft("12", Actor("d-aoi"))
    case.review.correct("12", "detected", at(-6), "the source's clock was late", who())
    with pytest.raises(Refused) as raised:
        case.review.publish("12", "en", "internal", who())
    assert raised.value.message.code == "postmortem.stale"


def test_closing_the_incident_or_a_late_signal_makes_no_draft_stale(case):
    case.review.draft("12", Actor("d-aoi"))
    case.put(an_incident(state=State.POSTMORTEM), state="postmortem")
    case.put(an_incident(state=State.CLOSED), state="closed")
    case.put(an_incident(state=State.CLOSED, signals=2), action="noted")
    assert case.review.publish("12", "en", "internal", who()).is_published


def test_a_public_text_of_a_persons_that_names_one_of_us_is_refused(case):
    case.review.draft("12", Actor("d-aoi"))
    case.review.revise("12", "en", "public", "Aoi Sato switched off the key of deploy.", who())
    with pytest.raises(Refused) as raised:
        case.review.publish("12", "en", "public", who())
    assert raised.value.message.code == "postmortem.says_names"
    assert "Aoi" not in str(raised.value)
    case.review.revise("12", "en", "public", "We switched off a key.", who())
    assert case.review.publish("12", "en", "public", who()).is_published


def test_a_publication_that_the_place_refuses_is_audited_and_not_tried_again_behind_ones_back(case):
    case.review.draft("12", Actor("d-aoi"))
    case.shelf.fault = Refused("publish.index_dirty", path="x", files="y")
    with pytest.raises(Refused):
        case.review.publish("12", "en", "internal", who())
    assert case.last().data["code"] == "publish.index_dirty"
    case.shelf.fault = None
    case.clock.advance(3600)
    job = case.owed()
    case.review.run(job)
    assert case.shelf.pages == {}
    assert case.review.publish("12", "en", "internal", who()).is_published


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("point", ["publish:intended", "publish:acted"])
def test_a_crash_between_any_two_moves_is_finished_by_the_owed_job_once(case, point):
    def crash(name):
        if name == point:
            raise Crash

    case.review.draft("12", Actor("d-aoi"))
    with pytest.raises(Crash):
        replace(case.review, checkpoint=crash).publish("12", "en", "internal", who())
    job = case.owed()
    assert job.not_before == case.clock.now() + timedelta(minutes=1)
    case.review.run(job)
    case.review.run(job)
    (done,) = [draft for draft in case.review.drafts("12") if draft.published_at]
    assert done.is_published
    assert case.shelf.writes == 1
    assert case.actions().count("postmortem.published") == 1
    assert case.last().actor == Actor("d-aoi", ChatAccount(TEAM, "UAOI"))


def test_a_job_that_comes_after_the_call_does_nothing(case):
    case.review.draft("12", Actor("d-aoi"))
    case.review.publish("12", "en", "internal", who())
    before = case.actions()
    case.review.run(case.owed())
    assert case.actions() == before


def test_a_text_that_changed_after_the_crash_is_not_published_unseen(case):
    def crash(name):
        raise Crash

    case.review.draft("12", Actor("d-aoi"))
    with pytest.raises(Crash):
        replace(case.review, checkpoint=crash).publish("12", "en", "internal", who())
    case.review.revise("12", "en", "internal", "other words", who())
    case.review.run(case.owed())
    assert case.shelf.pages == {}
    assert case.last().action == "postmortem.lapsed"


def test_an_unreachable_place_is_tried_again_by_the_owed_job(case):
    case.review.draft("12", Actor("d-aoi"))
    case.shelf.fault = Unavailable("publish.cannot_write", path="x", problem="full")
    with pytest.raises(Unavailable):
        case.review.publish("12", "en", "internal", who())
    case.shelf.fault = None
    case.review.run(case.owed())
    assert case.shelf.writes == 1


# who


@pytest.mark.parametrize(
    "flags",
    [{"is_guest": True}, {"is_bot": True}, {"is_deactivated": True}, {"is_foreign": True}, {"exists": False},
     {"channel_is_shared": True}],
)  # fmt: skip
def test_an_account_that_is_not_one_of_ours_is_refused_and_audited(case, flags):
    case.review.draft("12", Actor("d-aoi"))
    with pytest.raises(Refused):
        case.review.publish("12", "en", "internal", who(AOI, **flags))
    assert case.last().action == "postmortem.refused"
    assert case.shelf.pages == {}


def test_a_person_without_a_role_for_the_account_is_refused(case):
    stranger = replace(BEN, scopes=("999900001111",))
    case.people.roster = a_roster(AOI, stranger)
    case.review.draft("12", Actor("d-aoi"))
    for attempt in (
        lambda: case.review.publish("12", "en", "internal", who(stranger)),
        lambda: case.review.revise("12", "en", "internal", "x", who(stranger)),
        lambda: case.review.correct("12", "detected", at(-6), "a long enough reason", who(stranger)),
    ):
        with pytest.raises(Refused) as raised:
            attempt()
        assert raised.value.message.code == "postmortem.not_yours"


def test_only_those_who_lead_publish_outside(case):
    helper = replace(BEN, roles=frozenset({Role.RESPONDER}))
    case.people.roster = a_roster(AOI, helper)
    case.review.draft("12", Actor("d-aoi"))
    assert case.review.publish("12", "en", "internal", who(helper)).is_published
    with pytest.raises(Refused) as raised:
        case.review.publish("12", "en", "public", who(helper))
    assert raised.value.message.code == "postmortem.public_needs_lead"
    assert case.review.publish("12", "en", "public", who(AOI)).is_published


def test_someone_who_left_the_roster_since_is_refused(case):
    case.review.draft("12", Actor("d-aoi"))
    case.people.roster = a_roster(BEN)
    with pytest.raises(Refused):
        case.review.publish("12", "en", "internal", who(AOI))


def test_the_shell_acts_under_the_systems_name(case):
    case.review.draft("12", system("cli:ann"))
    case.review.publish("12", "en", "internal", system("cli:ann"))
    assert case.last().actor.id == "system:cli:ann"


def test_a_job_of_another_kind_is_not_ours(case):
    before = case.actions()
    case.review.run(Job("x", JobKind.SORT))
    assert case.actions() == before


def test_a_drafted_version_can_be_read_back(case):
    case.review.draft("12", Actor("d-aoi"))
    with case.store.read() as look:
        assert look.get(Postmortem, "INC-12/ja/public").language == "ja"
