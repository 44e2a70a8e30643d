"""What AWS's folder brings: `ports.CloudModule`. What costs time to import is imported when it is asked for."""

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
from twokey.providers.aws import addresses
from twokey.providers.aws.parameters import ACCOUNT_ID
from twokey.providers.aws.public import PUBLIC
from twokey.providers.aws.settings import PREFIX, AwsSettings

if TYPE_CHECKING:
    from twokey.providers.aws.normalise import AwsNormaliser


@dataclass(frozen=True)
class AwsModule:
    """AWS, as its section of the settings describes it."""

    settings: AwsSettings = field(default_factory=AwsSettings)
    name: str = "aws"
    scope: str = ACCOUNT_ID
    secret_prefixes: tuple[str, ...] = ("/aws/sns/",)
    public: PublicNames = PUBLIC
    cause_wait: timedelta = timedelta(0)

    def variables(self) -> Mapping[str, object]:
        """Return every variable of the section with its default."""
        return sections.variables(AwsSettings(), PREFIX)

    def read(self, environment: Mapping[str, str]) -> tuple[AwsModule, list[str]]:
        """Return AWS as these variables describe it, and what is wrong with them."""
        section, faults = sections.read(AwsSettings, PREFIX, environment)
        return replace(self, settings=section), [*faults, *section.faults()]

    def elsewhere(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Return every address that is not AWS's own."""
        return addresses.elsewhere(self.settings.endpoint_url, environment)

    def config(self) -> Mapping[str, Json]:
        """Return what a runbook may take `from: config.aws.*`."""
        known = {
            "quarantine_parent_ou": self.settings.quarantine_parent_ou,
            "role_name": self.settings.role_name,
        }
        return {name: value for name, value in known.items() if value}

    def normaliser(self) -> AwsNormaliser:
        """Return the reader of notifications, which knows the roles that twokey itself acts as."""
        from twokey.providers.aws.normalise import AwsNormaliser

        return AwsNormaliser((self.settings.role_name, self.settings.organizations_role_name))

    def complete_signal(self, signal: Signal) -> Signal:
        """Return a signal of before readers gave typed answers with what today's reader would answer."""
        from twokey.providers.aws.answers import complete_signal

        return complete_signal(signal)

    def complete_incident(self, incident: Incident) -> Incident:
        """Return an incident of before with the same."""
        from twokey.providers.aws.answers import complete_incident

        return complete_incident(incident)

    def source_authorization(self) -> AuthorizeSource:
        """Return what says for whom a source may speak."""
        from twokey.providers.aws.source_authorization import scopes_of

        return scopes_of(self.settings.source_scopes).dispute

    def declarations(self, clock: Clock) -> Cloud:
        """Return the actions, checks and types that a runbook may name."""
        from twokey.providers import aws

        return aws.provider(aws.AwsOptions(), clock)

    def connect(self, clock: Clock, cursors: Cursors) -> Connection:
        """Return the same with the queues and lists, over one session."""
        from twokey.providers import aws
        from twokey.providers.aws.session import AwsSession
        from twokey.providers.aws.wiring import options_of, sources_of

        session = AwsSession(options_of(self.settings), clock)
        cloud = aws.provider(session.options, clock, session=session)
        return Connection(cloud, sources_of(self.settings, session, cursors))

    def routes(self, inbox: Inbox, clock: Clock) -> Sequence[Route]:
        """Return the addresses that SNS and EventBridge call."""
        from twokey.providers.aws.endpoints import aws_routes
        from twokey.providers.aws.wiring import endpoints_of

        return aws_routes(inbox, endpoints_of(self.settings, clock), clock)

    def heard_from(self) -> tuple[str, ...]:
        """Return the queues, topics and connections that speak by themselves."""
        return self.settings.heard_from()

    def looks(self, clock: Clock, *, is_configured: bool) -> Sequence[Look]:
        """Return the looks: by what ways AWS reaches us and for whom each may speak, and what our calls say of us."""
        return (Look("ways of AWS", lambda: self._ways(clock)), Look("calls to AWS", self._calls))

    def policies(self) -> Mapping[str, Json]:
        """Print the IAM policies: planner and executor, for member accounts and for the organisation's own."""
        from twokey.providers.aws.permissions import declared, files

        return files(declared())

    def _calls(self) -> str:
        if self.settings.source_identity:
            return "CloudTrail names the plan of every call into another account"
        return f"CloudTrail names no plan in a session's entries: {PREFIX}SOURCE_IDENTITY is off"

    def _ways(self, clock: Clock) -> str:
        from twokey.providers.aws.wiring import endpoints_of

        settings = self.settings
        endpoints = endpoints_of(settings, clock)
        self.source_authorization()
        lists = ", ".join(settings.poll) if settings.poll_s else "nothing"
        whom = (
            "each source speaks for its own accounts"
            if settings.source_scopes
            else "every source may speak for every account: TWOKEY_AWS_SOURCE_SCOPES limits that"
        )
        return (
            f"{len(settings.queues)} queues, {len(settings.sns_topics)} SNS topics over HTTPS,"
            f" {len(endpoints.keys)} keys for EventBridge, {lists} is asked; {whom}"
        )
