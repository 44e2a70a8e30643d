"""One change of the record: all of it is kept with its audit entry and its owed jobs, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from twokey.core.audit import AuditEntry
from twokey.core.errors import Conflict, Json
from twokey.core.jobs import Job
from twokey.core.people import Actor
from twokey.ports import Clock, Noun
from twokey.store import statements
from twokey.store.chain import data_text, entry_of, sealed_row
from twokey.store.failures import driver_errors
from twokey.store.kinds import Completions, Kind, kind_of
from twokey.store.reading import N, SqlSnapshot, values_of
from twokey.store.session import Session

Defer = Callable[[Any, Sequence[Job]], None]
"""Hands jobs to another engine on the driver's own connection, inside the transaction that owes them."""


class UnauditedChange(ValueError):
    """A change was about to be kept without an audit entry: a programming error."""


class SqlTransaction(SqlSnapshot):
    """See ports.Transaction."""

    def __init__(self, session: Session, clock: Clock, defer: Defer | None, completions: Completions) -> None:
        super().__init__(session, completions)
        self._clock = clock
        self._defer = defer
        self._dialect = session.dialect.name
        self._head: tuple[int, str] | None = None
        self._is_changed = False
        self._is_audited = False
        self.owed: list[Job] = []

    def add(self, noun: Noun) -> None:
        """Keep a new noun; raise Conflict when its id, or another unique field, is taken."""
        kind = kind_of(type(noun))
        statement = statements.add(type(noun), self._dialect)
        if not self._session.kept(statement, kind.values(noun)):
            raise Conflict("store.already_there", kind=kind.noun.__name__, id=noun.id)
        self._is_changed = True

    def put(self, noun: Noun) -> None:
        """Keep a noun, in place of the one with its id if there is one."""
        kind = kind_of(type(noun))
        statement = statements.put(type(noun), self._dialect)
        if kind.has_other_unique:
            self._put_carefully(kind, statement, noun)
        else:
            self._session.keep(statement, kind.values(noun))
        self._is_changed = True

    def _put_carefully(self, kind: Kind, statement: Any, noun: Noun) -> None:
        try:
            with self._session.attempt():
                self._session.keep(statement, kind.values(noun))
        except driver_errors("IntegrityError") as error:
            raise Conflict("store.already_there", kind=kind.noun.__name__, id=noun.id) from error

    def append(
        self,
        actor: Actor,
        action: str,
        *,
        incident_id: str = "",
        plan_id: str = "",
        data: Mapping[str, Json] | None = None,
    ) -> AuditEntry:
        """Write the audit entry of this change, sealed behind the last one."""
        rows = self.append_all([(actor, action, (incident_id, plan_id), data_text(data))])
        return entry_of(tuple(rows[0].values()))

    def append_all(self, entries: Sequence[tuple[Actor, str, tuple[str, str], str]]) -> list[dict[str, Any]]:
        """Write several entries at once: actor, action, incident and plan, data as canonical JSON."""
        head, at = self._head or self.head(), self._clock.now()
        rows = []
        for actor, action, about, data in entries:
            row = sealed_row(head, at, actor, action, about, data=data)
            head = (row["seq"], row["hash"])
            rows.append(row)
        self._session.keep(statements.APPEND, *rows)
        self._head, self._is_audited = head, True
        return rows

    def enqueue(self, job: Job) -> None:
        """Owe a job; the same id twice owes it once."""
        statement = statements.owe(self._dialect)
        row = job_row(job, self._clock.now(), is_handed=self._defer is not None)
        if self._session.kept(statement, row):
            self.owed.append(job)
        self._is_changed = True

    def enqueue_new(self, jobs: Sequence[Job]) -> None:
        """Owe jobs of which none was ever owed."""
        now = self._clock.now()
        rows = [job_row(job, now, is_handed=self._defer is not None) for job in jobs]
        self._session.keep(statements.OWE_NEW, *rows)
        self.owed.extend(jobs)
        self._is_changed = True

    def next_number(self, name: str) -> int:
        """Return the next number of a counter: it is given back if the change is not kept, so no gaps."""
        self._is_changed = True
        last = self._session.scalar(statements.COUNT_UP, {"counted": name})
        if last is None:
            self._session.keep(statements.BEGIN_COUNT, {"name": name, "last": 1})
            return 1
        return int(last)

    def known(self, kind: type[N], ids: Sequence[str]) -> set[str]:
        """Return which of these ids are there."""
        found: set[str] = set()
        for start in range(0, len(ids), 1024):  # below every database's limit of parameters
            values = values_of({"id": tuple(ids[start : start + 1024])})
            rows = self._session.rows(statements.known(kind, len(values)), values)
            found.update(row[0] for row in rows)
        return found

    def insert_new(self, kind: type[N], rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep rows of which none is there."""
        self._session.keep(statements.add_new(kind), *rows)
        self._is_changed = True

    def finish(self) -> None:
        """Refuse a change without its audit entry; hand the owed jobs over when another engine runs them."""
        if self._is_changed and not self._is_audited:
            raise UnauditedChange("a change without an audit entry is not kept")
        if self._defer and self.owed:
            self._defer(self._session.driver, self.owed)


def job_row(job: Job, now: datetime, *, is_handed: bool) -> dict[str, Any]:
    """Return the row of a job that is owed from now on."""
    return {
        "id": job.id,
        "kind": job.kind.value,
        "payload": json.dumps(dict(job.payload), separators=(",", ":")),
        "lock": job.lock,
        "state": "handed" if is_handed else "waiting",
        "due": job.not_before or now,
        "holds": job.not_before is None,
        "not_before": job.not_before,
        "attempts": 0,
        "turn": 0,
        "worker": "",
        "error": "",
    }
