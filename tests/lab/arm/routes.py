"""The fake Resource Manager's answers, route by route."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.lab.arm.faults import error_body
from tests.lab.arm.state import ArmState, Object
from twokey.core.errors import Json


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, taken apart."""

    state: ArmState
    path: str
    match: re.Match[str]
    query: Mapping[str, str]
    body: Json
    base_url: str


Route = Callable[[Asked], Answer]


def answer(
    state: ArmState, base_url: str, *, method: str, path: str, query: Mapping[str, str], body: Json
) -> Answer:
    """Answer a request from the state; a change changes the state."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(-preview)?", query.get("api-version", "")):
        return Answer(
            400, error_body("MissingApiVersionParameter", "The api-version query parameter is required.")
        )
    for wanted, pattern, route in ROUTES:
        match = re.fullmatch(pattern, path, re.IGNORECASE)
        if wanted == method and match:
            missing = _missing_subscription(state, path)
            return missing or route(Asked(state, path, match, query, body, base_url))
    return Answer(404, error_body("InvalidResourceType", f"No route for {method} {path}."))


def _missing_subscription(state: ArmState, path: str) -> Answer | None:
    named = re.match(r"/subscriptions/([^/]+)", path, re.IGNORECASE)
    if named and named[1].lower() not in {known.lower() for known in state.subscriptions}:
        return Answer(
            404, error_body("SubscriptionNotFound", f"The subscription '{named[1]}' could not be found.")
        )
    return None


def subscription(asked: Asked) -> Answer:
    """Show one subscription."""
    wanted = asked.match["subscription"].lower()
    state = {known.lower(): value for known, value in asked.state.subscriptions.items()}[wanted]
    return Answer(
        200,
        {
            "id": f"/subscriptions/{wanted}",
            "subscriptionId": wanted,
            "displayName": "twokey tests",
            "tenantId": asked.state.tenant,
            "state": state,
        },
    )


def list_accounts(asked: Asked) -> Answer:
    """List the storage accounts of a subscription."""
    wanted = asked.match["subscription"].lower()
    found = [a.shown() for a in asked.state.accounts if a.subscription.lower() == wanted]
    return _page(asked, found)


def get_account(asked: Asked) -> Answer:
    """Show one storage account."""
    account = asked.state.account(asked.path)
    return Answer(200, account.shown()) if account else _no_account(asked)


def update_account(asked: Asked) -> Answer:
    """Change one storage account, unless a lock forbids it."""
    account = asked.state.account(asked.path)
    if account is None:
        return _no_account(asked)
    if account.lock:
        return Answer(
            409,
            error_body(
                "ScopeLocked",
                f"The scope '{account.id}' cannot perform write operation because following scope(s)"
                f" are locked: '{account.id}'. Please remove the lock and try again.",
            ),
        )
    account.patch(asked.body if isinstance(asked.body, dict) else {})
    return Answer(200, account.shown())


def list_containers(asked: Asked) -> Answer:
    """List an account's blob containers, page by page."""
    account = asked.state.account(asked.match["account"])
    if account is None:
        return _no_account(asked)
    return _page(asked, [container.shown(account.id) for container in account.containers])


def resource_availability(asked: Asked) -> Answer:
    """List one resource's health, newest first; `current` is the first of them."""
    known = {name.casefold(): statuses for name, statuses in asked.state.availability.items()}
    statuses = known.get(asked.match["resource"].casefold(), [])
    if not asked.match["current"]:
        return _page(asked, statuses)
    if not statuses:
        return Answer(404, error_body("ResourceNotFound", "The resource has no health."))
    return Answer(200, statuses[0])


def subscription_availability(asked: Asked) -> Answer:
    """List the present health of every resource of a subscription."""
    prefix = f"/subscriptions/{asked.match['subscription']}/".casefold()
    found = [
        statuses[0]
        for resource, statuses in asked.state.availability.items()
        if statuses and resource.casefold().startswith(prefix)
    ]
    return _page(asked, found)


def subscription_events(asked: Asked) -> Answer:
    """List a subscription's service health events."""
    known = {name.lower(): events for name, events in asked.state.events.items()}
    return _page(asked, known.get(asked.match["subscription"].lower(), []))


