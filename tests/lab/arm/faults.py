"""Faults that can be ordered from the fake Resource Manager."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twokey.core.errors import Json


@dataclass(slots=True)
class Fault:
    """Spoil the next `times` requests whose method and path match.

    `status` answers with an error instead; `cut` closes the connection without an answer, after the effect
    when `after_effect`; `delay_s` waits first.
    """

    path: str = ".*"  # regular expression, searched in the path without letter case
    method: str = ""
    times: int = 1
    status: int = 0
    code: str = "InternalServerError"
    text: str = "something went wrong"
    retry_after: str = ""
    cut: bool = False
    after_effect: bool = False
    delay_s: float = 0.0

    def fits(self, method: str, path: str) -> bool:
        """Say whether this fault is for that request, and is not used up."""
        if self.times <= 0 or (self.method and self.method != method):
            return False
        return re.search(self.path, path, re.IGNORECASE) is not None


def error_body(code: str, text: str) -> dict[str, Json]:
    """Return an error as Resource Manager writes it."""
    return {"error": {"code": code, "message": text}}


def throttled(retry_after: str = "1", **order: object) -> Fault:
    """Order a 429 that says when to come back."""
    fault = Fault(status=429, code="TooManyRequests", retry_after=retry_after)
    for name, value in order.items():
        setattr(fault, name, value)
    return fault


def access_denied(permission: str, path: str = ".*", times: int = 1) -> Fault:
    """Order the 403 of a missing permission, in Resource Manager's words."""
    return Fault(
        path=path,
        times=times,
        status=403,
        code="AuthorizationFailed",
        text=(
            "The client 'twokey' with object id '00000000-0000-0000-0000-0000000000aa' does not have"
            f" authorization to perform action '{permission}' over scope '/subscriptions/x' or the scope"
            " is invalid."
        ),
    )
