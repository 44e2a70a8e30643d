"""The clouds' own logs beside the intents of the trail: every effect was intended, once, and before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from twokey.history.handed_out import CloudCall, History, Violation, moment

SLACK_OF_CLOCKS = timedelta(seconds=2)  # between the program's clock and a cloud's
_MERGES = {
    "aws.s3.merge_bucket_policy": ("PutBucketPolicy",),
    "aws.s3.restore_bucket_policy": ("PutBucketPolicy", "DeleteBucketPolicy"),
}


@dataclass(slots=True)
class _Step:
    plan: str
    step: str
    action: str
    seq: int
    at: datetime
    mentions: tuple[str, ...]
    is_used: bool = False

    def may_be(self, call: CloudCall) -> bool:
        """Say whether a call could be this step's: by its name, and by what it is about."""
        request = unquote_plus(call.request)
        return call.operation in operations_of(self.action) and (
            not self.mentions or any(name in request for name in self.mentions)
        )


def operations_of(action: str) -> tuple[str, ...]:
    """Return the names under which a cloud may log an action: its own, and the API's."""
    api = "".join(part.title() for part in action.rpartition(".")[2].split("_"))
    return (*_MERGES.get(action, (api,)), action)


def effects(history: History) -> Iterator[Violation]:
    """Lay the cloud's own log beside the intents of the trail."""
    steps: dict[tuple[str, str], _Step] = {}
    for plan in history.plans():
        for entry in plan.of("step.started"):
            data = entry["data"]
            mentions = tuple(sorted(_texts(data.get("inputs", {}))))
            name = (plan.id, str(data.get("step")))
            steps.setdefault(
                name, _Step(*name, str(data.get("action")), entry["seq"], moment(entry["at"]), mentions)
            )
            if plan.asked is None:
                yield Violation("effect-has-a-plan", entry["seq"], f"{plan.id} was never asked for")
        for entry in plan.of("step.done", "step.found_done"):
            if (plan.id, str(entry["data"].get("step"))) not in steps:
                yield Violation("intent-first", entry["seq"], f"{entry['data'].get('step')} of {plan.id}")
    for call in sorted((call for call in history.cloud if call.is_effect), key=lambda call: call.at):
        yield from _matched(call, list(steps.values()))


def _matched(call: CloudCall, steps: list[_Step]) -> Iterator[Violation]:
    candidates = [step for step in steps if step.may_be(call)]
    if not candidates:
        yield Violation("effect-has-a-plan", 0, f"{call.operation} at {call.at}: no step intended it")
        return
    free = [step for step in candidates if not step.is_used]
    if not free:
        at = candidates[-1]
        yield Violation("effect-once", at.seq, f"{call.operation} again, of {at.step} of {at.plan}")
        return
    due = [step for step in free if step.at <= call.at + SLACK_OF_CLOCKS]
    step = (due or free)[0]
    step.is_used = True
    if not due:
        yield Violation("intent-first", step.seq, f"{call.operation} came before its intent")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) > 3:
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(part)
