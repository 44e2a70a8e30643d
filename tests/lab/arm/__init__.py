"""A small Azure Resource Manager on this machine that the real Azure SDKs talk to over TLS.

It answers as the published REST examples do: storage accounts and containers, resource and service health,
the activity log. Its state can be looked at and changed, its calls are on record, and faults can be ordered.
"""

from __future__ import annotations

from tests.lab.arm.faults import Fault
from tests.lab.arm.identity import Identity
from tests.lab.arm.server import TOKEN, Arm, Call
from tests.lab.arm.state import ArmState, Container, StorageAccount, health_event, log_entry

__all__ = [
    "TOKEN",
    "Arm",
    "ArmState",
    "Call",
    "Container",
    "Fault",
    "Identity",
    "StorageAccount",
    "health_event",
    "log_entry",
]
