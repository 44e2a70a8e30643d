"""Which kinds of nouns are kept, in which table, and which of their fields can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table

from twokey.core.approvals import Approval, Showing, StepUpUse
from twokey.core.audit import TimeStamp
from twokey.core.containments import InForce
from twokey.core.executions import Decision, Execution, StepRecord
from twokey.core.incidents import Incident
from twokey.core.notices import Delivery, Notice
from twokey.core.passkeys import Enrolment, SigningRequest
from twokey.core.people import RosterSeen
from twokey.core.postmortems import Postmortem
from twokey.core.runbooks import Plan
from twokey.core.sightings import Sighting
from twokey.core.signals import Cursor, RawNotification
from twokey.core.stops import Stop
from twokey.ports import Noun
from twokey.store import tables
from twokey.store.nouns import CONVERTER, from_text, raw_from_text, raw_to_text, to_text

Read = Callable[[Any], Any]

Completions = Mapping[type[Any], Callable[[Any], Any]]
"""By kind, what brings a noun up to date that an earlier version wrote; one that is stays as it is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of noun: `fields` are indexed and may be asked for; `read` fills all its columns."""

    noun: type[Any]
    table: Table
    fields: frozenset[str]
    read: Mapping[str, Read]
    has_other_unique: bool = False  # beyond the id
    order: str = "position"  # what "oldest first" means

    def values(self, noun: object) -> dict[str, Any]:
        """Return the columns of a noun."""
        return {
            "id": cast(Noun, noun).id,
            "body": raw_to_text(noun) if isinstance(noun, RawNotification) else to_text(noun),
            **{name: value(noun) for name, value in self.read.items()},
        }

    def noun_of(self, body: str, content: bytes | None = None) -> Any:
        """Return the noun that a row holds."""
        if content is not None:
            return raw_from_text(body, content)
        return from_text(self.noun, body)

    @property
    def columns(self) -> tuple[Any, ...]:
        """Return the columns that a noun is read from."""
        if self.noun is RawNotification:
            return (self.table.c.body, self.table.c.content)
        return (self.table.c.body,)


def _own(name: str) -> Read:
    """Read a field of the noun itself; what it does not have, it does not know: empty."""
    return lambda noun: getattr(noun, name, "")


def _account(noun: object) -> str:
    if isinstance(noun, Plan):
        return noun.target.account
    if isinstance(noun, Sighting):
        return noun.signal.account
    if isinstance(noun, Approval):
        return ""  # its account is a person's in the chat
    return cast(str, getattr(noun, "account", ""))


def _workspace(noun: object) -> str:
    if isinstance(noun, Approval):
        return noun.account.team if noun.account else ""
    if isinstance(noun, Notice):
        return noun.context.get("workspace", "")
    return cast(str, getattr(noun, "workspace", ""))


def _enterprise(noun: object) -> str:
    if isinstance(noun, Notice):
        return noun.context.get("enterprise", "")
    return cast(str, getattr(noun, "enterprise", ""))


def _tenant(noun: object) -> str:
    return noun.signal.tenant if isinstance(noun, Sighting) else cast(str, getattr(noun, "tenant", ""))


_TENANCY: Mapping[str, Read] = {
    "workspace": _workspace,
    "enterprise": _enterprise,
    "account": _account,
    "tenant": _tenant,
}


def _kind(
    noun: type[Any],
    row: type[Any],
    *fields: str,
    other: Mapping[str, Read] | None = None,
    has_other_unique: bool = False,
    order: str = "position",
    **read: Read,
) -> Kind:
    asked = {name: read.get(name, _own(name)) for name in (*fields, *read)}
    columns = {**_TENANCY, **(other or {}), **asked}
    return Kind(noun, tables.table_of(row), frozenset(asked), columns, has_other_unique, order)


ALL = (
    _kind(
        RawNotification,
        tables.RawNotificationRow,
        "state",
        "source",
        "account",
        other={"received_at": _own("received_at"), "content": _own("body")},
    ),
    _kind(Sighting, tables.SightingRow, "subject", "incident_id"),
    _kind(
        Incident,
        tables.IncidentRow,
        *("number", "group", "subject", "state", "account", "provider", "commander", "tracking_id"),
        label=lambda incident: incident.verdict.label,
        has_other_unique=True,
    ),
    _kind(Plan, tables.PlanRow, "incident_id", "state", "digest"),
    _kind(
        Approval,
        tables.ApprovalRow,
        *("plan_id", "person_id"),
        other={"digest": _own("digest")},
        has_other_unique=True,
    ),
    _kind(StepUpUse, tables.StepUpUseRow),
    _kind(Execution, tables.ExecutionRow, "incident_id", other={"fence": _own("fence")}),
    _kind(StepRecord, tables.StepRecordRow, "plan_id", "state"),
    # The outbox is read in the order in which things were to be told, not in that of the first telling.
    _kind(Notice, tables.NoticeRow, *("kind", "incident_id", "plan_id", "state", "order"), order="order"),
    _kind(Delivery, tables.DeliveryRow),
    _kind(Cursor, tables.CursorRow),
    _kind(Postmortem, tables.PostmortemRow, "incident_id"),
    _kind(Decision, tables.DecisionRow, "plan_id"),
    _kind(Showing, tables.ShowingRow, "plan_id", "person_id"),
    _kind(SigningRequest, tables.SigningRequestRow, "plan_id", "person_id"),
    _kind(Enrolment, tables.EnrolmentRow, "person_id", "state"),
    _kind(RosterSeen, tables.RosterSeenRow),
    _kind(Stop, tables.StopRow, "account"),
    _kind(InForce, tables.InForceRow, "plan_id", "incident_id", "state", "account"),
    _kind(TimeStamp, tables.TimeStampRow),
)

KINDS: Mapping[type[Any], Kind] = {kind.noun: kind for kind in ALL}


def kind_of(noun: type[Any]) -> Kind:
    """Return how a kind of noun is kept; another is a programming error (KeyError)."""
    return KINDS[noun]


def get_ready() -> None:
    """Make what turns nouns into text and back: else the first notification of a process waits for it."""
    for kind in ALL:
        CONVERTER.get_unstructure_hook(kind.noun)
        CONVERTER.get_structure_hook(kind.noun)
