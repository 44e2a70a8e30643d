"""How a check is asked: a fact that cannot be read is a no, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from twokey.core.errors import Json, Message, TwokeyError, Unavailable, message
from twokey.core.runbooks import CheckResult, Target
from twokey.providers.aws.session import Calls

Ask = Callable[[Calls, Target, Mapping[str, Json]], CheckResult]


@dataclass(frozen=True, slots=True)
class Question:
    """A check as written down. `permissions` are those that the reads behind it take."""

    name: str
    ask: Ask
    permissions: tuple[str, ...]
    inputs: Mapping[str, str]


class AwsCheck:
    """One question to AWS; it fails closed."""

    def __init__(self, calls: Calls, question: Question) -> None:
        self.calls = calls
        self.name = question.name
        self.permissions = question.permissions
        self.inputs = question.inputs
        self._ask = question.ask

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        """Answer, with what was seen; what may not be read does not hold.

        A cloud that does not answer is no answer: Unavailable is raised, and the question is asked again later.
        """
        try:
            return self._ask(self.calls, target, inputs)
        except Unavailable:
            raise
        except TwokeyError as error:
            return CheckResult(False, {"not_readable": error.message.code}, error.message)


def answer(reason: Message | None, seen: Mapping[str, Json]) -> CheckResult:
    """Return yes, or no with the reason."""
    return CheckResult(reason is None, seen, reason)


def equal(what: str, seen: Json, wanted: Json) -> CheckResult:
    """Compare what was seen with what is wanted."""
    reason = None if seen == wanted else message("aws.check.differs", what=what, seen=seen, wanted=wanted)
    return CheckResult(reason is None, {what: seen}, reason)


def equal_lists(what: str, seen: Iterable[str], wanted: Json) -> CheckResult:
    """Compare what was seen with what is wanted, whatever the order."""
    named = sorted(str(one) for one in cast("list[Json]", wanted or []))
    return equal(what, cast("Json", sorted(seen)), cast("Json", named))
