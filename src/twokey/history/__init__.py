"""The history checker: did the promises hold? Decided from what was handed out, not from the program's own word.

It reads the audit export, and what the clouds and the chat logged themselves, as JSON lines; it imports nothing of
the program. A line of a cloud's log is `{"at", "operation", "status", "request"}`, one of the chat's
`{"method", "ok", "ts"}`. For files: `twokey audit judge`, or `python -m twokey.history`.
"""

from twokey.history.handed_out import CloudCall, History, Violation, read
from twokey.history.promises import PROMISES, judge

__all__ = ["PROMISES", "CloudCall", "History", "Violation", "judge", "read"]
