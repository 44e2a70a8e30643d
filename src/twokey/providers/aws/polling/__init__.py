"""The backstop: AWS's own lists are polled, too, since delivery of events is best effort."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from twokey.ports import Cursors
from twokey.providers.aws.polling import findings, health
from twokey.providers.aws.polling.lists import PolledList
from twokey.providers.aws.session import AwsSession

__all__ = ["PollOptions", "PolledList", "lists"]


@dataclass(frozen=True, slots=True)
class PollOptions:
    """Which lists are polled, how often, and where."""

    what: tuple[str, ...] = ("health", "securityhub")  # or health-organization
    every: timedelta = timedelta(minutes=5)
    regions: tuple[str, ...] = ()  # of Security Hub; () is the session's
    public_regions: tuple[str, ...] = ()  # whose public Health events are wanted; () is all


def lists(session: AwsSession, cursors: Cursors, options: PollOptions) -> tuple[PolledList, ...]:
    """Return a source for each list that is to be polled."""
    found: list[PolledList] = []
    for what in options.what:
        if what == "securityhub":
            for region in options.regions or (session.options.region,):
                pages = findings.pages(session, region)
                found.append(
                    PolledList(f"aws.poll:securityhub-{region}", pages, session.clock, cursors, options.every)
                )
        else:
            read = health.organization_pages if what == "health-organization" else health.pages
            source = PolledList(
                f"aws.poll:{what}",
                read(session, options.public_regions),
                session.clock,
                cursors,
                options.every,
                overlap=health.OVERLAP,
                look_back=health.LOOK_BACK,
            )
            found.append(source)
    return tuple(found)
