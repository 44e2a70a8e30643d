"""Working an incident: seen, taken, led, noted, moved on; and every no is on record."""

from dataclasses import replace

import pytest

from twokey.core.errors import NotFound, Refused
from twokey.core.incidents import Severity, State
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.people import ChatAccount, Roster
from twokey.core.signals import Principal
from twokey.testing.people import person, the_team


@pytest.fixture
def world(world):
    """Return a world in which one incident is open."""
    world.incident()
    return world


def test_an_incident_is_found_however_its_id_is_typed(world):
    assert {world.response.shown(typed).id for typed in ("1", "inc-1", "INC-1", " INC-1 ")} == {"INC-1"}
    with pytest.raises(NotFound):
        world.response.shown("INC-7")


def test_the_first_to_say_that_they_are_on_it_counts(world):
    world.response.acknowledge("INC-1", world.who("ana"))
    acked = world.incidents()[0].times.acked
    world.clock.advance(60)
    incident = world.response.acknowledge("INC-1", world.who("ben"))
    assert (incident.times.acked, incident.state) == (acked, State.INVESTIGATING)
    assert world.actions()[-1] == "acknowledged.again"


def test_there_is_one_commander_at_a_time(world):
    for name in ("ANA", "BEN"):
        world.response.assign("INC-1", "ic", ChatAccount("T1", f"U-{name}"), world.who("ana"))
    world.response.assign("INC-1", "scribe", ChatAccount("T1", "U-DIA"), world.who("ana"))
    incident = world.incidents()[0]
    assert (incident.commander, incident.roles) == ("d-ben", {"scribe": "d-dia"})


@pytest.mark.parametrize("account", [ChatAccount("T1", "U-NOBODY"), ChatAccount("T2", "U-ANA")])
def test_nobody_leads_whom_the_roster_does_not_know(world, account):
    with pytest.raises(Refused, match=r"refused.unknown_identity"):
        world.response.assign("INC-1", "ic", account, world.who("ana"))


def test_a_note_is_kept_as_it_was_written(world):
    world.response.note("INC-1", "  <!channel> *hello*  ", world.who("dia"))
    assert world.trail()[-1].data == {"text": "<!channel> *hello*"}
    with pytest.raises(Refused, match=r"refused.note_empty"):
        world.response.note("INC-1", " ", world.who("dia"))


def test_a_person_may_grade_it_lower_and_the_next_finding_only_higher(world):
    world.response.change_severity("INC-1", Severity.SEV4, world.who("ana"))
    world.arrives(world.finding("f2", severity=5.0))
    world.works()
    assert world.incidents()[0].severity is Severity.SEV3


def test_the_states_keep_their_times(world):
    world.clock.advance(60)
    world.response.change_state("INC-1", State.MONITORING, world.who("ana"))
    mitigated = world.clock.now()
    world.clock.advance(60)
    incident = world.response.change_state("INC-1", State.RESOLVED, world.who("ana"))
    assert (incident.times.mitigated, incident.times.resolved) == (mitigated, world.clock.now())


def test_an_illegal_move_names_the_legal_ones_and_is_on_record(world):
    with pytest.raises(Refused, match=r"refused.illegal_move"):
        world.response.change_state("INC-1", State.CLOSED, world.who("ana"))
    entry = world.trail()[-1]
    assert (entry.action, entry.actor.id, entry.incident_id) == ("moved.refused", "d-ana", "INC-1")


CHANGES = {
    "acknowledged": lambda response, who: response.acknowledge("INC-1", who),
    "assigned": lambda response, who: response.assign("INC-1", "ic", ChatAccount("T1", "U-ANA"), who),
    "noted": lambda response, who: response.note("INC-1", "x", who),
    "severity.changed": lambda response, who: response.change_severity("INC-1", Severity.SEV4, who),
    "moved": lambda response, who: response.change_state("INC-1", State.CANCELLED, who, "benign"),
}


@pytest.mark.parametrize("action", CHANGES)
def test_who_holds_no_role_for_the_account_changes_nothing_and_the_no_is_on_record(world, action):
    before = world.incidents()
    with pytest.raises(Refused, match=r"refused.not_responder") as raised:
        CHANGES[action](world.response, world.who("far"))
    assert raised.value.message.params == {"person": "Far", "scope": before[0].account}
    entry = world.trail()[-1]
    assert (entry.action, entry.actor.id, entry.incident_id) == (f"{action}.refused", "d-far", "INC-1")
    assert entry.data["code"] == "refused.not_responder"
    assert world.incidents() == before


