"""Service control policies, read and evaluated by ourselves: pure functions, used for previews and checks.

AWS cannot be asked what a policy would do before it is attached, and the emulators do not enforce these
policies at all. The rules are the IAM reference's: an explicit deny anywhere on the path wins; otherwise
every level from the Root to the account must hold an allow. What cannot be decided is `UNKNOWN`, never a yes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address, ip_network

from twokey.core.errors import Invalid, Json, Message, message

MAX_BYTES = 5120  # the size that Organizations accepts everywhere


class Answer(StrEnum):
    """What a set of policies says about one request."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Request:
    """One call that somebody in the account would make. `context` holds further condition keys."""

    action: str  # s3:DeleteBucket
    principal_arn: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)

    def value(self, key: str) -> str | None:
        """Return a condition key's value; keys are compared without regard to case."""
        if key.lower() == "aws:principalarn":
            return self.principal_arn
        if key.lower() == "aws:principalaccount":
            parts = self.principal_arn.split(":")
            return parts[4] if len(parts) > 5 else None
        return next((v for name, v in self.context.items() if name.lower() == key.lower()), None)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy, with every single value as a list."""

    effect: str
    sid: str = ""
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    not_resources: tuple[str, ...] = ()
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()  # operator, key, values


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a request, and which policy on which level decided it."""

    answer: Answer
    level: str = ""
    policy: str = ""
    sid: str = ""


def problems(document: str) -> tuple[Message, ...]:
    """Return everything that would make Organizations refuse this text as a service control policy."""
    if len(document.encode()) > MAX_BYTES:
        return (message("aws.scp.too_large", size=len(document.encode()), limit=MAX_BYTES),)
    try:
        statements = parse(document)
    except Invalid as error:
        return (error.message,)
    unknown = [
        message("aws.scp.unknown_operator", operator=operator)
        for statement in statements
        for operator, _key, _values in statement.conditions
        if _operator(operator) is None
    ]
    return tuple(unknown)


def parse(document: str) -> tuple[Statement, ...]:
    """Read a policy's statements; Invalid says which statement and what is wrong with it."""
    try:
        policy = json.loads(document)
    except ValueError:
        raise Invalid("aws.scp.not_json") from None
    if not isinstance(policy, dict):
        raise Invalid("aws.scp.not_json")
    if policy.get("Version") != "2012-10-17":
        raise Invalid("aws.scp.version")
    if unknown := sorted(set(policy) - {"Version", "Id", "Statement"}):
        raise Invalid("aws.scp.unknown_element", number=0, element=unknown[0])
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise Invalid("aws.scp.no_statement")
    return tuple(_statement(number, raw) for number, raw in enumerate(statements, start=1))


def decide(levels: Sequence[tuple[str, Mapping[str, Sequence[Statement]]]], request: Request) -> Decision:
    """Say what the policies on the path from the Root to the account do to a request.

    Each level is its id and its policies by id. A deny anywhere wins; a level without an allow denies too.
    """
    doubt: Decision | None = None
    for level, policies in levels:
        for policy, statements in policies.items():
            for statement in statements:
                if statement.effect != "Deny":
                    continue
                matched = matches(statement, request)
                if matched:
                    return Decision(Answer.DENIED, level, policy, statement.sid)
                if matched is None:
                    doubt = doubt or Decision(Answer.UNKNOWN, level, policy, statement.sid)
    for level, policies in levels:
        allows = [
            matches(statement, request)
            for statements in policies.values()
            for statement in statements
            if statement.effect == "Allow"
        ]
        if True in allows:
            continue
        if None not in allows:
            return Decision(Answer.DENIED, level)
        doubt = doubt or Decision(Answer.UNKNOWN, level)
    return doubt or Decision(Answer.ALLOWED)


def matches(statement: Statement, request: Request) -> bool | None:
    """Say whether a statement speaks about a request; None when a condition cannot be decided."""
    answers = [
        _about(statement.actions, statement.not_actions, request.action, ignore_case=True),
        _about_resource(statement, request.resource),
        *(_holds(operator, key, values, request) for operator, key, values in statement.conditions),
    ]
    if False in answers:
        return False
    return None if None in answers else True


