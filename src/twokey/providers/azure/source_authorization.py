"""For whom a source may speak: a subscription and a resource that do not agree are told, and set apart.

Whoever knows one webhook's address could else have another subscription contained: the confused deputy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from twokey.core.errors import Invalid, Message, message
from twokey.core.signals import RawNotification, Signal
from twokey.providers.azure.identifiers import GUID
from twokey.providers.azure.normalise.envelopes import INVENTED
from twokey.providers.scopes import ANY, Listed, listed, source_of

_SOURCE = re.compile(r"(?:webhook|eventgrid|queue|poll|activitylog):[^=\s]+", re.ASCII)
_SUBSCRIPTION = re.compile(rf"{GUID}|\*", re.ASCII)
# Not only ASCII: as whatever else reads resource ids, it takes a long s for an s.
_LIES_IN = re.compile(rf"(?i:/subscriptions/)({GUID})(?:/|$)")


@dataclass(frozen=True)
class Scopes:
    """For whom each source may speak: subscriptions, in small letters."""

    listed: Listed[str] = field(default_factory=Listed)

    def dispute(self, signal: Signal, raw: RawNotification) -> Message | None:
        """Say why the notification's source may not speak for what the signal names; None when it may."""
        if signal.provider != "azure":
            return None
        scopes = self.listed.of(raw)
        if scopes is not None and ANY not in scopes:
            beyond = next((name for name in _named(signal) if name not in scopes), "")
            if beyond:
                return message("azure.scope.beyond", source=source_of(raw), subscription=beyond)
        return _elsewhere(signal)


def _named(signal: Signal) -> list[str]:
    """Return every subscription that something could be contained in on this signal's word.

    What the test button of an action group names does not exist.
    """
    own = [signal.account.lower()] if signal.account else _impacted(signal)
    resources = [_subscription(found.id) for found in signal.resources]
    return [name for name in dict.fromkeys([*own, *resources]) if name and name != INVENTED]


def _impacted(signal: Signal) -> list[str]:
    """Return the subscriptions that an event of Azure's own lists; one of the whole tenant has no other account."""
    found = signal.facts.get("subscriptions")
    return [str(name).lower() for name in found] if isinstance(found, list) else []


def _subscription(resource: str) -> str:
    """Return the subscription that a resource id lies in; placeholders and names of machines lie in none."""
    found = _LIES_IN.match(resource)
    return found[1].lower() if found else ""


def _elsewhere(signal: Signal) -> Message | None:
    """Say what is wrong when a resource's own id puts it into another subscription than the signal's.

    An event of Azure's own may list several subscriptions, and its resources lie in any of them.
    """
    if not signal.account:
        return None
    own = {"", INVENTED, signal.account.lower(), *_impacted(signal)}
    strange = next((found.id for found in signal.resources if _subscription(found.id) not in own), "")
    if not strange:
        return None
    return message("azure.scope.subscription", resource=strange[:300], subscription=signal.account)


def scopes_of(entries: Iterable[str]) -> Scopes:
    """Read `<source>=<subscription>+<subscription>...` entries; raise Invalid naming one that is wrong."""

    def subscription(text: str) -> str | None:
        return text.lower() if _SUBSCRIPTION.fullmatch(text) else None

    def wrong(entry: str) -> Invalid:
        return Invalid("azure.scope.entry", entry=entry)

    return Scopes(listed(entries, _SOURCE, subscription, wrong, fold=str.lower))
