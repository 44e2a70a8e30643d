"""Every verdict that an incident has had: whoever gives one writes its label and its rule into the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from twokey.core.audit import AuditEntry
from twokey.core.sightings import Sighting
from twokey.ports import Reading


@dataclass(frozen=True, slots=True)
class Version:
    """One verdict: by a rule, by a provider's event, or by a person (rule `human`)."""

    seq: int  # of the audit entry
    at: datetime
    actor: str
    action: str
    label: str
    rule: str
    reason: str = ""
    confidence: str = ""


def versions(look: Reading, incident_id: str) -> list[Version]:
    """Return the verdicts of an incident, oldest first."""
    entries = look.audit(incident_id=incident_id)
    return [_version(look, entry) for entry in entries if _gave_verdict(entry)]


def _gave_verdict(entry: AuditEntry) -> bool:
    if entry.action.endswith((".refused", ".again")):
        return False
    return isinstance(entry.data.get("label"), str) and isinstance(entry.data.get("rule"), str)


def _version(look: Reading, entry: AuditEntry) -> Version:
    """The trail has label and rule; the reason is a person's own, or stands with the signal that was judged."""
    label, rule = str(entry.data["label"]), str(entry.data["rule"])
    seen = look.get(Sighting, str(entry.data.get("signal", "")))
    judged = seen.verdict if seen is not None and seen.verdict.rule == rule else None
    return Version(
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor.id,
        action=entry.action,
        label=label,
        rule=rule,
        reason=str(entry.data.get("reason", "")) or (judged.reason if judged else ""),
        confidence=judged.confidence.value if judged else "",
    )
