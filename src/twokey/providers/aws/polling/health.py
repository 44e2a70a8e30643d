"""AWS Health, polled: events that changed, what they say, and what they affect; of one account or of all.

https://docs.aws.amazon.com/health/latest/ug/health-api.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from twokey.providers.aws.polling.lists import Page, Pages, written
from twokey.providers.aws.session import AwsSession

OVERLAP = timedelta(hours=6)
LOOK_BACK = timedelta(days=3)
_AT_ONCE = 10  # the most that details and entities are given for in one request
_MOST_ENTITIES = 10_000
_GLOBAL = ("global", "")


def pages(session: AwsSession, public_regions: Iterable[str] = ()) -> Pages:
    """Return what asks for the events of our own account.

    Of public events only those of the given Regions, and global ones: the list has the whole world's.
    """
    regions = frozenset(public_regions)

    def asked(since: datetime, now: datetime) -> Iterator[Page]:
        account = session.own_account()
        given = {"filter": {"lastUpdatedTimes": [{"from": since, "to": now}]}}
        for some in _tens(_wanted(_listed(session, "describe_events", "events", **given), regions)):
            arns = [event["arn"] for event in some]
            answer = _call(session, "describe_event_details", eventArns=arns)
            entities = _listed(session, "describe_affected_entities", "entities", filter={"eventArns": arns})
            details = {one["event"]["arn"]: one for one in answer.get("successfulSet", []) if "event" in one}
            bodies = []
            for event in some:
                own = [one for one in entities if one.get("eventArn") == event["arn"]]
                bodies.append(_body(event, details.get(event["arn"], {}), own))
            yield Page(tuple(bodies), _newest(some), account)

    return asked


def organization_pages(session: AwsSession, public_regions: Iterable[str] = ()) -> Pages:
    """Return what asks for the events of all accounts: one notification for each account that is affected."""
    regions = frozenset(public_regions)

    def asked(since: datetime, now: datetime) -> Iterator[Page]:
        given = {"filter": {"lastUpdatedTime": {"from": since, "to": now}}}
        events = _listed(session, "describe_events_for_organization", "events", **given)
        for event in _wanted(events, regions):
            arn = event["arn"]
            places = [{"eventArn": arn}]
            if event.get("eventScopeCode") != "PUBLIC":  # a public event is about no account
                operation = "describe_affected_accounts_for_organization"
                affected = _listed(session, operation, "affectedAccounts", eventArn=arn)
                places = [{"eventArn": arn, "awsAccountId": account} for account in sorted(set(affected))]
            bodies = [body for some in _tens(places) for body in _bodies(session, event, some)]
            yield Page(tuple(bodies), _newest([event]))

    return asked


def _bodies(session: AwsSession, event: dict[str, Any], places: list[dict[str, str]]) -> Iterator[bytes]:
    """Yield the event as it is for each place: its details and entities are asked for together."""
    answer = _call(session, "describe_event_details_for_organization", organizationEventDetailFilters=places)
    of_accounts = [place for place in places if "awsAccountId" in place]
    entities = (
        _listed(
            session,
            "describe_affected_entities_for_organization",
            "entities",
            organizationEntityFilters=of_accounts,
        )
        if of_accounts
        else []
    )
    for place in places:
        account = place.get("awsAccountId", "")
        details = [one for one in answer.get("successfulSet", []) if one.get("awsAccountId", "") == account]
        own = [one for one in entities if one.get("awsAccountId", "") == account]
        yield _body(event, details[0] if details else {}, own, account)


def _body(
    event: dict[str, Any], details: dict[str, Any], entities: list[dict[str, Any]], account: str = ""
) -> bytes:
    """Write an event in the API's own form; one without details is written all the same."""
    listed = sorted(entities, key=lambda one: (one.get("entityValue", ""), one.get("entityArn", "")))
    document = {"event": event, **details, "affectedEntities": listed[:_MOST_ENTITIES]}
    return written({**document, "awsAccountId": account} if account else document)


def _wanted(events: list[dict[str, Any]], regions: frozenset[str]) -> list[dict[str, Any]]:
    """Return the events that concern us, oldest change first."""
    known = [
        event
        for event in events
        if event.get("eventScopeCode") != "PUBLIC"
        or not regions
        or event.get("region", "") in (*regions, *_GLOBAL)
    ]
    return sorted(known, key=lambda event: event["lastUpdatedTime"])


def _newest(events: list[dict[str, Any]]) -> datetime:
    found: datetime = events[-1]["lastUpdatedTime"]
    return found


def _tens(some: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(some), _AT_ONCE):
        yield some[start : start + _AT_ONCE]


def _call(session: AwsSession, operation: str, **given: Any) -> dict[str, Any]:
    return session.call("health", operation, "", region=_region(session), **given)


def _listed(session: AwsSession, operation: str, name: str, **given: Any) -> list[Any]:
    return session.listed("health", operation, name, "", region=_region(session), **given)


def _region(session: AwsSession) -> str:
    """Return where a partition's Health answers: in one place, whatever the Region of an event."""
    own = session.options.region
    return {"cn": "cn-northwest-1"}.get(
        own[:2], "us-gov-west-1" if own.startswith("us-gov-") else "us-east-1"
    )
