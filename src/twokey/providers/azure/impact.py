"""What one of Azure's events does to us: the resources it names, and how those among them are that we may read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from twokey.core.errors import NotFound, Refused, TwokeyError, Unavailable
from twokey.ports import Clock
from twokey.providers.azure.faults import call, speaking_of
from twokey.providers.azure.session import AzureSession

MAX_RESOURCES = 200  # of one event
MAX_STATUSES = 20  # of one event: each is a call
MAX_LOOKS = 20  # at one turn: the rest is looked at in the turns that follow
FRESH = timedelta(minutes=30)
_NONE = ("Billing", "EmergingIssues")
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
        said = event.get("properties") or {}
        tracking, kind = str(event.get("name") or ""), str(said.get("eventType") or "")
        if not tracking or said.get("status") != "Active" or kind in _NONE:
            return {}
        updated, now = str(said.get("lastUpdateTime") or ""), self.clock.now()
        known = self._known.get(tracking)
        if known and known[0] == updated and now - known[1] < FRESH:
            return known[2]
        if not self._may_look(now):
            return known[2] if known else {}
        try:
            found = self._look(tracking, kind)
        except (Unavailable, Refused, NotFound):
            return known[2] if known else {}
        self._keep(tracking, (updated, now, found))
        return found

    def _may_look(self, now: datetime) -> bool:
        self._looks = [at for at in self._looks if now - at < timedelta(minutes=1)]
        if len(self._looks) >= MAX_LOOKS:
            return False
        self._looks.append(now)
        return True

    def _keep(self, tracking: str, found: tuple[str, datetime, dict[str, Any]]) -> None:
        self._known.pop(tracking, None)
        self._known[tracking] = found
        while len(self._known) > 500:
            self._known.pop(next(iter(self._known)))

    def _look(self, tracking: str, kind: str) -> dict[str, Any]:
        resources = self._resources(tracking, kind)
        found: dict[str, Any] = {}
        if resources:
            found["impactedResources"] = resources
        if kind == "ServiceIssue" and (statuses := self._statuses(resources)):
            found["availabilityStatuses"] = statuses
        return found

    def _resources(self, tracking: str, kind: str) -> list[dict[str, Any]]:
        client = self.session.health(self.subscription)
        # An advisory about security has its own list, which needs a permission of its own.
        lists = (
            client.security_advisory_impacted_resources
            if kind == "SecurityAdvisory"
            else client.impacted_resources
        )
        with speaking_of(tracking):
            if self.of_tenant:
                listed = lists.list_by_tenant_id_and_event_id(tracking)
            else:
                listed = lists.list_by_subscription_id_and_event_id(tracking)
            items = [item.as_dict() for item in islice(listed, MAX_RESOURCES)]
        return sorted((_named(item) for item in items), key=lambda item: str(item.get("targetResourceId")))

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


def _named(item: dict[str, Any]) -> dict[str, Any]:
    """Keep what names a resource; other fields may change with every answer, and say nothing new."""
    said = item.get("properties") or item
    wanted = ("targetResourceId", "targetResourceType", "targetRegion", "resourceName", "resourceGroup")
    return {name: said[name] for name in wanted if said.get(name)}
