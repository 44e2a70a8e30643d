"""What Azure's folder brings: `ports.CloudModule`. What costs time to import is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey import sections
from twokey.core.errors import Json
from twokey.core.incidents import Incident
from twokey.core.signals import Signal
from twokey.ports import AuthorizeSource, Clock, Cloud, Connection, Cursors, Inbox, Look, PublicNames, Route
from twokey.providers.azure import addresses
from twokey.providers.azure.public import PUBLIC
from twokey.providers.azure.settings import PREFIX, AzureSettings

if TYPE_CHECKING:
    from twokey.providers.azure.normalise import AzureNormaliser


@dataclass(frozen=True)
class AzureModule:
    """Azure, as its section of the settings describes it."""

    settings: AzureSettings = field(default_factory=AzureSettings)
    name: str = "azure"
    scope: str = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a subscription, in small letters
    secret_prefixes: tuple[str, ...] = ("/azure/", "?code=", "&code=")
    public: PublicNames = PUBLIC

    @property
    def cause_wait(self) -> timedelta:
        """Return how long a change of health waits for the annotation with its cause."""
        return timedelta(seconds=self.settings.annotation_wait_s)

    def variables(self) -> Mapping[str, object]:
        """Return every variable of the section with its default."""
        return sections.variables(AzureSettings(), PREFIX)

    def read(self, environment: Mapping[str, str]) -> tuple[AzureModule, list[str]]:
        """Return Azure as these variables describe it, and what is wrong with them."""
        section, faults = sections.read(AzureSettings, PREFIX, environment)
        return replace(self, settings=section), [*faults, *section.faults()]

    def elsewhere(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Return every address that is not Azure's own."""
        return addresses.elsewhere(self.settings.authority, self.settings.endpoint_url, environment)

    def config(self) -> Mapping[str, Json]:
        """Return nothing: no runbook of Azure needs anything of the settings."""
        return {}

    def normaliser(self) -> AzureNormaliser:
        """Return the reader of notifications."""
        from twokey.providers.azure.normalise import AzureNormaliser

        return AzureNormaliser()

    def complete_signal(self, signal: Signal) -> Signal:
        """Return a signal of before readers gave typed answers with what today's reader would answer."""
        from twokey.providers.azure.answers import complete_signal

        return complete_signal(signal)

    def complete_incident(self, incident: Incident) -> Incident:
        """Return an incident of before with the same."""
        from twokey.providers.azure.answers import complete_incident

        return complete_incident(incident)

    def source_authorization(self) -> AuthorizeSource:
        """Return what says for whom a source may speak."""
        from twokey.providers.azure.source_authorization import scopes_of

        return scopes_of(self.settings.source_scopes).dispute

    def declarations(self, clock: Clock) -> Cloud:
        """Return the actions, checks and types that a runbook may name."""
        from twokey.providers import azure
        from twokey.providers.azure.session import AzureOptions, AzureSession

        return azure.provider(AzureSession(AzureOptions(tenant="", subscriptions=())))

    def connect(self, clock: Clock, cursors: Cursors) -> Connection:
        """Return the same with the queues and lists, over one session."""
        from twokey.providers import azure
        from twokey.providers.azure.wiring import session_of, sources_of

        session = session_of(self.settings)
        return Connection(azure.provider(session), sources_of(self.settings, session, clock, cursors))

    def routes(self, inbox: Inbox, clock: Clock) -> Sequence[Route]:
        """Return the addresses that action groups and Event Grid call."""
        from twokey.providers.azure.endpoints import azure_routes
        from twokey.providers.azure.wiring import endpoints_of

        return azure_routes(inbox, endpoints_of(self.settings, clock), clock)

    def heard_from(self) -> tuple[str, ...]:
        """Return the queues and endpoints that speak by themselves."""
        return self.settings.heard_from()

    def looks(self, clock: Clock, *, is_configured: bool) -> Sequence[Look]:
        """Return the looks at who may call us, and at what we read."""
        return (
            Look("doors", lambda: self._endpoints(clock)),
            Look("azure", lambda: self._sources(clock, is_configured)),
        )

    def policies(self) -> Mapping[str, Json]:
        """Print the custom roles: to look only, to contain, to take from a queue, and to run the setup."""
        from twokey.providers.azure.permissions import custom_role, queue_role, setup_role

        return {
            "custom-role-observer.json": custom_role(with_writes=False),
            "custom-role-queue.json": queue_role(),
            "custom-role-setup.json": setup_role(),
            "custom-role.json": custom_role(),
        }

    def _endpoints(self, clock: Clock) -> str:
        from twokey.providers.azure.wiring import endpoints_of

        endpoints = endpoints_of(self.settings, clock)
        every = (*endpoints.webhooks, *endpoints.events)
        locked = sum(1 for endpoint in every if endpoint.authorize is not None)
        return (
            f"{len(endpoints.webhooks)} Azure webhooks and {len(endpoints.events)} Event Grid addresses,"
            f" {locked} of them want an Entra token"
        )

    def _sources(self, clock: Clock, is_configured: bool) -> str:
        from twokey.providers.azure.wiring import queues_of, session_of

        settings = self.settings
        self.source_authorization()
        if not is_configured:
            return "not one of TWOKEY_CLOUDS"
        queues = queues_of(settings, session_of(settings), clock)
        whom = (
            "each source speaks for its own subscriptions"
            if settings.source_scopes
            else "every source may speak for every subscription: TWOKEY_AZURE_SOURCE_SCOPES limits that"
        )
        found = f"{len(settings.subscriptions)} subscriptions, {len(queues)} storage queues, {whom}"
        if settings.poll_s:
            return f"{found}, polled every {settings.poll_s} s"
        hint = (
            "; no polling: what is lost while Azure does not call a webhook stays lost"
            " (TWOKEY_AZURE_POLL_S=300)"
        )
        return found + (hint if settings.webhooks else "")
