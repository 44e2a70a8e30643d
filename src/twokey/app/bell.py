"""A store that rings after every change: what was just committed may be owed to people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from twokey.core.people import Actor
from twokey.core.signals import RawNotification
from twokey.ports import Reading, Store, Transaction


def _nobody() -> None:
    """Nobody listens yet."""


@dataclass
class Bell:
    """Hands everything on to `store`; `listener` is called when a change has been kept, from any thread."""

    store: Store
    listener: Callable[[], None] = _nobody

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """Look without changing."""
        with self.store.read() as look:
            yield look

    @contextmanager
    def change(self, *, patient: bool = False) -> Iterator[Transaction]:
        """Change something, and ring when it is kept."""
        with self.store.change(patient=patient) as tx:
            yield tx
        self.listener()

    def receive(self, notifications: Sequence[RawNotification], actor: Actor) -> list[str]:
        """Keep a batch of notifications; nobody is told before they are sorted."""
        return self.store.receive(notifications, actor)
