"""How far each source has been read: kept in the record, and moved only when what was read is stored."""

from __future__ import annotations

from dataclasses import dataclass

from twokey.core.people import system
from twokey.core.signals import Cursor
from twokey.ports import Clock, Store

POLLING = system("polling")


@dataclass
class StoredCursors:
    """See ports.Cursors."""

    store: Store
    clock: Clock

    def position(self, source: str) -> str:
        """Return where a source stands, "" when it was never read."""
        with self.store.read() as reading:
            cursor = reading.get(Cursor, source)
        return cursor.position if cursor else ""

    def move(self, source: str, position: str) -> None:
        """Keep where a source stands from now on; the same place again leaves no trace."""
        if position == self.position(source):
            return
        with self.store.change() as tx:
            tx.put(Cursor(source, position, self.clock.now()))
            tx.append(POLLING, "polled", data={"source": source, "position": position})
