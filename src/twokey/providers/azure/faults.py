"""Azure's errors, translated. The SDK is imported where it is called: this costs nothing before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from twokey.core.errors import Invalid, NotFound, Refused, TwokeyError, Unavailable

if TYPE_CHECKING:
    from azure.core import exceptions as az

T = TypeVar("T")


@contextmanager
def translating_errors(resource: str) -> Iterator[None]:
    """Translate Azure's errors inside the block into ours, naming the resource they are about."""
    from azure.core import exceptions as az

    try:
        yield
    except az.AzureError as error:
        raise translated(error, resource) from error


def call(resource: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call the SDK and return its answer, errors translated."""
    with translating_errors(resource):
        return partial(function, *args, **kwargs)()


def translated(error: az.AzureError, resource: str) -> TwokeyError:
    """Return our error for one of Azure's: not allowed, not there, not understood, or worth another try."""
    from azure.core import exceptions as az

    if isinstance(error, az.ClientAuthenticationError):
        return Unavailable("azure.sign_in_failed", reason=type(error).__name__)
    if isinstance(error, az.ServiceRequestError):
        return Unavailable("azure.unreachable", resource=resource, reason=type(error).__name__)
    if (
        isinstance(error, az.HttpResponseError)
        and not isinstance(error, az.DecodeError)
        and error.status_code
    ):
        return _of_response(error, error.status_code, resource)
    # Sent, but not (wholly) answered: a write may have been done. Whoever wrote must read back.
    return Unavailable("azure.answer_lost", resource=resource)


def _of_response(error: az.HttpResponseError, status: int, resource: str) -> TwokeyError:
    code = (error.error.code if error.error else "") or ""
    if status == 403 and code.startswith("RequestDisallowed"):
        return Refused("azure.denied_by_policy", resource=resource)
    if status == 403:
        named = re.search(r"perform action '([\w./*-]+)'", error.message or "")
        return Refused("azure.access_denied", resource=resource, permission=named[1] if named else "?")
    if status == 404:
        return NotFound("azure.not_found", resource=resource)
    if status == 409 and code == "ScopeLocked":
        return Refused("azure.locked", resource=resource)
    if status in (409, 412):
        return Unavailable("azure.concurrent_modification", resource=resource, reason=code)
    if status == 429:
        headers = getattr(error.response, "headers", None) or {}
        after = str(headers.get("Retry-After", ""))
        seconds = after if re.fullmatch(r"\d{1,6}", after) else "?"
        return Unavailable("azure.throttled", resource=resource, seconds=seconds)
    if status >= 500 or status == 408:
        return Unavailable("azure.server_error", resource=resource, status=status)
    return Invalid("azure.request_refused", resource=resource, status=status, reason=code)
