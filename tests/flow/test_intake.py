"""What arrives is kept, sorted once, and never undone by old news: fault R3, and R4."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.core.errors import Unavailable
from twokey.core.incidents import Incident, Severity, State
from twokey.core.jobs import Job, JobKind
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.responsibility import Label
from twokey.core.sightings import Sighting
from twokey.core.signals import Principal, RawNotification, RawState, Resource, SignalKind, SignalStatus
from twokey.testing.builders import a_verdict
from twokey.testing.world import World

HOSTILE = (
    "<!channel> <https://evil.example|Approve here> ${{ params.x }} {{ 7*7 }} \u202e`x` \x00 \x1b[31m {plan}"
)


def update(world, number, **changes):
    """Make the so-manieth update of one matter."""
    told_at = world.clock.now() + timedelta(minutes=number)
    return world.finding(f"f1-{number}", **{"subject": "f1", "updated_at": told_at, **changes})


def card(world, incident="INC-1"):
    with world.store.read() as look:
        return look.get(Notice, f"card:{incident}")


def test_a_finding_opens_an_incident_and_owes_its_card(world):
    world.arrives(world.finding())
    assert world.incidents() == []
    world.works()
    incident = world.incidents()[0]
    assert (incident.id, incident.state, incident.severity) == ("INC-1", State.TRIAGE, Severity.SEV2)
    assert (incident.workspace, incident.enterprise, incident.account) == ("T1", "E1", "111122223333")
    assert card(world).state is NoticeState.PENDING
    assert world.actions() == ["received", "opened", "sorted"]


def test_ten_deliveries_of_one_finding_are_one(world):
    for _ in range(10):
        world.arrives(world.finding())
        world.works()
    assert len(world.incidents()) == 1
    assert world.incidents()[0].signals == 1


def test_the_same_finding_through_two_doors_is_one(world):
    world.arrives(world.finding(), source="aws.sqs:findings")
    world.arrives(world.finding(), source="aws.sns")
    world.works()
    assert (len(world.incidents()), world.incidents()[0].signals) == (1, 1)


def test_sorting_twice_is_sorting_once(world):
    (raw,) = world.arrives(world.finding())
    world.works()
    world.intake.sort(raw)
    world.intake.sort("raw-nobody")
    assert world.incidents()[0].signals == 1
    assert world.actions().count("sorted") == 1


def test_an_update_goes_to_its_incident(world):
    world.incident(subject="f1")
    world.arrives(update(world, 1, severity=9.0))
    world.works()
    (incident,) = world.incidents()
    assert (incident.signals, incident.severity) == (2, Severity.SEV1)


def test_a_storm_of_forty_five_deletions_is_one_incident_with_a_count(world):
    for number in range(45):
        world.arrives(
            world.finding(
                f"f{number}",
                type="Impact:S3/AnomalousBehavior.Delete",
                resources=(Resource(f"arn:aws:s3:::bucket-{number}", "AwsS3Bucket"),),
            )
        )
        world.works()
        world.clock.advance(1)
    (incident,) = world.incidents()
    assert (incident.signals, len(incident.resources)) == (45, 45)
    cards = [notice for notice in world.notices() if notice.kind is NoticeKind.CARD]
    assert len(cards) == 1


def test_a_storm_that_is_over_does_not_take_in_the_next(world):
    world.incident("f1")
    world.clock.advance(3599)
    world.incident("f2")
    assert len(world.incidents()) == 1  # the hour counts from the last signal
    world.clock.advance(3601)
    world.incident("f3")
    assert [incident.signals for incident in world.incidents()] == [2, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "444455556666"},
        {"principal": Principal("eve", "IAMUser", "AKIAEVE")},
        {"principal": Principal()},
    ],
)
def test_another_attacker_is_another_incident(world, changes):
    world.incident("f1")
    world.incident("f2", **changes)
    assert len(world.incidents()) == 2


def test_a_storm_does_not_go_to_an_incident_that_is_over(world):
    world.incident("f1")
    world.response.change_state("INC-1", State.CANCELLED, world.who("ana"), "benign")
    world.incident("f2")
    assert [incident.id for incident in world.incidents()] == ["INC-1", "INC-2"]


def test_two_outages_of_one_service_are_two(world):
    for name in ("e1", "e2"):
        world.incident(name, label=Label.PROVIDER_OUTAGE, kind=SignalKind.EVENT, family="health")
    assert len(world.incidents()) == 2


@pytest.mark.parametrize(
    "changes", [{"is_test": True}, {"is_muted": True}, {"status": SignalStatus.RESOLVED}]
)
def test_what_is_no_alarm_is_kept_and_opens_nothing(world, changes):
    world.arrives(world.finding(**changes))
    world.works()
    assert world.incidents() == []
    with world.store.read() as look:
        assert look.get(Sighting, "f1").incident_id == ""


def test_a_verdict_that_opens_nothing_opens_nothing(world):
    world.signals.verdict = lambda signal, raw: a_verdict(Label.INFORMATIONAL, opens_incident=False)
    world.arrives(world.finding())
    world.works()
    assert world.incidents() == []


def test_the_source_saying_it_is_over_is_told_once_and_closes_nothing(world):
    world.incident(subject="f1")
    for number in (1, 2):
        world.arrives(update(world, number, status=SignalStatus.RESOLVED))
        world.works()
    (incident,) = world.incidents()
    assert (incident.provider_resolved, incident.state) == (True, State.TRIAGE)
    assert world.told().count("intake.source_resolved") == 1


def test_the_source_saying_that_it_goes_on_after_all_is_told(world):
    world.incident(subject="f1")
    world.arrives(update(world, 1, status=SignalStatus.RESOLVED))
    world.arrives(update(world, 2, status=SignalStatus.UPDATED))
    world.works()
    assert not world.incidents()[0].provider_resolved
    assert "intake.source_open_again" in world.told()


def test_a_new_label_is_told_and_both_verdicts_stay_on_record(world):
    world.incident(subject="f1", label=Label.UNKNOWN)
    world.arrives(update(world, 1), label=Label.PROVIDER_OUTAGE)
    world.works()
    assert world.incidents()[0].verdict.label is Label.PROVIDER_OUTAGE
    assert "intake.reclassified" in world.told()
    with world.store.read() as look:
        labels = [seen.verdict.label for seen in look.find(Sighting)]
    assert labels == [Label.UNKNOWN, Label.PROVIDER_OUTAGE]


def test_two_things_to_tell_about_one_update_are_both_told(world):
    world.incident(subject="f1", label=Label.UNKNOWN)
    world.arrives(update(world, 1, status=SignalStatus.RESOLVED), label=Label.PROVIDER_OUTAGE)
    world.works()
    assert {"intake.source_resolved", "intake.reclassified"} <= set(world.told())


def test_a_verdict_that_a_person_gave_is_not_changed_by_an_update(world):
    world.incident(subject="f1")
    incident = world.incidents()[0]
    world.tampers(replace(incident, verdict=a_verdict(Label.CUSTOMER_INITIATED, rule="human")))
    world.arrives(update(world, 1))
    world.works()
    assert world.incidents()[0].verdict.label is Label.CUSTOMER_INITIATED


def test_a_storm_does_not_change_the_verdict_of_its_incident(world):
    world.incident("f1")
    world.incident("f2")
    assert "intake.reclassified" not in world.told()


# old news


def test_a_stale_update_changes_neither_label_nor_standing(world):
    world.incident("f1-5", subject="f1", updated_at=world.clock.now() + timedelta(minutes=5))
    world.arrives(update(world, 1, status=SignalStatus.RESOLVED), label=Label.UNKNOWN)
    world.works()
    (incident,) = world.incidents()
    assert (incident.provider_resolved, incident.verdict.label) == (False, Label.CUSTOMER_SECURITY)
    assert incident.signals == 2


def test_old_news_after_the_end_is_told_as_what_is_known_by_now(world):
    """The resolution overtook the alarm: people learn of the matter, and that it is over."""
    world.arrives(update(world, 2, status=SignalStatus.RESOLVED), label=Label.PROVIDER_OUTAGE)
    world.arrives(update(world, 1), label=Label.UNKNOWN)
    world.works()
    (incident,) = world.incidents()
    assert incident.provider_resolved
    assert incident.verdict.label is Label.PROVIDER_OUTAGE


@settings(max_examples=200, deadline=None)
@given(
    order=st.permutations(range(6)),
    repeats=st.lists(st.integers(0, 5), max_size=4),
    over=st.sets(st.integers(1, 5)),
)
def test_the_order_of_updates_does_not_show_in_the_incident(order, repeats, over):
    """R3: duplicates and reordered updates end in one incident in the latest state."""

    def after(sequence):
        world = World()
        for number in sequence:
            status = SignalStatus.RESOLVED if number in over else SignalStatus.UPDATED
            label = Label.PROVIDER_OUTAGE if number % 2 else Label.UNKNOWN
            signal = update(
                world,
                number,
                kind=SignalKind.EVENT,
                family="health",
                status=status,
                severity=float(number),
                resources=(Resource(f"r{number % 4}"),),
                principal=Principal(),
            )
            world.arrives(signal, label=label)
            world.works()
        (incident,) = world.incidents()
        return incident.provider_resolved, incident.verdict.label, incident.state

    assert after([*order, *repeats]) == after(list(range(6)))


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(6)), cut=st.integers(0, 6))
def test_no_order_of_updates_re_opens_an_incident_that_people_closed(order, cut):
    world = World()
    world.incident("f1-9", subject="f1", updated_at=world.clock.now() + timedelta(minutes=9), severity=5.0)
    for number in order[:cut]:
        world.arrives(update(world, number))
    world.works()
    world.response.change_state("INC-1", State.CANCELLED, world.who("ana"), "benign")
    for number in order[cut:]:
        world.arrives(update(world, number))
    world.works()
    (incident,) = world.incidents()
    assert incident.state is State.CANCELLED


def test_an_attack_that_goes_on_after_closing_is_a_new_incident(world):
    world.incident("f1-0", subject="f1")
    world.response.change_state("INC-1", State.CANCELLED, world.who("ana"), "false-positive")
    world.arrives(update(world, 5))
    world.works()
    world.arrives(update(world, 6))
    world.works()
    assert [(i.id, i.state, i.signals) for i in world.incidents()] == [
        ("INC-1", State.CANCELLED, 1),
        ("INC-2", State.TRIAGE, 2),
    ]


def test_news_that_the_source_has_archived_it_after_closing_opens_nothing(world):
    world.incident("f1-0", subject="f1")
    world.response.change_state("INC-1", State.CANCELLED, world.who("ana"), "benign")
    world.arrives(update(world, 5, is_muted=True))
    world.arrives(update(world, 6, status=SignalStatus.RESOLVED))
    world.works()
    assert len(world.incidents()) == 1


def test_a_late_word_of_the_provider_after_closing_stays_with_its_incident(world):
    """A final review comes weeks later under the same tracking id: that is no new outage."""
    world.incident("e1", label=Label.PROVIDER_OUTAGE, kind=SignalKind.EVENT, subject="e")
    world.response.change_state("INC-1", State.RESOLVED, world.who("ana"))
    world.response.change_state("INC-1", State.POSTMORTEM, world.who("ana"))
    world.response.change_state("INC-1", State.CLOSED, world.who("ana"))
    late = world.finding("e2", kind=SignalKind.EVENT, subject="e", status=SignalStatus.RESOLVED)
    world.arrives(late, label=Label.PROVIDER_OUTAGE)
    world.works()
    assert [(i.id, i.state) for i in world.incidents()] == [("INC-1", State.CLOSED)]


@pytest.mark.parametrize("how", ["storm", "update"])
def test_an_attack_that_goes_on_after_it_was_called_resolved_is_said_once_and_loudly(world, how):
    world.incident("f1-0", subject="f1")
    world.response.change_state("INC-1", State.RESOLVED, world.who("ana"))
    for number in (1, 2, 3):
        world.clock.advance(10)
        signal = update(world, number) if how == "update" else world.finding(f"g{number}")
        world.arrives(signal)
        world.works()
    loud = [n for n in world.notices() if n.kind is NoticeKind.BROADCAST]
    assert [m.code for n in loud for m in n.messages].count("intake.goes_on") == 1
    assert world.incidents()[0].state is State.RESOLVED


# what cannot be read


def test_what_cannot_be_read_is_kept_shown_and_in_nobodys_way(world):
    (raw_id,) = world.receives(b"\xff\xfe not json")
    world.receives("unheard of")
    world.arrives(world.finding())
    world.works_on(60, step_s=60)
    assert len(world.incidents()) == 1
    with world.store.read() as look:
        raw = look.get(RawNotification, raw_id)
    assert (raw.state, raw.body) == (RawState.UNREADABLE, b"\xff\xfe not json")
    shown = [n for n in world.notices() if n.kind is NoticeKind.UNREADABLE]
    assert len(shown) == 2
    assert raw_id in [n.context["raw_id"] for n in shown]


def test_a_notification_of_a_cloud_that_nobody_reads_is_shown(world):
    world.receives("{}", source="gcp.webhook")
    world.works()
    assert "intake.unreadable" in world.told()


def test_a_bug_in_a_reader_is_tried_again_and_then_shown(world):
    (raw_id,) = world.arrives(world.finding())
    world.signals.normalise = lambda raw: 1 / 0
    world.works_on(60, step_s=60)
    with world.store.read() as look:
        assert look.get(RawNotification, raw_id).state is RawState.UNREADABLE
    assert world.incidents() == []


def test_a_bug_in_a_reader_that_is_mended_in_time_loses_nothing(world):
    world.arrives(world.finding())
    reader = world.signals.normalise
    world.signals.normalise = lambda raw: 1 / 0
    world.works()
    world.signals.normalise = reader
    world.works_on(1)
    assert len(world.incidents()) == 1


def test_giving_up_does_not_undo_what_was_sorted(world):
    (raw_id,) = world.arrives(world.finding())
    world.works()
    world.parked(
        Job("sort:x", JobKind.SORT, {"raw_id": raw_id}), Unavailable("store.unavailable", reason="locked")
    )
    with world.store.read() as look:
        assert look.get(RawNotification, raw_id).state is RawState.SORTED


def test_one_notification_with_several_findings_is_taken_in_whole(world):
    findings = [world.finding(f"f{n}", principal=Principal(f"u{n}", "IAMUser", f"AKIA{n}")) for n in range(3)]
    world.arrives(*findings)
    world.works()
    assert len(world.incidents()) == 3
    assert world.actions().count("sorted") == 1


def test_hostile_text_is_kept_as_it_came(world):
    world.incident(title=HOSTILE, description=HOSTILE, resources=(Resource(HOSTILE),))
    with world.store.read() as look:
        assert look.get(Incident, "INC-1").title == HOSTILE
        assert look.get(Sighting, "f1").signal.description == HOSTILE
    assert HOSTILE not in str([n.messages for n in world.notices()])


def test_the_trail_proves_itself_after_all_this(world):
    world.incident("f1")
    world.incident("f2")
    world.contains()
    world.store.verify()
    trail = world.trail()
    assert all(after.previous == before.hash for before, after in pairwise(trail))