def exempted(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Return the principals that the denies leave alone, as the conditions name them."""
    found = [
        value
        for statement in statements
        if statement.effect == "Deny"
        for operator, key, values in statement.conditions
        if key.lower() == "aws:principalarn" and operator.lower().startswith(("arnnot", "stringnot"))
        for value in values
    ]
    return tuple(dict.fromkeys(found))


def denied_actions(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Return what the denies name: actions, or "all but" those that are left out."""
    found: list[str] = []
    for statement in statements:
        if statement.effect == "Deny":
            found += statement.actions or [f"* - {name}" for name in statement.not_actions]
    return tuple(dict.fromkeys(found))


def _statement(number: int, raw: object) -> Statement:
    if not isinstance(raw, dict):
        raise Invalid("aws.scp.unknown_element", number=number, element="-")
    known = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
    if unknown := sorted(str(name) for name in set(raw) - known):
        raise Invalid("aws.scp.unknown_element", number=number, element=unknown[0])
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise Invalid("aws.scp.effect", number=number)
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in raw) == (other in raw):
            raise Invalid("aws.scp.one_of", number=number, one=one, other=other)
    return Statement(
        effect=raw["Effect"],
        sid=str(raw.get("Sid", "")),
        actions=_texts(number, raw.get("Action")),
        not_actions=_texts(number, raw.get("NotAction")),
        resources=_texts(number, raw.get("Resource")),
        not_resources=_texts(number, raw.get("NotResource")),
        conditions=_conditions(number, raw.get("Condition")),
    )


def _texts(number: int, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, str) and item for item in items):
        raise Invalid("aws.scp.not_texts", number=number)
    return tuple(items)


def _conditions(number: int, value: object) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise Invalid("aws.scp.condition", number=number)
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for operator, keys in value.items():
        if not isinstance(keys, dict) or not keys:
            raise Invalid("aws.scp.condition", number=number)
        for key, values in keys.items():
            items: list[Json] = values if isinstance(values, list) else [values]
            texts = tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)
            found.append((str(operator), str(key), texts))
    return tuple(found)


def _about(named: tuple[str, ...], left_out: tuple[str, ...], value: str, *, ignore_case: bool) -> bool:
    if left_out:
        return not any(like(pattern, value, ignore_case=ignore_case) for pattern in left_out)
    return any(like(pattern, value, ignore_case=ignore_case) for pattern in named)


def _about_resource(statement: Statement, resource: str) -> bool | None:
    if resource != "*":
        return _about(statement.resources, statement.not_resources, resource, ignore_case=False)
    # Asked about every resource at once, a statement on some of them decides nothing.
    return True if "*" in statement.resources else None


def like(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """Match IAM's wildcards: `*` is any text, `?` is one character."""
    return _pattern(pattern, ignore_case).fullmatch(value) is not None


@lru_cache(maxsize=1024)
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def arn_like(pattern: str, value: str) -> bool:
    """Match ARNs as IAM does: part by part, so that a wildcard does not reach over a colon."""
    wanted, given = pattern.split(":", 5), value.split(":", 5)
    if pattern == "*":
        return True
    if len(wanted) != 6:
        raise ValueError("not an ARN")  # what AWS makes of it is not written anywhere
    return len(given) == 6 and all(like(one, other) for one, other in zip(wanted, given, strict=True))


def _operator(operator: str) -> tuple[str, bool, bool] | None:
    """Return the plain operator, whether it is negated, whether a missing key is fine; None if unknown."""
    name = operator.rpartition(":")[2].lower()
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    negated = "not" in name and name != "null"
    plain = name.replace("not", "", 1) if negated else name
    if ":" in operator and not operator.lower().startswith(("forallvalues:", "foranyvalue:")):
        return None
    return (plain, negated, if_exists) if plain in _COMPARE or plain == "null" else None


def _holds(operator: str, key: str, values: tuple[str, ...], request: Request) -> bool | None:
    known = _operator(operator)
    if known is None or any("${" in value for value in values):
        return None
    plain, negated, if_exists = known
    actual = request.value(key)
    # A key that this request may well carry, but which we do not know, decides nothing.
    if actual is None and key.lower() not in ("aws:principalarn", "aws:principalaccount"):
        return None
    if plain == "null":
        return ((actual is None) == (values[0].lower() == "true")) if len(values) == 1 else None
    if actual is None:
        return negated or if_exists
    try:
        found = any(_COMPARE[plain](actual, value) for value in values)
    except ValueError:
        return None
    return found != negated


def _same_arn(actual: str, value: str) -> bool:
    return arn_like(value, actual)


def _before(actual: str, value: str) -> bool:
    return datetime.fromisoformat(actual) < datetime.fromisoformat(value)


_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "stringequals": lambda actual, value: actual == value,
    "stringequalsignorecase": lambda actual, value: actual.lower() == value.lower(),
    "stringlike": lambda actual, value: like(value, actual),
    "arnequals": _same_arn,
    "arnlike": _same_arn,
    "bool": lambda actual, value: actual.lower() == value.lower(),
    "numericequals": lambda actual, value: float(actual) == float(value),
    "numericlessthan": lambda actual, value: float(actual) < float(value),
    "numericlessthanequals": lambda actual, value: float(actual) <= float(value),
    "numericgreaterthan": lambda actual, value: float(actual) > float(value),
    "numericgreaterthanequals": lambda actual, value: float(actual) >= float(value),
    "datelessthan": _before,
    "dategreaterthan": lambda actual, value: _before(value, actual),
    "ipaddress": lambda actual, value: ip_address(actual) in ip_network(value, strict=False),
}
