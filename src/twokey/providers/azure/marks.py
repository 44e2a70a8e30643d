"""What keeps a storage account out of containments: the settings, and its tag if it was there before the incident.

Whoever may write an account may tag it too, and so may a Contributor of its subscription. So the tag counts only if
it was there before the incident began, by the activity log's word. What the log does not tell counts as well: what
must not be contained is worse to contain than to ask people about. The settings are the way out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from twokey.core.errors import Invalid, Json, Message, Refused, TwokeyError, Unavailable, message
from twokey.providers.azure.faults import translating_errors
from twokey.providers.azure.identifiers import is_same
from twokey.providers.azure.session import AzureSession
from twokey.providers.azure.storage import NEVER_CONTAIN, Account

READ_LOG = "Microsoft.Insights/eventtypes/values/read"
LOOK_BACK = timedelta(days=30)  # the log keeps 90 days, and refuses to be asked about more
KEPT = timedelta(days=90)
MAX_ENTRIES = 1000
_SET_BY = ("microsoft.storage/storageaccounts/write", "microsoft.resources/tags/write")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an account must not be contained, or the note that says why its tag does not count; or neither."""

    reason: Message | None = None
    note: Message | None = None
    not_yet: bool = False  # the log may tell in some minutes


@dataclass(frozen=True, slots=True)
class Setting:
    """One operation that set the tag. `by` may be an attacker's text."""

    at: datetime
    by: str


def verdict(session: AzureSession, account: Account, since: Json, tag: str = NEVER_CONTAIN) -> Verdict:
    """Say whether an account is kept out of containments. Without `since` its tag counts, whoever set it."""
    if entry := _entry_for(session.options.never_contain, account, with_subscription=True):
        return Verdict(message("azure.listed_never_contain", resource=account.id, entry=entry))
    if not account.has_tag(tag):
        return Verdict()
    what = {"resource": account.id, "tag": tag}
    if _entry_for(session.options.contain_despite_tag, account, with_subscription=False):
        return Verdict(note=message("azure.tag_set_aside", **what))
    if not isinstance(since, str) or not since:
        return Verdict(message("azure.never_contain", **what))
    try:
        began = datetime.fromisoformat(since).astimezone(UTC)
    except ValueError:
        raise Invalid("azure.not_a_moment", value=since) from None
    try:
        found = _settings(session, account, tag, began)
    except Unavailable:
        raise
    except TwokeyError as fault:
        return Verdict(message("azure.tag_cannot_tell", **what, why=fault.message))
    if before := [one for one in found if one.at < began]:
        at = before[-1].at.isoformat()
        return Verdict(message("azure.tag_was_before", **what, by=before[-1].by, at=at, began=since))
    if found:
        at = found[0].at.isoformat()
        return Verdict(note=message("azure.tag_came_after", **what, by=found[0].by, at=at, began=since))
    return Verdict(message("azure.tag_not_told", **what), not_yet=True)


def require_containable(session: AzureSession, account: Account, since: Json) -> None:
    """Raise Refused with the reason why an account must not be contained; Unavailable when it may be told later."""
    found = verdict(session, account, since)
    if reason := found.reason:
        raise (Unavailable if found.not_yet else Refused)(reason.code, **reason.params)


def _settings(session: AzureSession, account: Account, tag: str, began: datetime) -> list[Setting]:
    """Return the operations that set the tag and succeeded, oldest first."""
    resource = account.at.id  # as we spelled it: no quotes can be in it
    wanted = (
        f"eventTimestamp ge '{_stamp(began - LOOK_BACK)}' and eventTimestamp le '{_stamp(began + KEPT)}'"
        f" and resourceUri eq '{resource}'"
    )
    with translating_errors(resource):
        entries = iter(session.monitor(account.at.subscription).activity_logs.list(filter=wanted))
        found = list(islice(entries, MAX_ENTRIES))
        if next(entries, None) is not None:
            raise Refused("azure.tag_log_too_long", resource=resource, limit=MAX_ENTRIES)
    # An attempt that was turned away begins with the same request, and sets nothing.
    succeeded = {entry.operation_id for entry in found if _text(entry.status).casefold() == "succeeded"}
    settings = [
        Setting(entry.event_timestamp.astimezone(UTC), str(entry.caller or "?")[:300])
        for entry in found
        if entry.event_timestamp
        and _text(entry.operation_name).casefold() in _SET_BY
        and entry.operation_id in succeeded
        and _names_tag(entry.properties, tag)
    ]
    return sorted(settings, key=lambda one: one.at)


def _names_tag(properties: Any, tag: str) -> bool:
    """Say whether a request put this tag on the account, as far as the log keeps the request."""
    body = next((v for k, v in dict(properties or {}).items() if str(k).casefold() == "requestbody"), "")
    try:
        request = json.loads(str(body) or "{}")
    except ValueError:
        return False
    inner = request.get("properties") if isinstance(request, dict) else None
    tags = [one.get("tags") for one in (request, inner) if isinstance(one, dict)]
    return any(isinstance(one, dict) and tag.casefold() in map(str.casefold, one) for one in tags)


def _entry_for(entries: Iterable[str], account: Account, *, with_subscription: bool) -> str:
    def is_it(entry: str) -> bool:
        is_subscription = with_subscription and entry.casefold() == account.at.subscription
        return is_subscription or entry.casefold() == account.at.name or is_same(entry, account.at.id)

    return next((entry for entry in entries if is_it(entry)), "")


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(value: Any) -> str:
    return str(getattr(value, "value", value) or "")
