"""An intake harness: the intake stage with the real normalisers and the shipped rules, on any store."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from twokey import app as wiring
from twokey.core.incidents import Incident
from twokey.core.jobs import Job
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification, RawState, raw_id
from twokey.engine.embedded import EmbeddedEngine
from twokey.flow.handlers import dead_letter_handler, job_handlers
from twokey.flow.incidents.commands import Response
from twokey.flow.intake import Intake
from twokey.ports import AuthorizeSource, Classifier, Clock, Store, authorize_every_source
from twokey.settings import load
from twokey.testing.clocks import SettableClock
from twokey.testing.memory import MemoryStore
from twokey.testing.people import FixedRosters


@functools.cache
def shipped_rules() -> Classifier:
    """Return the shipped rules, loaded once for all trials."""
    return wiring.classifier(load({}))


class _Unreachable:
    """Stands in for the stages that no notification reaches by itself."""

    def __getattr__(self, name: str) -> Any:
        def fail(*given: object) -> None:
            raise AssertionError(f"intake called {name}{given}")

        return fail

    def run(self, job: Job) -> None:
        """Do nothing: a draft is another stage's."""


class IntakeHarness:
    """Receives notifications and sorts them; `classifier` may stand in for the shipped rules."""

    def __init__(
        self,
        store: Store | None = None,
        queue: Any = None,
        *,
        clock: Clock | None = None,
        classifier: Classifier | None = None,
        cause_wait: timedelta = timedelta(0),
        authorize_source: AuthorizeSource = authorize_every_source,
    ) -> None:
        self.clock = clock or SettableClock()
        memory = MemoryStore(self.clock)
        self.store: Store = store or memory
        self.rosters = FixedRosters()
        self.intake = Intake(
            self.store,
            self.clock,
            wiring.normalisers(),
            classifier or shipped_rules(),
            "T1",
            "E1",
            cause_wait=cause_wait,
            authorize_source=authorize_source,
        )
        self.response = Response(self.store, self.clock, self.rosters)
        unreachable: Any = _Unreachable()
        handle = job_handlers(self.intake, unreachable, unreachable, unreachable, unreachable)
        on_dead_letter = dead_letter_handler(self.intake, unreachable, self.store)
        self.engine = EmbeddedEngine(queue or memory.jobs(), handle, on_dead_letter, self.clock, workers=1)

    def arrives(self, source: str, *bodies: bytes) -> list[str]:
        """Let notifications arrive together; return the ids of those that were new."""
        now = self.clock.now()
        return self.intake.receive(
            [RawNotification(raw_id(source, body), source, body, now) for body in bodies]
        )

    def works(self) -> int:
        """Run the jobs that are due; return how many."""
        return self.engine.drain(100_000)

    def incidents(self) -> list[Incident]:
        """Return every incident, oldest first."""
        with self.store.read() as look:
            return look.find(Incident, limit=100_000)

    def sightings(self) -> list[Sighting]:
        """Return every signal that was taken in."""
        with self.store.read() as look:
            return look.find(Sighting, limit=100_000)

    def raws(self, state: RawState | None = None) -> Sequence[RawNotification]:
        """Return the notifications on record, of one state or all."""
        with self.store.read() as look:
            every = look.find(RawNotification, limit=100_000)
        return [raw for raw in every if state in (None, raw.state)]
