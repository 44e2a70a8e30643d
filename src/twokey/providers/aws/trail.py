"""Reads of CloudTrail's last 90 days: bounded, newest first, and never with what callers sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from twokey.core.errors import Json, Refused, TwokeyError
from twokey.providers.aws.session import Calls

MAX_EVENTS = 500
"""Events of one export and Region: the API gives 50 a call and two calls a second; the trail itself stays.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One call that was made. Text in it may be an attacker's."""

    at: str
    name: str
    source: str
    region: str
    error: str = ""
    ip: str = ""
    resources: tuple[str, ...] = ()

    def row(self) -> dict[str, Json]:
        """Return the event as it goes on record."""
        return {
            "at": self.at,
            "event": self.name,
            "source": self.source,
            "region": self.region,
            "error": self.error,
            "ip": self.ip,
            "resources": list(self.resources),
        }


def events(
    calls: Calls, account: str, regions: Iterable[str], *, since: datetime, until: datetime, key_id: str = ""
) -> tuple[list[Event], bool]:
    """Return what was done in an account, or by one key, newest first; and whether there was more.

    Refused says that CloudTrail cannot be asked here: evidence is then missing, and people are told.
    """
    found: list[Event] = []
    more = False
    until += timedelta(seconds=1)  # times travel in whole seconds: this one is rounded down
    for region in dict.fromkeys(regions):
        given: dict[str, object] = {"StartTime": since, "EndTime": until, "MaxResults": 50}
        if key_id:
            given["LookupAttributes"] = [{"AttributeKey": "AccessKeyId", "AttributeValue": key_id}]
        taken = 0
        while True:
            try:
                page = calls.call("cloudtrail", "lookup_events", account, region=region, **given)
            except TwokeyError as error:
                raise Refused(
                    "aws.cloudtrail.unavailable", account=account, region=region, why=error.message
                ) from error
            found += [_event(raw, region) for raw in page.get("Events", [])]
            taken += len(page.get("Events", []))
            token = page.get("NextToken")
            if not token:
                break
            if taken >= MAX_EVENTS:
                more = True
                break
            given["NextToken"] = token
    return sorted(found, key=lambda event: event.at, reverse=True), more


def regions_for(calls: Calls, region: str) -> tuple[str, ...]:
    """Return the Regions to ask: IAM and STS tell us-east-1, everything else the Region it happened in."""
    options = calls.options
    return options.trail_regions or tuple(dict.fromkeys((region or options.region, "us-east-1")))


def _event(raw: dict[str, object], region: str) -> Event:
    at = raw.get("EventTime")
    try:
        detail = json.loads(str(raw.get("CloudTrailEvent") or "{}"))
    except ValueError:
        detail = {}
    detail = detail if isinstance(detail, dict) else {}
    resources = raw.get("Resources")
    named = resources if isinstance(resources, list) else []
    return Event(
        at=at.isoformat() if isinstance(at, datetime) else str(at or ""),
        name=str(raw.get("EventName", "")),
        source=str(raw.get("EventSource", "")),
        region=str(detail.get("awsRegion") or region),
        error=str(detail.get("errorCode") or ""),
        ip=str(detail.get("sourceIPAddress") or ""),
        resources=tuple(str(one.get("ResourceName", "")) for one in named if isinstance(one, dict))[:10],
    )
