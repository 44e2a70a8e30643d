"""A cloud in memory: a company with its units and keys, the actions and checks on it, and faults on demand."""

from twokey.testing.clouds.cloud import PARAMETER_TYPES, MemoryCloud
from twokey.testing.clouds.company import (
    ACCOUNT,
    KEY_ID,
    MANAGEMENT,
    OWN_ACCOUNT,
    QUARANTINE,
    ROOT,
    WORKLOADS,
    AccessKey,
    State,
    Unit,
    a_company,
)
from twokey.testing.clouds.faults import Killed, denied, die, throttled

__all__ = [
    "ACCOUNT",
    "KEY_ID",
    "MANAGEMENT",
    "OWN_ACCOUNT",
    "PARAMETER_TYPES",
    "QUARANTINE",
    "ROOT",
    "WORKLOADS",
    "AccessKey",
    "Killed",
    "MemoryCloud",
    "State",
    "Unit",
    "a_company",
    "denied",
    "die",
    "throttled",
]
