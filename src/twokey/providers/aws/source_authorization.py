"""For whom a source may speak: an account, a Region and a resource that do not agree are told, and set apart.

Whoever can write to one account's queue could else have another account contained: the confused deputy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from twokey.core.errors import Invalid, Message, message
from twokey.core.signals import RawNotification, Resource, Signal
from twokey.providers.scopes import ANY, Listed, listed, source_of

_SOURCE = re.compile(r"(?:sqs|sns|events|poll):[^=\s]+", re.ASCII)
_SCOPE = re.compile(r"([0-9]{12}|\*)(?:/([a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}))?", re.ASCII)
_ARN = re.compile(r"arn:aws[a-z-]*:[^:]*:([^:]*):([^:]*):.", re.ASCII)
_ACCOUNT_RESOURCE = re.compile(r"AWS::::Account:([0-9]{12})", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_EVERYWHERE = ("", "global", "aws-global")


@dataclass(frozen=True, slots=True)
class Scope:
    """An account, or any, in a Region, or in any."""

    account: str
    region: str = ""

    def holds(self, account: str, region: str) -> bool:
        """Say whether a place lies in it; what has no Region lies in every one."""
        is_there = self.account in (ANY, account)
        return is_there and (not self.region or region in _EVERYWHERE or region == self.region)


@dataclass(frozen=True)
class Scopes:
    """For whom each source may speak: accounts, in Regions."""

    listed: Listed[Scope] = field(default_factory=Listed)

    def dispute(self, signal: Signal, raw: RawNotification) -> Message | None:
        """Say why the notification's source may not speak for what the signal names; None when it may."""
        if signal.provider != "aws" or signal.facts.get("eventScopeCode") == "PUBLIC":
            return None  # a public event is about AWS itself: there is nothing in it to be contained
        scopes, account, region = self.listed.of(raw), signal.account, signal.region
        if scopes is not None and account and not any(scope.holds(account, region) for scope in scopes):
            return message("aws.scope.beyond", source=source_of(raw), account=account, region=region or "-")
        return next((why for found in signal.resources if (why := _elsewhere(found, signal))), None)


def _elsewhere(resource: Resource, signal: Signal) -> Message | None:
    """Say what is wrong when a resource's own name puts it into another account or Region than the finding."""
    named = _ACCOUNT_RESOURCE.fullmatch(resource.id)
    arn = _ARN.match(resource.id)
    region, account = ("", named[1]) if named else (arn[1], arn[2]) if arn else ("", "")
    if signal.account and _ACCOUNT.fullmatch(account) and account != signal.account:
        return message("aws.scope.account", resource=resource.id[:300], account=signal.account)
    if signal.region not in _EVERYWHERE and region not in _EVERYWHERE and region != signal.region:
        return message("aws.scope.region", resource=resource.id[:300], region=signal.region)
    return None


def scopes_of(entries: Iterable[str]) -> Scopes:
    """Read `<source>=<account>[/<region>]+<account>...` entries; raise Invalid naming one that is wrong."""

    def scope(text: str) -> Scope | None:
        found = _SCOPE.fullmatch(text)
        return Scope(found[1], found[2] or "") if found else None

    return Scopes(listed(entries, _SOURCE, scope, lambda entry: Invalid("aws.scope.entry", entry=entry)))
