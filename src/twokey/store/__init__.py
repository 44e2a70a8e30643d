"""The record in SQL: SQLite by default, Postgres by changing one URL."""

from twokey.store.kinds import Completions
from twokey.store.queue import ParkedJob, SqlQueue
from twokey.store.record import SqlStore, open_store
from twokey.store.schema import migrate
from twokey.store.transaction import Defer, UnauditedChange

__all__ = [
    "Completions",
    "Defer",
    "ParkedJob",
    "SqlQueue",
    "SqlStore",
    "UnauditedChange",
    "migrate",
    "open_store",
]
