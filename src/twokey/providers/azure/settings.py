"""Azure's section of the settings: `TWOKEY_AZURE_*`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from twokey.providers.azure.identifiers import GUID, STORAGE_ACCOUNT_ID
from twokey.sections import Secret, named_secrets, short_secrets

PREFIX = "TWOKEY_AZURE_"
# No query and no user: what is shown of such an address holds no key. The queue's own reader wants more of it.
_NAMED = re.compile(rf"{GUID}|[a-z0-9]{{3,24}}|{STORAGE_ACCOUNT_ID}")
_STORAGE_QUEUE = re.compile(r"https://([a-z0-9-]+)[a-z0-9.:-]*/([a-z0-9-]+)", re.IGNORECASE)


@dataclass(frozen=True)
class AzureSettings:
    """What an installation decides about Azure."""

    webhooks: tuple[str, ...] = field(
        default=(), repr=False
    )  # <name>=<secret of 32 or more characters>, comma separated
    event_grid: tuple[str, ...] = field(default=(), repr=False)  # the same, for Event Grid
    event_grid_topics: tuple[str, ...] = ()  # which may deliver; empty: those of subscriptions
    event_grid_origins: tuple[str, ...] = ("eventgrid.azure.net",)
    webhook_audience: tuple[str, ...] = ()  # given: every endpoint wants an Entra token for it
    webhook_tenant: str = ""  # whose tokens; empty is tenant
    webhook_app: str = "461e8683-5575-4561-ac7f-899cc907d62a"  # who calls: action groups
    event_grid_app: str = "4962773b-9cdb-44cf-a8bf-237846a00ab7"  # who calls: Event Grid
    authority: str = "https://login.microsoftonline.com"
    doors_without_token: tuple[str, ...] = ()
    tenant: str = ""
    subscriptions: tuple[str, ...] = ()
    never_contain: tuple[str, ...] = ()  # storage accounts, by name or id, and subscriptions
    contain_despite_tag: tuple[str, ...] = ()  # storage accounts whose never-contain tag is set aside
    endpoint_url: str = ""
    source_scopes: tuple[str, ...] = ()  # <source>=<subscription>+...: for whom a source may speak
    queues: tuple[str, ...] = ()  # addresses of storage queues that Event Grid writes to
    poll_s: int = 0  # seconds between two looks at Azure's own lists; 0 never looks
    poll_categories: tuple[str, ...] = ("ServiceHealth", "ResourceHealth", "Security")
    poll_tenant: bool = False  # also the events of the whole tenant
    annotation_wait_s: int = 120  # how long a change of health waits for the annotation with its cause

    def webhook_secrets(self) -> dict[str, Secret]:
        """Return the webhooks: name -> path secret."""
        return named_secrets(self.webhooks)

    def event_grid_secrets(self) -> dict[str, Secret]:
        """Return the addresses for Event Grid: name -> secret."""
        return named_secrets(self.event_grid)

    def heard_from(self) -> tuple[str, ...]:
        """Return the queues and endpoints that speak by themselves; an address that is none has no name."""
        places = filter(None, map(_STORAGE_QUEUE.fullmatch, self.queues))
        return (
            *(f"azure.queue:{place[1]}/{place[2]}".lower() for place in places),
            *(f"azure.webhook:{name}" for name in self.webhook_secrets()),
            *(f"azure.eventgrid:{name}" for name in self.event_grid_secrets()),
        )

    def faults(self) -> list[str]:
        """Name what is wrong, and what would leave an endpoint open, or shut for everybody."""
        webhooks, events = self.webhook_secrets(), self.event_grid_secrets()
        faults = short_secrets(f"{PREFIX}WEBHOOKS", webhooks) + short_secrets(f"{PREFIX}EVENT_GRID", events)
        for name in self.doors_without_token:
            if name not in {**webhooks, **events}:
                faults.append(f"{PREFIX}DOORS_WITHOUT_TOKEN: {name}: no webhook has this name")
        if self.doors_without_token and not self.webhook_audience:
            faults.append(f"{PREFIX}WEBHOOK_AUDIENCE: without it no door asks for a token")
        if self.webhook_audience and not (self.webhook_tenant or self.tenant):
            faults.append(f"{PREFIX}WEBHOOK_TENANT (or {PREFIX}TENANT): the tenant whose tokens are wanted")
        if self.event_grid and not (self.event_grid_topics or self.subscriptions):
            faults.append(f"{PREFIX}EVENT_GRID_TOPICS (or {PREFIX}SUBSCRIPTIONS): whose events may come")
        if self.poll_s and not self.subscriptions:
            faults.append(f"{PREFIX}SUBSCRIPTIONS: polling needs at least one")
        if self.poll_s < 0 or 0 < self.poll_s < 60:
            faults.append(f"{PREFIX}POLL_S: 0 (never) or at least 60 is wanted")
        if self.annotation_wait_s < 0:
            faults.append(f"{PREFIX}ANNOTATION_WAIT_S: 0 or more is wanted")
        for name in ("never_contain", "contain_despite_tag"):
            for entry in getattr(self, name):
                if not _NAMED.fullmatch(entry):
                    faults.append(f"{PREFIX}{name.upper()}: {entry}: a name or a resource id is wanted")
        return faults
