"""What is known of a subject from its latest sighting alone is what reading all of them says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st

from twokey.core.responsibility import Confidence, Label, Verdict
from twokey.core.sightings import SubjectState, fold_signal, is_stale, knows, settled
from twokey.core.signals import Signal, SignalStatus
from twokey.testing.builders import a_signal, a_verdict, at

is_root_cause = attrgetter("is_root_cause")
NEVER, FOREVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
Word = tuple[Signal, Verdict, str]  # with the incident it went to

moments = st.none() | st.integers(0, 3).map(at)
signals = st.builds(
    lambda moment, status, stage: replace(
        a_signal(updated_at=moment, status=status), is_root_cause=stage == "RCA"
    ),
    moments,
    st.sampled_from(SignalStatus),
    st.sampled_from(["", "Active", "RCA"]),
)
verdicts = st.builds(
    lambda label, confidence, rule: a_verdict(label=label, confidence=confidence, rule=rule),
    st.sampled_from([Label.UNKNOWN, Label.PROVIDER_OUTAGE, Label.CUSTOMER_CONFIG]),
    st.sampled_from([Confidence.LOW, Confidence.HIGH]),
    st.sampled_from(["one", "two", "three"]),
)
words = st.lists(st.tuples(signals, verdicts, st.sampled_from(["", "INC-1", "INC-2"])), max_size=6)


def told(earlier: list[Word]) -> SubjectState | None:
    so_far = None
    for signal, verdict, incident in earlier:
        so_far = fold_signal(so_far, signal, verdict, incident)
    return so_far


def latest(earlier: list[Word]) -> Word | None:
    dated = [word for word in reversed(earlier) if word[0].updated_at]
    return max(dated, key=lambda word: word[0].updated_at or NEVER) if dated else None


@given(words, signals, verdicts)
def test_it_says_what_all_sightings_say(earlier, signal, verdict):
    so_far, newest = told(earlier), latest(earlier)
    stale = bool(newest and signal.updated_at and signal.updated_at < (newest[0].updated_at or NEVER))
    assert is_stale(signal, so_far) is stale
    said = [(one.updated_at or NEVER, judged) for one, judged, _ in earlier]
    said.append((signal.updated_at or FOREVER, verdict))
    known = [(moment, judged) for moment, judged in said if knows(judged)]
    if known:
        last = max(moment for moment, _ in known)
        expected = next(judged for moment, judged in reversed(known) if moment == last)
    else:
        expected = newest[1] if newest and stale else verdict
    assert settled(signal, verdict, so_far) == expected
    if so_far:
        assert so_far.incident_id == next((to for _, _, to in reversed(earlier) if to), "")
        assert so_far.is_loose is any(not to for _, _, to in earlier)
        assert so_far.has_root_cause is any(is_root_cause(one) for one, _, _ in earlier)
        over = newest is not None and newest[0].status is SignalStatus.RESOLVED
        assert (newest is not None and so_far.said_over) is over


def test_what_was_said_later_counts_whenever_it_comes():
    late, early = a_verdict(rule="late"), a_verdict(rule="early")
    so_far = fold_signal(None, a_signal(updated_at=at(0) + timedelta(hours=1)), late, "INC-1")
    assert settled(a_signal(updated_at=at(0)), early, so_far) == late
