"""Containments in force: what is contained, by which plan, since when, and when somebody looked last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from twokey.core.errors import Message
from twokey.core.runbooks import Plan, Touch, references

NOTED_EVERY = timedelta(hours=1)  # looks that saw nothing new are written down no more often than this
PATIENCE = timedelta(hours=2)  # for so long beyond its time a look may fail before people are told
WHILE_OPEN = (timedelta(minutes=5), timedelta(hours=1))  # between two looks: at least, at most
AFTERWARDS = (timedelta(hours=1), timedelta(days=7))


class InForceState(StrEnum):
    """Where one containment stands; the values are stored, so they are never renamed."""

    IN_FORCE = "in-force"
    DRIFTED = "drifted"  # a look said no: it is not as it was left
    UNSEEN = "unseen"  # nobody can tell: the cloud is silent for too long, or does not let us look
    UNDONE = "undone"  # taken back, by a plan of its own


@dataclass(frozen=True, slots=True)
class InForce:
    """One verified write of one plan that nobody has undone."""

    id: str  # <plan id>/<step id>
    plan_id: str
    incident_id: str
    state: InForceState
    account: str
    since: datetime
    step_id: str = ""
    action: str = ""
    title: str = ""  # the plan's
    digest: str = ""  # the plan's
    touches: tuple[Touch, ...] = ()
    people: tuple[str, ...] = ()  # whose keys the plan had
    owner: str = ""  # person id: who is reminded
    last_seen: datetime | None = None  # None: it was not looked at since it was registered
    changed_at: datetime | None = None  # when the state became what it is
    reason: Message | None = None  # why it is drifted or unseen
    review_at: datetime | None = None  # None: so long after `since` as the settings say
    reminded: int = 0  # how often its owner was told that the review is due
    look: int = 0  # names the look that is owed: an older one is stale

    @property
    def short(self) -> str:
        """Return the part of the plan's digest that people compare by eye."""
        return self.digest[:12]

    @property
    def what(self) -> str:
        """Return what is contained, for people."""
        names = ", ".join(dict.fromkeys(_named(touch) for touch in self.touches))
        return f"{names} \u00b7 {self.action}" if names else self.action


def _named(touch: Touch) -> str:
    called = f" ({touch.name})" if touch.name not in ("", touch.id) else ""
    return f"{touch.kind} {touch.id}{called}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one look at one containment saw: it holds, it does not, or (None) that nobody can tell now."""

    holds: bool | None
    reason: Message | None = None
    is_final: bool = False  # nobody can tell, and asking again will not help: access denied, or not there


def after_look(row: InForce, answer: Answer, now: datetime, *, is_open: bool) -> InForce:
    """Return a containment as a look leaves it; a cloud that does not answer changes nothing for some hours."""
    if answer.holds:
        seen = replace(row, state=InForceState.IN_FORCE, last_seen=now, reason=None)
        return seen if row.state is InForceState.IN_FORCE else replace(seen, changed_at=now)
    state = InForceState.DRIFTED
    if answer.holds is None:
        last = row.last_seen or row.since
        patience = PATIENCE + wait_before_next(row.changed_at or row.since, last, is_open=is_open)
        is_borne = not answer.is_final and now - last < patience
        if row.state is not InForceState.IN_FORCE or is_borne:
            return row
        state = InForceState.UNSEEN
    if row.state is state:
        return row
    return replace(row, state=state, changed_at=now, reason=answer.reason)


def is_worth_noting(before: InForce, after: InForce) -> bool:
    """Say whether a look saw something new, or the last one that is on record is long ago."""
    if before.state is not after.state:
        return True
    if after.last_seen is None or before.last_seen is None:
        return after.last_seen is not before.last_seen
    return after.last_seen - before.last_seen >= NOTED_EVERY


def wait_before_next(since: datetime, now: datetime, *, is_open: bool) -> timedelta:
    """Return how long to wait before the next look: as long as it has been quiet, within limits."""
    least, most = WHILE_OPEN if is_open else AFTERWARDS
    return max(least, min(most, now - since))


def review_of(row: InForce, review_after: timedelta) -> datetime:
    """Return when somebody should say whether a containment is still wanted."""
    return row.review_at or row.since + review_after


def next_reminder(row: InForce, review_after: timedelta) -> datetime:
    """Return when its owner is told next that the review is due: on the day, 1, 3 and 7 days later, then weekly."""
    told = row.reminded
    days = 2**told - 1 if told <= 3 else 7 * (told - 2)
    return review_of(row, review_after) + timedelta(days=days)


def built_upon(plan: Plan) -> frozenset[str]:
    """Return the writes whose results later writes work on.

    What such a step verified was true right after it: a unit that was made is empty until an account is moved in.
    """
    found = set[str]()
    for place, step in enumerate(plan.writes):
        later = [dict(other.inputs) for other in plan.writes[place + 1 :]]
        if any(path.startswith(f"steps.{step.id}.") for inputs in later for path in references(inputs)):
            found.add(step.id)
    return frozenset(found)
