"""What a subscription needs so that Azure notifies twokey: an action group and its activity log alerts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twokey.core.errors import Invalid, NotFound, Refused, Unavailable
from twokey.providers.azure.faults import call, translating_errors
from twokey.providers.azure.identifiers import GROUP, GUID, is_same
from twokey.providers.azure.session import AzureSession

if TYPE_CHECKING:
    from azure.mgmt.monitor.models import ActionGroupResource, ActivityLogAlertResource, WebhookReceiver

PERMISSIONS = (
    "Microsoft.Insights/ActionGroups/Read",
    "Microsoft.Insights/ActionGroups/Write",
    "Microsoft.Insights/ActivityLogAlerts/Read",
    "Microsoft.Insights/ActivityLogAlerts/Write",
    "Microsoft.Insights/CreateNotifications/Write",
    "Microsoft.Insights/NotificationStatus/Read",
)
TAG, OWNER = "managed-by", "twokey"
RECEIVER = "twokey"
KINDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "service-health": (("category", "ServiceHealth"),),
    "resource-health": (("category", "ResourceHealth"),),
    "security": (("category", "Security"),),
    # Somebody changed a storage account: it may have been opened.
    "storage-writes": (
        ("category", "Administrative"),
        ("operationName", "Microsoft.Storage/storageAccounts/write"),
        ("status", "Succeeded"),
    ),
}
TESTS = ("servicehealth", "resourcehealth", "activitylog")
TEST_WITHIN_S = 120.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}")


@dataclass(frozen=True, slots=True)
class Secure:
    """Our own registration in Entra, for a webhook that wants a token."""

    object_id: str
    audience: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand there. The webhook's address is a secret."""

    resource_group: str
    address: str = field(repr=False)
    kinds: tuple[str, ...] = tuple(KINDS)
    secure: Secure | None = None
    name: str = "twokey"  # of the action group, and what the alerts' names begin with

    def __post_init__(self) -> None:
        if not re.fullmatch(GROUP, self.resource_group) or not _NAME.fullmatch(self.name):
            raise Invalid("azure.setup_name", name=self.resource_group, group=self.name)
        if not self.address.startswith("https://"):
            raise Invalid("azure.setup_address", address=self.address.partition("/azure/")[0])
        for kind in self.kinds:
            if kind not in KINDS:
                raise Invalid("azure.setup_kind", kind=kind, known=", ".join(KINDS))
        if self.secure and not (
            re.fullmatch(GUID, self.secure.object_id) and self.secure.audience and self.secure.tenant
        ):
            raise Invalid("azure.setup_object_id")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not as it should be; secrets are shown as ***."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One resource: `act` is create, update or keep."""

    act: str
    kind: str  # action group | alert rule
    name: str
    subscription: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Setup:
    """Compares one subscription with what is wanted, and brings it there. Nothing is ever removed.

    What others have added (receivers, action groups, tags) stays. A resource of the same name that twokey did
    not make is refused.
    """

    session: AzureSession
    subscription: str
    wanted: Wanted

    def changes(self) -> list[Change]:
        """Say what would be made or changed, by reads only."""
        return [self._group()[0], *(self._alert(kind)[0] for kind in self.wanted.kinds)]

    def apply(self) -> list[Change]:
        """Make and change what differs, the action group first, and return what was done."""
        monitor = self.session.monitor(self.subscription)
        done = []
        change, group = self._group()
        if change.act != "keep":
            make = monitor.action_groups.create_or_update
            call(change.name, make, self.wanted.resource_group, change.name, group)
        done.append(change)
        for kind in self.wanted.kinds:
            change, alert = self._alert(kind)
            if change.act != "keep":
                put = monitor.activity_log_alerts.create_or_update
                call(change.name, put, self.wanted.resource_group, change.name, alert)
            done.append(change)
        return done

    def test(self, alert_type: str) -> dict[str, str]:
        """Have Azure send its own test notification to the webhook; return what it says became of it."""
        from azure.mgmt.monitor.models import NotificationRequestBody

        if alert_type not in TESTS:
            raise Invalid("azure.setup_test", kind=alert_type, known=", ".join(TESTS))
        if self._group()[0].act != "keep":
            raise Refused("azure.setup_first", name=self.wanted.name, subscription=self.subscription)
        groups = self.session.monitor(self.subscription).action_groups
        body = NotificationRequestBody(alert_type=alert_type, webhook_receivers=[self._receiver()])
        with translating_errors(self.wanted.name):
            poller = groups.begin_create_notifications_at_action_group_resource_level(
                self.wanted.resource_group, self.wanted.name, body, polling_interval=2
            )
            poller.wait(TEST_WITHIN_S)
            if not poller.done():
                raise Unavailable("azure.setup_test_open", seconds=int(TEST_WITHIN_S))
            result = poller.result()
        details = result.action_details or []
        states = {str(one.name or "?"): f"{one.status} {one.sub_state or ''}".strip() for one in details}
        return {"state": str(result.state), **states}

    def _group(self) -> tuple[Change, ActionGroupResource]:
        from azure.mgmt.monitor.models import ActionGroupResource

        read = self.session.monitor(self.subscription).action_groups.get
        found = self._existing("action group", read, self.wanted.name)
        receiver = self._receiver()
        if found is None:
            made = ActionGroupResource(
                location="Global",
                tags={TAG: OWNER},
                group_short_name=self.wanted.name[:12],
                enabled=True,
                webhook_receivers=[receiver],
            )
            new = (Difference(f"webhook {RECEIVER}", "", _shown(receiver)),)
            return Change("create", "action group", self.wanted.name, self.subscription, new), made
        receivers = list(found.webhook_receivers or [])
        ours = next((one for one in receivers if one.name == RECEIVER), None)
        differences = []
        if not found.enabled:
            differences.append(Difference("enabled", "false", "true"))
        if ours is None or _fields(ours) != _fields(receiver):
            before, after = "" if ours is None else _shown(ours), _shown(receiver)
            if before == after:
                after += ", with another secret"
            differences.append(Difference(f"webhook {RECEIVER}", before, after))
        found.enabled = True
        found.webhook_receivers = [*(one for one in receivers if one.name != RECEIVER), receiver]
        return self._change("action group", self.wanted.name, differences), found

    def _alert(self, kind: str) -> tuple[Change, ActivityLogAlertResource]:
        from azure.mgmt.monitor import models

        name = f"{self.wanted.name}-{kind}"
        read = self.session.monitor(self.subscription).activity_log_alerts.get
        found = self._existing("alert rule", read, name)
        condition = models.AlertRuleAllOfCondition(
            all_of=[models.AlertRuleAnyOfOrLeafCondition(field=on, equals=value) for on, value in KINDS[kind]]
        )
        scope = f"/subscriptions/{self.subscription}"
        group = (
            f"{scope}/resourceGroups/{self.wanted.resource_group}"
            f"/providers/Microsoft.Insights/actionGroups/{self.wanted.name}"
        )
        if found is None:
            made = models.ActivityLogAlertResource(
                location="Global",
                tags={TAG: OWNER},
                scopes=[scope],
                condition=condition,
                actions=models.ActionList(action_groups=[models.ActionGroup(action_group_id=group)]),
                enabled=True,
                description="Tells twokey. Made by `twokey azure setup`.",
            )
            new = Difference("condition", "", _condition(condition))
            return Change("create", "alert rule", name, self.subscription, (new,)), made
        groups = list(found.actions.action_groups or []) if found.actions else []
        differences = []
        if not found.enabled:
            differences.append(Difference("enabled", "false", "true"))
        if not any(is_same(one, scope) for one in found.scopes or []):
            differences.append(Difference("scopes", ", ".join(found.scopes or []), scope))
            found.scopes = [*(found.scopes or []), scope]
        if _condition(found.condition) != _condition(condition):
            differences.append(Difference("condition", _condition(found.condition), _condition(condition)))
        if not any(is_same(one.action_group_id, group) for one in groups):
            before = ", ".join(one.action_group_id for one in groups)
            differences.append(Difference("action groups", before, group))
            groups.append(models.ActionGroup(action_group_id=group))
        found.enabled, found.condition = True, condition
        found.actions = models.ActionList(action_groups=groups)
        return self._change("alert rule", name, differences), found

    def _existing(self, kind: str, read: Any, name: str) -> Any:
        """Return a resource of ours, None when there is none; refuse somebody else's of the same name."""
        try:
            found = call(name, read, self.wanted.resource_group, name)
        except NotFound:
            return None
        if (found.tags or {}).get(TAG) != OWNER:
            raise Refused(
                "azure.setup_not_ours", kind=kind, name=name, group=self.wanted.resource_group, tag=TAG
            )
        return found

    def _change(self, kind: str, name: str, differences: list[Difference]) -> Change:
        act = "update" if differences else "keep"
        return Change(act, kind, name, self.subscription, tuple(differences))

    def _receiver(self) -> WebhookReceiver:
        from azure.mgmt.monitor.models import WebhookReceiver

        secure = self.wanted.secure
        return WebhookReceiver(
            name=RECEIVER,
            service_uri=self.wanted.address,
            use_common_alert_schema=True,
            use_aad_auth=secure is not None,
            object_id=secure.object_id if secure else None,
            identifier_uri=secure.audience if secure else None,
            tenant_id=secure.tenant if secure else None,
        )


