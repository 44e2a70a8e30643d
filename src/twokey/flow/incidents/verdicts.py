"""Every verdict that an incident has had: whoever gives one writes its label and its rule into the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from twokey.core.sightings import Sighting
from twokey.ports import Snapshot


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


def versions(look: Snapshot, incident_id: str) -> list[Version]:
    """Return the verdicts of an incident, oldest first.

    The trail has label and rule; the reason is a person's own, or stands with the signal that was judged.
    """
    found = []
    for entry in look.audit(incident_id=incident_id):
        label, rule = entry.data.get("label"), entry.data.get("rule")
        if entry.action.endswith((".refused", ".again")):
            continue
        if not isinstance(label, str) or not isinstance(rule, str):
            continue
        seen = look.get(Sighting, str(entry.data.get("signal", "")))
        judged = seen.verdict if seen is not None and seen.verdict.rule == rule else None
        found.append(
            Version(
                seq=entry.seq,
                at=entry.at,
                actor=entry.actor.id,
                action=entry.action,
                label=label,
                rule=rule,
                reason=str(entry.data.get("reason", "")) or (judged.reason if judged else ""),
                confidence=judged.confidence.value if judged else "",
            )
        )
    return found
