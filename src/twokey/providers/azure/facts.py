"""Facts about a resource or a subscription that people are shown as evidence: reads only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from twokey.core.errors import Message, NotFound, TwokeyError, message
from twokey.ports import Clock
from twokey.providers.azure.faults import call, translating_errors
from twokey.providers.azure.identifiers import subscription_of
from twokey.providers.azure.session import AzureSession

PERMISSIONS = (
    "Microsoft.Insights/eventtypes/values/read",
    "Microsoft.ResourceHealth/AvailabilityStatuses/current/read",
    "Microsoft.ResourceHealth/AvailabilityStatuses/read",
    "Microsoft.ResourceHealth/events/impactedResources/read",
    "Microsoft.ResourceHealth/events/read",
    "Microsoft.Resources/subscriptions/read",
)
MAX_ITEMS = 200  # of one list that is shown to people
_SUBSCRIPTIONS_API = "2022-12-01"
_LOG_COLUMNS = "eventTimestamp,caller,operationName,status,subStatus,httpRequest,correlationId,eventDataId"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """One event of Azure about itself."""

    tracking_id: str
    type: str  # ServiceIssue | PlannedMaintenance | HealthAdvisory | SecurityAdvisory | RCA | Billing
    status: str
    title: str
    level: str = ""
    sub_type: str = ""
    platform_initiated: bool | None = None
    started_at: datetime | None = None
    mitigated_at: datetime | None = None
    updated_at: datetime | None = None
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def is_retracted(self) -> bool:
        """Say whether Azure took it back; it must then not stand as a cause."""
        return "false positive" in {tag.casefold() for tag in self.tags}


@dataclass(frozen=True, slots=True)
class Availability:
    """A resource's health as Azure sees it; Unknown is not an outage."""

    state: str
    summary: str
    reason_type: str = ""
    cause: str = ""  # PlatformInitiated | UserInitiated | Unknown
    context: str = ""  # Platform Initiated | Customer Initiated | VM Initiated | Unknown
    category: str = ""
    occurred_at: datetime | None = None
    reported_at: datetime | None = None
    event_ids: tuple[str, ...] = ()  # correlation ids of the service events that touch it


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that somebody did to a resource, from the activity log."""

    at: datetime
    caller: str
    operation: str
    status: str
    ip: str = ""
    correlation_id: str = ""
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a subscription can be read with the credential that we have."""

    subscription: str
    problem: Message | None = None

    @property
    def is_reached(self) -> bool:
        """Say whether all is well."""
        return self.problem is None


