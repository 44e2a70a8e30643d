"""What is handed out about an installation: its audit export, and the logs of its clouds and its chat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Entry = dict[str, Any]

_READS = ("Get", "List", "Describe", "Head", "Lookup", "Simulate", "Receive", "Assume", "Generate", "Search")
_QUEUE = ("DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "SendMessage", "SendMessageBatch")


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, at which entry of the trail (0: none), and how."""

    promise: str
    seq: int
    says: str


@dataclass(frozen=True, slots=True)
class CloudCall:
    """One request that a cloud answered. `request` holds enough of it to recognise what it was about."""

    at: datetime
    operation: str
    status: int
    request: str

    @property
    def is_effect(self) -> bool:
        """Say whether the cloud was different afterwards."""
        reads = self.operation.startswith(_READS) or self.operation in _QUEUE
        return 200 <= self.status < 300 and not reads


@dataclass(slots=True)
class PlanTrail:
    """What the trail says about one plan, in order."""

    id: str
    entries: list[Entry] = field(default_factory=list)

    def of(self, *actions: str) -> list[Entry]:
        """Return the entries of these actions."""
        return [entry for entry in self.entries if entry["action"] in actions]

    @property
    def asked(self) -> Entry | None:
        """Return the entry that says what was asked for: `proposed`, or `glass.broken`."""
        return next(iter(self.of("proposed", "glass.broken")), None)

    @property
    def is_critical(self) -> bool:
        """Say whether three people are needed."""
        return self.asked is not None and self.asked["data"].get("risk") == "critical"

    @property
    def digest(self) -> str:
        """Return what was confirmed."""
        return str(self.asked["data"].get("digest", "")) if self.asked else ""


@dataclass(frozen=True, slots=True)
class History:
    """Everything that was handed out about one installation."""

    lines: Sequence[str]
    entries: Sequence[Entry]
    cloud: Sequence[CloudCall] = ()
    chat: Sequence[dict[str, Any]] | None = None  # None: nothing was posted in this history
    head: tuple[int, str] | None = None
    passkeys: Mapping[str, Mapping[str, str]] | None = None  # person -> credential -> public key

    def plans(self) -> list[PlanTrail]:
        """Return the plans that are mentioned."""
        found: dict[str, PlanTrail] = {}
        for entry in self.entries:
            is_refusal = entry["action"].endswith(".refused")
            if entry["plan"] and not is_refusal and not entry["action"].startswith("notice."):
                found.setdefault(entry["plan"], PlanTrail(entry["plan"])).entries.append(entry)
        return list(found.values())

    def of(self, *actions: str) -> list[Entry]:
        """Return the entries of these actions."""
        return [entry for entry in self.entries if entry["action"] in actions]


def read(
    trail: Iterable[str],
    cloud: Iterable[str] = (),
    chat: Iterable[str] | None = None,
    head: tuple[int, str] | None = None,
) -> History:
    """Read what was handed out; ValueError when it is not what it should be."""
    lines = [line.rstrip("\n") for line in trail if line.strip()]
    calls = [json.loads(line) for line in cloud if line.strip()]
    return History(
        lines,
        [json.loads(line) for line in lines],
        [CloudCall(moment(c["at"]), c["operation"], int(c["status"]), str(c["request"])) for c in calls],
        None if chat is None else [json.loads(line) for line in chat if line.strip()],
        head,
    )


def moment(text: str) -> datetime:
    """Read a time with its zone; the order of entries never comes from it."""
    return datetime.fromisoformat(text)
