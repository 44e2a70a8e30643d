"""What exists in the cloud in memory: a small organisation with a leaked key and two buckets."""

from __future__ import annotations

from dataclasses import dataclass, field

from twokey.core.errors import Json

OWN_ACCOUNT = "999900001111"  # where twokey runs
MANAGEMENT = "999900002222"
ACCOUNT = "111122223333"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
ROOT = "r-exmp"
WORKLOADS = "ou-exmp-workload"
QUARANTINE = "ou-exmp-quaranti"


@dataclass(slots=True)
class Unit:
    """One organisational unit."""

    name: str
    parent: str


@dataclass(slots=True)
class AccessKey:
    """One long-term access key."""

    account: str
    user: str
    status: str = "Active"


@dataclass(slots=True)
class State:
    """What exists in the cloud."""

    keys: dict[str, AccessKey] = field(default_factory=dict)
    user_policies: dict[tuple[str, str, str], str] = field(default_factory=dict)  # account, user, name
    user_tags: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)  # name -> account
    bucket_policies: dict[str, list[Json]] = field(default_factory=dict)  # name -> statements
    units: dict[str, Unit] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)  # account -> parent
    policies: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> name, document
    attached: list[tuple[str, str]] = field(default_factory=list)  # policy id, target
    trail: list[dict[str, Json]] = field(default_factory=list)  # what the attacker did
    numbers: int = 0

    def number(self) -> int:
        """Return a number that was not used before."""
        self.numbers += 1
        return self.numbers


def a_company() -> State:
    """Make an organisation with a leaked key, two buckets and a place for quarantined accounts."""
    state = State()
    state.units = {WORKLOADS: Unit("workloads", ROOT), QUARANTINE: Unit("quarantine", ROOT)}
    state.accounts = {ACCOUNT: WORKLOADS, "444455556666": WORKLOADS, MANAGEMENT: ROOT, OWN_ACCOUNT: WORKLOADS}
    state.policies = {"p-FullAWSAccess": ("FullAWSAccess", "{}")}
    state.attached = [("p-FullAWSAccess", target) for target in (ROOT, *state.units, *state.accounts)]
    state.keys = {KEY_ID: AccessKey(ACCOUNT, "deploy")}
    state.buckets = {"acme-invoices": ACCOUNT, "acme-photos": ACCOUNT}
    state.bucket_policies = {
        "acme-invoices": [{"Sid": "TlsOnly", "Effect": "Deny", "Action": "s3:*"}],
        "acme-photos": [],
    }
    return state
