"""What one of Azure's events does to us: the resources it names, and how those among them are that we may read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from twokey.core.errors import NotFound, Refused, TwokeyError, Unavailable
from twokey.ports import Clock
from twokey.providers.azure.faults import call, translating_errors
from twokey.providers.azure.session import AzureSession

MAX_RESOURCES = 200  # of one event
MAX_STATUSES = 20  # of one event: each is a call
MAX_LOOKS = 20  # in a minute: the rest is looked at in the polls that follow
MAX_KNOWN = 500  # events whose resources are remembered
FRESH = timedelta(minutes=30)
_NONE = ("Billing", "EmergingIssues")
_RESOURCE = ("targetResourceId", "targetResourceType", "targetRegion", "resourceName", "resourceGroup")
_STATUS = ("availabilityState", "context", "category", "reasonType", "healthEventCause", "occuredTime")


@dataclass
class Impacts:
    """Looks an active event's resources up, and again when the event was updated or half an hour is over.

    What cannot be looked up is left out: the event itself must not wait for it.
    """

    session: AzureSession
    subscription: str
    clock: Clock
    of_tenant: bool = False
    _known: dict[str, tuple[str, datetime, dict[str, Any]]] = field(default_factory=dict, repr=False)
    _looks: list[datetime] = field(default_factory=list, repr=False)

    def of(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return `impactedResources` and `availabilityStatuses` of an event as the API returned it."""
        about = event.get("properties") or {}
        tracking, kind = str(event.get("name") or ""), str(about.get("eventType") or "")
        if not tracking or about.get("status") != "Active" or kind in _NONE:
            return {}
        updated, now = str(about.get("lastUpdateTime") or ""), self.clock.now()
        known = self._known.get(tracking)
        if known and known[0] == updated and now - known[1] < FRESH:
            return known[2]
        self._looks = [at for at in self._looks if now - at < timedelta(minutes=1)]
        if len(self._looks) >= MAX_LOOKS:
            return known[2] if known else {}
        self._looks.append(now)
        try:
            resources = self._resources(tracking, kind)
            statuses = self._statuses(resources) if kind == "ServiceIssue" else []
        except (Unavailable, Refused, NotFound):
            return known[2] if known else {}
        found = {"impactedResources": resources} if resources else {}
        if statuses:
            found["availabilityStatuses"] = statuses
        self._known.pop(tracking, None)
        self._known[tracking] = (updated, now, found)
        while len(self._known) > MAX_KNOWN:
            self._known.pop(next(iter(self._known)))
        return found

    def _resources(self, tracking: str, kind: str) -> list[dict[str, Any]]:
        client = self.session.health(self.subscription)
        # An advisory about security has its own list, which needs a permission of its own.
        lists = (
            client.security_advisory_impacted_resources
            if kind == "SecurityAdvisory"
            else client.impacted_resources
        )
        with translating_errors(tracking):
            if self.of_tenant:
                listed = lists.list_by_tenant_id_and_event_id(tracking)
            else:
                listed = lists.list_by_subscription_id_and_event_id(tracking)
            items = [item.as_dict() for item in islice(listed, MAX_RESOURCES)]
        # Other fields may change with every answer, and say nothing new.
        named = [
            {name: fields[name] for name in _RESOURCE if fields.get(name)}
            for fields in (item.get("properties") or item for item in items)
        ]
        return sorted(named, key=lambda item: str(item.get("targetResourceId")))

    def _statuses(self, resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return how the affected resources of this subscription are now; a resource without health has none."""
        prefix = f"/subscriptions/{self.subscription}/".casefold()
        named = (str(item.get("targetResourceId") or "") for item in resources)
        ours = [name for name in named if name.casefold().startswith(prefix)][:MAX_STATUSES]
        read = self.session.health(self.subscription).availability_statuses.get_by_resource
        found = []
        for resource in ours:
            try:
                status = call(resource, read, resource.lstrip("/")).as_dict().get("properties") or {}
            except (NotFound, Refused):
                continue
            except TwokeyError:
                break  # throttled or away: what is known so far is better than nothing
            kept = {name: status[name] for name in _STATUS if status.get(name)}
            found.append({"resource": resource, **kept})
        return found
