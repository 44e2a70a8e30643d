"""Tags inside an account that keep something out of containments: do they count, and who set them?

Whoever holds the account can set such a tag too. So it counts only if it was there before the incident began, by
CloudTrail's word. What CloudTrail does not tell counts as well: what must not be contained is worse to contain than
to ask people about. The settings are the way out, where nobody in the account can write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from twokey.core.errors import Json, Message, Refused, TwokeyError, Unavailable, message
from twokey.core.runbooks import Target
from twokey.providers.aws.kept_out import Named, is_contained_despite_tag
from twokey.providers.aws.session import Calls
from twokey.providers.aws.trail import regions_for

KEPT = timedelta(days=90)
MOST_PAGES = 10  # of one event name, window and Region: 50 events each, two calls a second
_SET_BY = {
    "user": ("TagUser", "CreateUser"),
    "bucket": ("PutBucketTagging", "TagResource", "CreateBucket"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a tag counts, or the note that says why it does not: one of the two."""

    reason: Message | None = None
    note: Message | None = None
    not_yet: bool = False  # CloudTrail may tell in some minutes


@dataclass(frozen=True, slots=True)
class Setting:
    """One call that set the tag. `by` may be an attacker's text."""

    at: datetime
    by: str


class _TooMany(Exception):
    """There were more events than are read."""


def verdict(calls: Calls, target: Target, named: Named, tag: str, since: str) -> Verdict:
    """Say whether a tag that is there keeps its user or bucket out of a containment. `since` "" asks nobody."""
    what = {"what": named.name, "tag": tag}
    if is_contained_despite_tag(calls, named):
        return Verdict(note=message("aws.tag.set_aside", **what))
    if not since:
        return Verdict(_simply_there(named, tag))
    try:
        began, now = datetime.fromisoformat(since), calls.clock.now()
    except ValueError:
        raise Refused("aws.input_missing", input="since") from None
    try:
        if before := next(_settings(calls, target, named, tag, now - KEPT, began), None):
            at = before.at.isoformat()
            return Verdict(message("aws.tag.was_before", **what, by=before.by, at=at, began=since))
        if after := next(_settings(calls, target, named, tag, began, now + timedelta(seconds=1)), None):
            at = after.at.isoformat()
            return Verdict(note=message("aws.tag.came_after", **what, by=after.by, at=at, began=since))
    except Unavailable:
        raise
    except _TooMany:
        return Verdict(message("aws.tag.too_many_events", **what))
    except TwokeyError as fault:
        return Verdict(message("aws.tag.cannot_tell", **what, why=fault.message))
    return Verdict(message("aws.tag.not_told", **what), not_yet=True)


def _simply_there(named: Named, tag: str) -> Message:
    if named.kind == "user":
        return message("aws.iam.user_has_never_tag", user=named.name, tag=tag)
    return message("aws.s3.has_never_tag", bucket=named.name, tag=tag)


def _settings(
    calls: Calls, target: Target, named: Named, tag: str, since: datetime, until: datetime
) -> Iterator[Setting]:
    """Return the calls between two moments that set the tag, newest first for each Region and event name."""
    if since >= until:
        return
    for region in regions_for(calls, target.region):
        for name in _SET_BY[named.kind]:
            for raw in _events(calls, named.account, region, name, since, until):
                at, detail = raw.get("EventTime"), _detail(raw)
                texts = set(_texts(detail.get("requestParameters")))
                is_ours = tag in texts and any(_is_name_of(one, named) for one in texts)
                if (
                    is_ours
                    and isinstance(at, datetime)
                    and since <= at < until
                    and not detail.get("errorCode")
                ):
                    yield Setting(at, _caller(raw, detail))


def _events(
    calls: Calls, account: str, region: str, name: str, since: datetime, until: datetime
) -> Iterator[dict[str, object]]:
    given: dict[str, object] = {
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
        "StartTime": since,
        "EndTime": until + timedelta(seconds=1),  # times travel in whole seconds
        "MaxResults": 50,
    }
    for _ in range(MOST_PAGES):
        page = calls.call("cloudtrail", "lookup_events", account, region=region, **given)
        yield from page.get("Events", [])
        if not page.get("NextToken"):
            return
        given["NextToken"] = page["NextToken"]
        calls.sleep(0.5)
    raise _TooMany


def _detail(raw: dict[str, object]) -> dict[str, Json]:
    try:
        detail = json.loads(str(raw.get("CloudTrailEvent") or "{}"))
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}


def _texts(value: Json) -> Iterator[str]:
    """Return every text in a request's parameters, however the service nests them."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(item)


def _is_name_of(text: str, named: Named) -> bool:
    return text == named.name or text.endswith((f":::{named.name}", f":user/{named.name}"))


def _caller(raw: dict[str, object], detail: dict[str, Json]) -> str:
    identity = detail.get("userIdentity")
    arn = identity.get("arn") if isinstance(identity, dict) else ""
    return str(arn or raw.get("Username") or "?")[:300]
