"""The numbers of the advisory locks that twokey takes on Postgres: one list, so that no two parts take the same."""

from __future__ import annotations

from enum import IntEnum


class AdvisoryLock(IntEnum):
    """What each number protects, among all processes on one database."""

    CHANGE = 0x2B0_0001  # changes of the record
    QUEUE = 0x2B0_0002  # takes from the queue
    MIGRATE = 0x2B0_0003  # the record's tables
    ENGINE_SCHEMA = 0x2B0_0004  # procrastinate's tables
    LEAD = 0x2B0_0005  # being the process that speaks in the chat