def resource_events(asked: Asked) -> Answer:
    """List the service health events that concern one resource."""
    known = {name.casefold(): events for name, events in asked.state.resource_events.items()}
    return _page(asked, known.get(asked.match["resource"].casefold(), []))


def impacted_resources(asked: Asked) -> Answer:
    """List the resources of a subscription that an event concerns."""
    tracking_id = asked.match["event"]
    found: list[Object] = [
        {
            "id": f"{asked.path}/{number}",
            "name": str(number),
            "type": "Microsoft.ResourceHealth/events/impactedResources",
            "properties": {
                "targetResourceId": resource,
                "targetResourceType": "/".join(resource.split("/")[6:8]),
                "targetRegion": "westus",
            },
        }
        for number, resource in enumerate(asked.state.impacted.get(tracking_id, []))
    ]
    return _page(asked, found)


def tenant_events(asked: Asked) -> Answer:
    """List the service health events of the whole tenant."""
    return _page(asked, asked.state.tenant_events)


def security_resources(asked: Asked) -> Answer:
    """List the resources that a security advisory concerns; it is asked for with a POST, being sensitive."""
    found: list[Object] = [
        {
            "id": f"{asked.path}/{number}",
            "name": str(number),
            "type": "Microsoft.ResourceHealth/events/listSecurityAdvisoryImpactedResources",
            "properties": {
                "targetResourceId": resource,
                "targetResourceType": "/".join(resource.split("/")[6:8]),
                "targetRegion": "westus",
            },
        }
        for number, resource in enumerate(asked.state.security_impacted.get(asked.match["event"], []))
    ]
    return _page(asked, found)


def activity_log(asked: Asked) -> Answer:
    """List activity log entries; only the filters that Azure documents are understood."""
    wanted = re.fullmatch(
        r"eventTimestamp ge '(?P<since>[^']+)' and eventTimestamp le '(?P<until>[^']+)'"
        r"(?: and resourceUri eq '(?P<resource>[^']+)')?",
        asked.query.get("$filter", ""),
    )
    if not wanted:
        return Answer(400, error_body("BadRequest", "The filter is not supported."))
    prefix = f"/subscriptions/{asked.match['subscription']}/".casefold()
    found = [
        entry
        for entry in asked.state.activity
        if f"{entry['resourceId']}/".casefold().startswith(prefix)
        and wanted["since"] <= str(entry["eventTimestamp"]) <= wanted["until"]
        and (not wanted["resource"] or str(entry["resourceId"]).casefold() == wanted["resource"].casefold())
    ]
    return _page(asked, found)


def get_alerting(asked: Asked) -> Answer:
    """Show one action group or alert rule."""
    found = asked.state.alerting.get(asked.path.casefold())
    if found is None:
        return Answer(
            404, error_body("ResourceNotFound", f"The Resource '{asked.match['name']}' was not found.")
        )
    return Answer(200, found)


def put_alerting(asked: Asked) -> Answer:
    """Make one action group or alert rule, or replace it."""
    if asked.match["group"].casefold() not in {group.casefold() for group in asked.state.groups}:
        return Answer(
            404,
            error_body("ResourceGroupNotFound", f"Resource group '{asked.match['group']}' was not found."),
        )
    key = asked.path.casefold()
    status = 200 if key in asked.state.alerting else 201
    body = asked.body if isinstance(asked.body, dict) else {}
    kind = "ActionGroups" if "/actiongroups/" in key else "ActivityLogAlerts"
    asked.state.alerting[key] = {
        "location": "Global",
        **body,
        "id": asked.path,
        "name": asked.match["name"],
        "type": f"Microsoft.Insights/{kind}",
    }
    return Answer(status, asked.state.alerting[key])


def create_notifications(asked: Asked) -> Answer:
    """Take a test notification to send; where to ask for what became of it is in the Location."""
    if asked.path.rpartition("/")[0].casefold() not in asked.state.alerting:
        return Answer(404, error_body("ResourceNotFound", "The action group was not found."))
    asked.state.notified.append(asked.body if isinstance(asked.body, dict) else {})
    number = len(asked.state.notified)
    place = (
        f"{asked.base_url}{asked.path.rpartition('/')[0]}/notificationStatus/{number}?api-version=2023-01-01"
    )
    return Answer(202, None, {"Location": place})


