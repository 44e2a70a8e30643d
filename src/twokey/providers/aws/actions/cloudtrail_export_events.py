"""aws.cloudtrail.export_events: what was done in an account, or by one key, put on record."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from twokey.core.errors import Json, Refused
from twokey.core.runbooks import Target, canonical
from twokey.providers.aws.actions.reads import Reads
from twokey.providers.aws.session import text
from twokey.providers.aws.trail import events, regions_for

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_KEPT = 100


class ExportEvents(Reads):
    """Count every call, and keep the newest with their times. The trail itself stays where it is."""

    name = "aws.cloudtrail.export_events"
    permissions: tuple[str, ...] = ("cloudtrail:LookupEvents",)
    inputs: Mapping[str, str] = {
        "account_id": "aws.account_id",
        "access_key_id": "aws.access_key_id?",
        "lookback": "duration",
    }
    outputs: tuple[str, ...] = ("events", "by_name", "errors", "is_complete", "regions", "newest", "sha256")

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Read them; Refused when CloudTrail cannot be asked."""
        if text(inputs, "account_id") != target.account:
            raise Refused("aws.org.not_the_target", account=inputs["account_id"], target=target.account)
        now = self.calls.clock.now()
        since = now - duration(text(inputs, "lookback"))
        regions = regions_for(self.calls, target.region)
        found, more = events(
            self.calls,
            target.account,
            regions,
            since=since,
            until=now,
            key_id=str(inputs.get("access_key_id") or ""),
        )
        rows = cast("list[Json]", [event.row() for event in found])
        return {
            "events": len(found),
            "by_name": dict(Counter(event.name for event in found).most_common(100)),
            "errors": sum(1 for event in found if event.error),
            "is_complete": not more,
            "regions": cast("Json", list(regions)),
            "newest": rows[:_KEPT],
            "sha256": hashlib.sha256(canonical(rows)).hexdigest(),
        }


def duration(text: str) -> timedelta:
    """Return a duration such as 24h or 90d, at most the 90 days that CloudTrail keeps."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    if not match:
        raise Refused("aws.not_a_duration", value=text)
    return min(timedelta(seconds=int(match[1]) * _SECONDS[match[2]]), timedelta(days=90))
