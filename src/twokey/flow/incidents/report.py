"""Whose minutes they were: the responsibility ledger of a period, from the record alone."""

from __future__ import annotations

from datetime import datetime

from twokey.core.errors import Invalid
from twokey.core.incidents import Incident
from twokey.core.ledgers import Ledger, ledger
from twokey.ports import Store

ALL = 10_000_000  # every incident there is: a ledger with a gap would be worse than none


def ledger_of(store: Store, since: datetime, until: datetime) -> Ledger:
    """Return the ledger from `since` until just before `until`; refuse a period that ends before it begins."""
    if until <= since:
        raise Invalid("report.period_backwards", since=since.isoformat(), until=until.isoformat())
    with store.read() as look:
        return ledger(look.find(Incident, limit=ALL), since, until, look.head())
