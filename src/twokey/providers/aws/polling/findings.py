"""Security Hub, polled: findings that their product updated, oldest first.

What people change in Security Hub (a workflow status) does not move UpdatedAt: only the pushed event shows that.
https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_GetFindings.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from twokey.providers.aws.polling.lists import Page, Pages, written
from twokey.providers.aws.session import AwsSession

_AT_ONCE = 100


def pages(session: AwsSession, region: str) -> Pages:
    """Return what asks a Region's Security Hub; an aggregation Region answers for the linked ones."""

    def asked(since: datetime, now: datetime) -> Iterator[Page]:
        given: dict[str, Any] = {
            "Filters": {"UpdatedAt": [{"Start": _written(since), "End": _written(now)}]},
            "SortCriteria": [{"Field": "UpdatedAt", "SortOrder": "asc"}],
            "MaxResults": _AT_ONCE,
        }
        while True:
            answer = session.call("securityhub", "get_findings", "", region=region, **given)
            found = answer.get("Findings", [])
            if found:
                moments = [_updated_at(one) for one in found]
                newest = max((moment for moment in moments if moment), default=since)
                yield Page(tuple(written(one) for one in found), newest)
            if not answer.get("NextToken"):
                return
            given["NextToken"] = answer["NextToken"]

    return asked


def _updated_at(finding: dict[str, Any]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(finding.get("UpdatedAt", "")))
    except ValueError:  # the product's own text
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
