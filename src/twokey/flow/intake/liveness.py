"""Source liveness: a source that says nothing for too long may be broken, and people are told once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from twokey.core.errors import message
from twokey.core.people import system
from twokey.core.signals import RawNotification
from twokey.flow import outbox
from twokey.ports import Clock, Store

LISTENING = system("listening")


@dataclass(frozen=True)
class SourceLiveness:
    """Knows when each source was heard last; a source that never was is counted from `began`."""

    store: Store
    clock: Clock
    sources: tuple[str, ...]
    silent_after: timedelta  # nothing: silence is never told
    began: datetime

    def heard(self) -> dict[str, datetime | None]:
        """Return when each source was heard last; None is never."""
        with self.store.read() as look:
            last = {
                source: look.find(RawNotification, source=source, newest_first=True, limit=1)
                for source in self.sources
            }
        return {source: found[0].received_at if found else None for source, found in last.items()}

    def silent(self) -> dict[str, datetime]:
        """Return the sources that have been silent for too long, and since when."""
        if not self.silent_after:
            return {}
        now = self.clock.now()
        since = {source: last or self.began for source, last in self.heard().items()}
        return {source: moment for source, moment in since.items() if now - moment > self.silent_after}

    def look(self) -> dict[str, datetime]:
        """Tell of every source that has fallen silent, once for each silence; return those that are."""
        silent = self.silent()
        for source, since in silent.items():
            name = f"silent:{source}:{since.isoformat()}"
            with self.store.read() as look:
                if outbox.is_duty_told(look, name):
                    continue
            with self.store.change() as tx:
                tx.append(LISTENING, "source.silent", data={"source": source, "since": since.isoformat()})
                moment = f"{since:%Y-%m-%d %H:%M} UTC"
                outbox.tell_duty(
                    tx, name, message("listening.silent", source=source, since=moment), self.clock.now()
                )
        return silent
