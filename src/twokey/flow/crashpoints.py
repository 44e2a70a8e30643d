"""Crash points: the places where a process may be cut off, by name. The tests end it at each of them.

Between any two things that reach the outside (a change of the record, a call that writes) lies one; a test walks
every write of every shipped runbook and fails where none does.
"""

from __future__ import annotations

from enum import StrEnum


class At(StrEnum):
    """A place around a piece of work; the code passes it with `checkpoint(At....)`."""

    RECEIVE = "receive:before"  # nothing is kept: whoever sent it must come again
    RECEIVED = "receive:kept"  # durable, and not yet acknowledged: it comes again and is the same row
    SORT = "sort:before"
    SORTED = "sort:kept"  # sorted and announced, and the job is still owed
    SEND = "send:claimed"  # the outbox row says "sending", and Slack was not called
    SAID = "send:said"  # Slack has it, and the row does not know
    SENT = "send:settled"
    CLAIM = "run:claim"  # a run that nobody has begun, or that its worker left
    CLAIMED = "run:claimed"  # the fence is raised: no earlier worker can write any more
    FINISH = "run:finish"  # every step is over, and the run is not
    FINISHED = "run:finished"  # the run is over, and the job is still owed
    PUBLISH_INTENDED = "publish:intended"
    PUBLISH_ACTED = "publish:acted"


class Around(StrEnum):
    """A place around one step of a run: its crash points are `<step>:<place>`, see `around`."""

    BEFORE_INTENT = "before-intent"  # nothing of a write is on record
    AFTER_INTENT = "after-intent"  # the intent is on record, and the cloud was not called
    BEFORE_CALL = "before-call"  # the fence was looked at just now, and the cloud is called next
    AFTER_CALL = "after-call"  # the cloud has done it, and nobody wrote it down
    BEFORE_RECORD = "before-record"  # a row of the journal is written, and the transaction is still open
    FAILED = "failed"  # the cloud said no, or nothing, and nobody wrote it down
    RECORDED = "recorded"  # what came back is on record
    VERIFIED = "verified"  # and so is what a read showed afterwards


def around(step_id: str, place: Around) -> str:
    """Name a crash point of a step."""
    return f"{step_id}:{place}"


def after_row(action: str) -> Around:
    """Return the place that lies behind a journal row, told by its audit action."""
    return {"step.started": Around.AFTER_INTENT, "step.verified": Around.VERIFIED}.get(
        action, Around.RECORDED
    )