@dataclass(frozen=True)
class AzureFacts:
    """Asks Azure. Every list ends after MAX_ITEMS; errors are ours (see session.translated)."""

    session: AzureSession
    clock: Clock

    def availability(self, resource_id: str) -> Availability | None:
        """Return a resource's present health, None for a kind of resource that has none."""
        client = self.session.health(subscription_of(resource_id))
        read = client.availability_statuses.get_by_resource
        try:
            found = call(resource_id, read, resource_id.lstrip("/"))
        except NotFound:
            return None
        return _availability(found.properties)

    def availability_history(self, resource_id: str) -> list[Availability]:
        """Return a resource's health as far back as Azure keeps it, newest first."""
        client = self.session.health(subscription_of(resource_id))
        with translating_errors(resource_id):
            return _some(
                _availability(status.properties)
                for status in client.availability_statuses.list(resource_id.lstrip("/"))
            )

    def events_of_resource(self, resource_id: str) -> list[ServiceEvent]:
        """Return Azure's own events that concern a resource, newest first."""
        client = self.session.health(subscription_of(resource_id))
        with translating_errors(resource_id):
            events = client.events.list_by_single_resource(resource_id.lstrip("/"))
            return _newest_first(_some(service_event(event) for event in events))

    def events_of_subscription(self, subscription: str, days: int = 3) -> list[ServiceEvent]:
        """Return Azure's own events that were updated in the last days, newest first."""
        client = self.session.health(subscription)
        since = (self.clock.now() - timedelta(days=days)).strftime("%m/%d/%Y")
        with translating_errors(subscription):
            events = client.events.list_by_subscription_id(query_start_time=since)
            return _newest_first(_some(service_event(event) for event in events))

    def impacted_resources(self, subscription: str, tracking_id: str) -> list[str]:
        """Return the ids of our resources that one of Azure's events concerns."""
        client = self.session.health(subscription)
        with translating_errors(tracking_id):
            found = client.impacted_resources.list_by_subscription_id_and_event_id(tracking_id)
            return _some(str(item.target_resource_id) for item in found if item.target_resource_id)

    def operations_on(self, resource_id: str, hours: int = 24) -> list[Operation]:
        """Return who did what to a resource in the last hours, newest first.

        The activity log lags by minutes and holds changes, not reads of data.
        """
        # The check of the id keeps quotes out of the filter.
        client = self.session.monitor(subscription_of(resource_id))
        now = self.clock.now().astimezone(UTC)
        wanted = (
            f"eventTimestamp ge '{_stamp(now - timedelta(hours=hours))}'"
            f" and eventTimestamp le '{_stamp(now)}' and resourceUri eq '{resource_id}'"
        )
        with translating_errors(resource_id):
            entries = client.activity_logs.list(filter=wanted, select=_LOG_COLUMNS)
            found = _some(
                Operation(
                    at=entry.event_timestamp.astimezone(UTC),
                    caller=_text(entry.caller),
                    operation=_text(entry.operation_name),
                    status=_text(entry.status),
                    ip=_text(entry.http_request.client_ip_address) if entry.http_request else "",
                    correlation_id=_text(entry.correlation_id),
                    event_id=_text(entry.event_data_id),
                )
                for entry in entries
                if entry.event_timestamp
            )
        return sorted(found, key=lambda operation: operation.at, reverse=True)

    def reach(self, subscription: str) -> Reach:
        """Try one read in a subscription, and say what is wrong: sign-in, permission, tenant, disabled."""
        from azure.core.rest import HttpRequest

        request = HttpRequest(
            "GET", f"/subscriptions/{subscription}", params={"api-version": _SUBSCRIPTIONS_API}
        )
        try:
            client = self.session.storage(subscription)
            with translating_errors(f"/subscriptions/{subscription}"):
                response = client.send_request(request)
                response.raise_for_status()
                found: Any = response.json()
        except TwokeyError as error:
            return Reach(subscription, error.message)
        configured, tenant = self.session.options.tenant, str(found.get("tenantId") or "")
        if configured and tenant.lower() != configured.lower():
            problem = message(
                "azure.other_tenant", subscription=subscription, tenant=tenant or "?", configured=configured
            )
            return Reach(subscription, problem)
        state = str(found.get("state") or "")
        if state not in ("Enabled", "Warned", "PastDue"):
            problem = message("azure.subscription_not_enabled", subscription=subscription, state=state or "?")
            return Reach(subscription, problem)
        return Reach(subscription)


def service_event(event: Any) -> ServiceEvent:
    """Read the SDK's event; text fields are Azure's, but may be anybody's by the time they are shown."""
    about: Any = event.properties
    impact = (about.impact if about else None) or []
    regions = [region.impacted_region for item in impact for region in item.impacted_regions or []]
    return ServiceEvent(
        tracking_id=_text(event.name),
        type=_text(about.event_type) if about else "",
        status=_text(about.status) if about else "",
        title=_text(about.title) if about else "",
        level=_text(about.event_level or about.level) if about else "",
        sub_type=_text(about.event_sub_type) if about else "",
        platform_initiated=about.platform_initiated if about else None,
        started_at=_when(about.impact_start_time) if about else None,
        mitigated_at=_when(about.impact_mitigation_time) if about else None,
        updated_at=_when(about.last_update_time) if about else None,
        services=_distinct(item.impacted_service for item in impact),
        regions=_distinct(regions),
        tags=_distinct((about.event_tags if about else None) or ()),
    )


def _availability(status: Any) -> Availability:
    events = [event.correlation_id for event in (status.service_impacting_events or [])]
    return Availability(
        state=_text(status.availability_state) or "Unknown",
        summary=_text(status.summary),
        reason_type=_text(status.reason_type),
        cause=_text(status.health_event_cause),
        context=_text(status.context),
        category=_text(status.category),
        occurred_at=_when(status.occured_time),  # Azure spells it with one r
        reported_at=_when(status.reported_time),
        event_ids=_distinct(events),
    )


def _some(items: Iterable[T]) -> list[T]:
    return list(islice(items, MAX_ITEMS))


def _newest_first(events: list[ServiceEvent]) -> list[ServiceEvent]:
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(events, key=lambda e: e.updated_at or e.started_at or never, reverse=True)


def _when(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC) if at else None


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _distinct(texts: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_text(text) for text in texts if text))


def _text(value: Any) -> str:
    return str(getattr(value, "value", value) or "")
