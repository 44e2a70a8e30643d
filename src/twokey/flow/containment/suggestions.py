"""Which runbooks to show first: those written for what arrived, then those whose inputs are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from twokey.core.errors import Json
from twokey.core.incidents import Incident, facts
from twokey.core.runbooks import Risk, Runbook
from twokey.core.signals import Signal

_BY_RISK = tuple(Risk)


def best_first(books: Iterable[Runbook], incident: Incident, signals: Sequence[Signal]) -> list[Runbook]:
    """Return the runbooks of the incident's cloud, best first; a suggestion is never more than that."""
    if incident.disputed:
        return []
    known = facts(incident)

    def rank(book: Runbook) -> tuple[bool, int, int, str]:
        was_meant = any(_matches(trigger, incident, s) for trigger in book.triggers for s in signals)
        unknown = sum(
            param.required
            and param.source.startswith("incident.")
            and param.source.removeprefix("incident.") not in known
            for param in book.params
        )
        return not was_meant, unknown, _BY_RISK.index(book.risk), book.id

    return sorted((book for book in books if book.provider == incident.provider), key=rank)


def _matches(trigger: Mapping[str, Json], incident: Incident, signal: Signal) -> bool:
    """Say whether all that a trigger names is so; a name that is not known here matches nothing."""
    resources = {resource.type.casefold() for resource in signal.resources}
    says: dict[str, bool] = {
        "source": trigger.get("source") == f"{signal.provider}.{signal.family}",
        "type": trigger.get("type") == signal.type,
        "type_prefix": signal.type.startswith(str(trigger.get("type_prefix", ""))),
        "event_type_code": trigger.get("event_type_code") == signal.type,
        "service": str(trigger.get("service", "")).casefold() == signal.service.casefold(),
        "family": trigger.get("family") == signal.family,
        "resource_type": str(trigger.get("resource_type", "")).casefold() in resources,
        "label": trigger.get("label") == incident.verdict.label.value,
    }
    return bool(trigger) and all(says.get(name, False) for name in trigger)
