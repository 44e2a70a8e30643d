"""What Stratus' folder brings: `ports.CloudModule`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from tests.toy_cloud.stratus.api import StratusApi
from tests.toy_cloud.stratus.cloud import PROJECT_ID, provider
from tests.toy_cloud.stratus.normalise import StratusNormaliser
from tests.toy_cloud.stratus.settings import PREFIX, StratusSettings
from tests.toy_cloud.stratus.source import Feed
from twokey import sections
from twokey.core.errors import Json
from twokey.core.incidents import Incident
from twokey.core.signals import Signal
from twokey.ports import (
    AuthorizeSource,
    Clock,
    Cloud,
    Connection,
    Cursors,
    Inbox,
    Look,
    PublicNames,
    Route,
    authorize_every_source,
)


@dataclass(frozen=True)
class StratusModule:
    """Stratus, as its section of the settings describes it."""

    api: StratusApi = field(default_factory=StratusApi)
    settings: StratusSettings = field(default_factory=StratusSettings)
    name: str = "stratus"
    scope: str = PROJECT_ID
    secret_prefixes: tuple[str, ...] = ()
    public: PublicNames = field(default_factory=lambda: PublicNames("Stratus"))
    cause_wait: timedelta = timedelta(0)

    def variables(self) -> Mapping[str, object]:
        """Return every variable of the section with its default."""
        return sections.variables(StratusSettings(), PREFIX)

    def read(self, environment: Mapping[str, str]) -> tuple[StratusModule, list[str]]:
        """Return Stratus as these variables describe it, and what is wrong with them."""
        section, faults = sections.read(StratusSettings, PREFIX, environment)
        return replace(self, settings=section), [*faults, *section.faults()]

    def elsewhere(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Return nothing: no setting says where it is."""
        return {}

    def config(self) -> Mapping[str, Json]:
        """Return nothing: no runbook needs anything of the settings."""
        return {}

    def normaliser(self) -> StratusNormaliser:
        """Return the reader of findings."""
        return StratusNormaliser()

    def complete_signal(self, signal: Signal) -> Signal:
        """Return it as it is: no record is older than this cloud."""
        return signal

    def complete_incident(self, incident: Incident) -> Incident:
        """Return it as it is."""
        return incident

    def source_authorization(self) -> AuthorizeSource:
        """Let the one feed speak for every project."""
        return authorize_every_source

    def declarations(self, clock: Clock) -> Cloud:
        """Return what a runbook may name."""
        return provider(self.api)

    def connect(self, clock: Clock, cursors: Cursors) -> Connection:
        """Return the cloud and its feed."""
        feeds = (Feed(f"stratus.feed:{self.settings.feed}", self.api, clock),) if self.settings.feed else ()
        return Connection(provider(self.api), feeds)

    def routes(self, inbox: Inbox, clock: Clock) -> Sequence[Route]:
        """Return nothing: Stratus calls nobody."""
        return ()

    def heard_from(self) -> tuple[str, ...]:
        """Return nothing: the feed is asked, it does not speak by itself."""
        return ()

    def looks(self, clock: Clock, *, is_configured: bool) -> Sequence[Look]:
        """Return the one look."""
        return (Look("stratus", lambda: f"the feed is {self.settings.feed or 'not read'}"),)

    def policies(self) -> Mapping[str, Json]:
        """Print the one grant."""
        return {"grant.json": ["tokens.get", "tokens.update"]}