def test_where_an_incident_has_no_account_any_role_will_do_but_not_none(world):
    nobody = replace(person("nob"), roles=frozenset())
    world.rosters.roster = Roster((*the_team().people, nobody))
    world.incident("f2", account="", principal=Principal())
    world.response.note("INC-2", "seen", world.who("far"))
    with pytest.raises(Refused, match=r"refused.not_responder.*scope='INC-2'"):
        world.response.note("INC-2", "seen", world.who("nob"))


def test_an_incident_that_is_over_stays_as_it_is(world):
    world.response.change_state("INC-1", State.CANCELLED, world.who("ana"), "duplicate")
    for act in (
        lambda: world.response.acknowledge("INC-1", world.who("ben")),
        lambda: world.response.note("INC-1", "x", world.who("ben")),
        lambda: world.response.change_severity("INC-1", Severity.SEV1, world.who("ben")),
        lambda: world.response.change_state("INC-1", State.TRIAGE, world.who("ben")),
        lambda: world.previews("ben"),
    ):
        with pytest.raises(Refused, match=r"refused.incident_over"):
            act()


def test_every_change_is_told_with_the_number_and_hash_of_its_entry(world):
    world.response.note("INC-1", "found the key on a public page", world.who("ana"))
    entry = world.trail()[-1]
    notice = next(n for n in world.notices() if n.kind is NoticeKind.THREAD)
    assert notice.context == {"audit_seq": str(entry.seq), "audit_hash": entry.hash}


def test_lists_are_pages_of_what_was_asked_for(world):
    for number in range(2, 5):
        principal = Principal(f"u{number}", "IAMUser", f"AKIA{number}")
        world.incident(f"f{number}", principal=principal)
    world.response.assign("INC-2", "comms", ChatAccount("T1", "U-DIA"), world.who("ana"))
    world.response.change_state("INC-3", State.CANCELLED, world.who("ana"), "benign")

    def ids(which, **asked):
        page, total = world.response.listed(which, **asked)
        return [incident.id for incident in page], total

    assert ids("open") == (["INC-4", "INC-2", "INC-1"], 3)
    assert ids("open", page=2, size=2) == (["INC-1"], 3)
    assert ids("all")[1] == 4
    assert ids("mine", who=world.who("dia")) == (["INC-2"], 1)
    world.clock.advance(15 * 24 * 3600)
    assert ids("stale")[1] == 3
    with pytest.raises(NotFound):
        ids("whatever")


def test_announcing_twice_keeps_the_first_moment(world):
    world.response.announced("INC-1")
    first = world.clock.now()
    world.clock.advance(60)
    world.response.announced("INC-1")
    assert world.incidents()[0].times.notified == first


# the outbox


def notice(world, notice_id):
    with world.store.read() as look:
        return look.get(Notice, notice_id)


def sent(world, notice_id, state=NoticeState.SENT):
    world.tampers(replace(notice(world, notice_id), state=state, sent_as="C1/1.0", attempts=1))


def test_a_card_that_is_still_owed_is_owed_once(world):
    before = notice(world, "card:INC-1")
    world.response.acknowledge("INC-1", world.who("ana"))
    assert notice(world, "card:INC-1") == before


@pytest.mark.parametrize("state", [NoticeState.SENT, NoticeState.SENDING, NoticeState.FAILED])
def test_a_card_that_was_sent_is_owed_again_as_an_update_of_the_same_message(world, state):
    before = notice(world, "card:INC-1")
    sent(world, "card:INC-1", state)
    world.response.acknowledge("INC-1", world.who("ana"))
    after = notice(world, "card:INC-1")
    assert (after.state, after.sent_as, after.attempts) == (NoticeState.PENDING, "C1/1.0", 1)
    assert after.order > before.order


def test_a_plans_card_follows_its_state(world):
    plan = world.proposes("ana")
    sent(world, f"approval:{plan.id}")
    world.approves("ben", plan)
    assert notice(world, f"approval:{plan.id}").state is NoticeState.PENDING


def test_the_outbox_is_numbered_without_gaps_or_repeats(world):
    world.contains()
    orders = sorted(n.order for n in world.notices())
    assert len(orders) == len(set(orders))
    assert 0 not in orders
