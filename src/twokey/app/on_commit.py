"""A store with a hook on every commit: what was just committed may be owed to people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from twokey.core.people import Actor
from twokey.core.signals import RawNotification
from twokey.ports import Snapshot, Store, Transaction


@dataclass
class HookedStore:
    """Hands everything on to `store`; `on_commit` is called when a change has been kept, from any thread."""

    store: Store
    on_commit: Callable[[], None] = lambda: None  # nobody waits yet

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """Look without changing."""
        with self.store.read() as look:
            yield look

    @contextmanager
    def change(self, *, patient: bool = False) -> Iterator[Transaction]:
        """Change something, and call the hook when it is kept."""
        with self.store.change(patient=patient) as tx:
            yield tx
        self.on_commit()

    def receive(self, notifications: Sequence[RawNotification], actor: Actor) -> list[str]:
        """Keep a batch of notifications; nobody is told before they are sorted."""
        return self.store.receive(notifications, actor)
