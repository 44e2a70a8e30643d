"""aws.cloudtrail.assert_no_success: watch for a while that a key which is off does nothing any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from twokey.core.errors import Json, Refused
from twokey.core.runbooks import Target
from twokey.providers.aws.actions.cloudtrail_export_events import duration
from twokey.providers.aws.actions.reads import Reads
from twokey.providers.aws.session import text
from twokey.providers.aws.trail import events, regions_for

MAX_WATCH = timedelta(minutes=2)
"""A run is not held up longer. CloudTrail tells after 5 to 15 minutes: only what it tells by then is seen."""

_EVERY_S = 5.0


class AssertNoSuccess(Reads):
    """Refused when CloudTrail shows a call that succeeded after the watch began."""

    name = "aws.cloudtrail.assert_no_success"
    permissions: tuple[str, ...] = ("cloudtrail:LookupEvents",)
    inputs: Mapping[str, str] = {"access_key_id": "aws.access_key_id", "for": "duration"}
    outputs: tuple[str, ...] = ("successes", "watched_s")

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Ask again and again until the time is over."""
        key_id = text(inputs, "access_key_id")
        began = self.calls.clock.now()
        # A call in the same second may have been made before the key was off.
        since = began + timedelta(seconds=1)
        end = began + min(duration(text(inputs, "for")), MAX_WATCH)
        while True:
            found, _more = events(
                self.calls,
                target.account,
                regions_for(self.calls, target.region),
                since=since,
                until=self.calls.clock.now() + timedelta(minutes=1),
                key_id=key_id,
            )
            successes = [event for event in found if not event.error]
            if successes:
                names = ", ".join(sorted({event.name for event in successes})[:10])
                raise Refused("aws.cloudtrail.still_used", key=key_id, count=len(successes), names=names)
            if self.calls.clock.now() >= end:
                return {"successes": 0, "watched_s": int((self.calls.clock.now() - began).total_seconds())}
            self.calls.sleep(_EVERY_S)