def _fields(receiver: WebhookReceiver) -> tuple[Any, ...]:
    token = (receiver.object_id, receiver.identifier_uri, receiver.tenant_id)
    return (
        receiver.service_uri,
        bool(receiver.use_common_alert_schema),
        bool(receiver.use_aad_auth),
        *((token) if receiver.use_aad_auth else (None, None, None)),
    )


def _shown(receiver: WebhookReceiver) -> str:
    """Say where a webhook leads without its secret: whatever comes after the host may be one."""
    scheme, _, rest = str(receiver.service_uri or "").partition("://")
    schema = "common schema" if receiver.use_common_alert_schema else "legacy schema"
    token = f", Entra token for {receiver.identifier_uri}" if receiver.use_aad_auth else ""
    return f"{scheme}://{rest.partition('/')[0]}/*** ({schema}{token})"


def _condition(condition: Any) -> str:
    leaves = sorted(_leaf(leaf) for leaf in (condition.all_of or [])) if condition else []
    return " and ".join(leaves)


def _leaf(leaf: Any) -> str:
    if getattr(leaf, "any_of", None):
        return "(" + " or ".join(sorted(_leaf(one) for one in leaf.any_of)) + ")"
    among = getattr(leaf, "contains_any", None)
    return f"{leaf.field} in {sorted(among)}" if among else f"{leaf.field} = {leaf.equals}"