def notification_status(asked: Asked) -> Answer:
    """Say what became of a test notification, as the published example does."""
    sent = asked.state.notified[int(asked.match["number"]) - 1]
    receivers = sent.get("webhookReceivers")
    return Answer(
        200,
        {
            "context": {
                "notificationSource": "Microsoft.Insights/TestNotification",
                "contextType": f"Microsoft.Insights/{sent.get('alertType')}",
            },
            "state": "Completed",
            "completedTime": "0001-01-01T00:00:00+00:00",
            "createdTime": "2021-09-21T04:52:29.5091168+00:00",
            "actionDetails": [
                {
                    "MechanismType": "SecureWebhook" if receiver.get("useAadAuth") else "Webhook",
                    "Name": receiver.get("name"),
                    "Status": "Completed",
                    "SubState": "Default",
                    "SendTime": "2021-09-21T04:52:42.0723479+00:00",
                    "Detail": None,
                }
                for receiver in (receivers if isinstance(receivers, list) else [])
                if isinstance(receiver, dict)
            ],
        },
    )


def _page(asked: Asked, items: Sequence[Object]) -> Answer:
    start = int(asked.query.get("$skiptoken", "0"))
    end = start + asked.state.page_size
    body: Object = {"value": list(items[start:end])}
    if end < len(items):
        query = {**asked.query, "$skiptoken": str(end)}
        body["nextLink"] = f"{asked.base_url}{asked.path}?{urlencode(query)}"
    return Answer(200, body)


def _no_account(asked: Asked) -> Answer:
    name = asked.path.split("/")[8]
    return Answer(
        404,
        error_body(
            "ResourceNotFound",
            f"The Resource 'Microsoft.Storage/storageAccounts/{name}' under resource group"
            f" '{asked.path.split('/')[4]}' was not found.",
        ),
    )


_SUBSCRIPTION = r"/subscriptions/(?P<subscription>[^/]+)"
_ACCOUNT = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Storage/storageAccounts/[^/]+"
_HEALTH = r"/providers/Microsoft\.ResourceHealth"
_GROUP = r"/subscriptions/[^/]+/resourceGroups/(?P<group>[^/]+)/providers/Microsoft\.Insights"
_ALERTING = _GROUP + r"/(?:actionGroups|activityLogAlerts)/(?P<name>[^/]+)"
_RESOURCE = r"(?P<resource>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/.+?)"

ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("GET", _ALERTING, get_alerting),
    ("PUT", _ALERTING, put_alerting),
    ("POST", _GROUP + r"/actionGroups/[^/]+/createNotifications", create_notifications),
    ("GET", _GROUP + r"/actionGroups/[^/]+/notificationStatus/(?P<number>\d+)", notification_status),
    ("GET", _SUBSCRIPTION, subscription),
    ("GET", _SUBSCRIPTION + r"/providers/Microsoft\.Storage/storageAccounts", list_accounts),
    ("GET", _ACCOUNT, get_account),
    ("PATCH", _ACCOUNT, update_account),
    ("GET", f"(?P<account>{_ACCOUNT})/blobServices/default/containers", list_containers),
    ("GET", _SUBSCRIPTION + _HEALTH + "/availabilityStatuses", subscription_availability),
    ("GET", _SUBSCRIPTION + _HEALTH + "/events", subscription_events),
    ("GET", _SUBSCRIPTION + _HEALTH + "/events/(?P<event>[^/]+)/impactedResources", impacted_resources),
    (
        "POST",
        f"(?:{_SUBSCRIPTION})?" + _HEALTH + "/events/(?P<event>[^/]+)/listSecurityAdvisoryImpactedResources",
        security_resources,
    ),
    ("GET", _HEALTH + "/events", tenant_events),
    ("GET", _HEALTH + "/events/(?P<event>[^/]+)/impactedResources", impacted_resources),
    ("GET", _RESOURCE + _HEALTH + "/availabilityStatuses(?P<current>/current)?", resource_availability),
    ("GET", _RESOURCE + _HEALTH + "/events", resource_events),
    (
        "GET",
        _SUBSCRIPTION + r"/providers/Microsoft\.Insights/eventtypes/management/values",
        activity_log,
    ),
)
