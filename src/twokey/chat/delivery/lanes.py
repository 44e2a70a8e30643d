"""Ordering lanes: messages that people must read in order share a lane, and only the first of a lane is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twokey.core.notices import Notice, NoticeKind


def first_of_each_lane(pending: Iterable[Notice]) -> Iterator[Notice]:
    """Yield the notice of every lane that is sent next."""
    seen: set[str] = set()
    for notice in sorted(pending, key=lambda n: n.order):
        lane = lane_of(notice)
        if lane not in seen:
            seen.add(lane)
            yield notice


def lane_of(notice: Notice) -> str:
    """Return the lane of a notice; an update is in a lane of its own."""
    if notice.sent_as or notice.kind in (NoticeKind.CARD, NoticeKind.FILE):
        return notice.id  # a file that the chat does not take holds up no message
    if notice.kind is NoticeKind.PRIVATE:
        return f"person:{notice.person_id}"
    if is_in_thread(notice):
        return f"thread:{notice.incident_id}"
    return notice.kind.value + notice.context.get("elsewhere", "") + notice.context.get("security", "")


def is_in_thread(notice: Notice) -> bool:
    """Say whether a notice is written under its incident's card."""
    in_thread = (NoticeKind.THREAD, NoticeKind.BROADCAST, NoticeKind.APPROVAL, NoticeKind.FILE)
    return notice.kind in in_thread and bool(notice.incident_id)
