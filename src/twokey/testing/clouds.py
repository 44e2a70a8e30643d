"""A cloud in memory that forgives nothing: every effect counts, repeats too, and calls fail on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from twokey.core.errors import Json, Message, Refused, Unavailable, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import CheckResult, Effect, Preview, Target, Touch
from twokey.ports import Action, Check

OWN_ACCOUNT = "999900001111"  # where twokey runs
MANAGEMENT = "999900002222"
ACCOUNT = "111122223333"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
ROOT = "r-exmp"
WORKLOADS = "ou-exmp-workload"
QUARANTINE = "ou-exmp-quaranti"

Inputs: TypeAlias = Mapping[str, Json]
Outputs: TypeAlias = dict[str, Json]


class Killed(BaseException):
    """The process died here: nothing after this line happened."""


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


class MemoryCloud:
    """One cloud: its `state`, what it was asked (`calls`), what was changed (`effects`).

    Faults are scripted and used up: `throttle(2)` lets the next two calls fail, `fault_at(7)` the seventh
    from now, `fault_on("apply aws.iam.update_access_key")` the next of that name. A call's name is its operation
    (preview | capture | apply | find | holds) and the action or check.
    """

    def __init__(self, name: str = "aws", state: State | None = None) -> None:
        self.name = name
        self.state = state or a_company()
        self.calls: list[str] = []
        self.effects: list[tuple[str, Outputs, str]] = []
        self.parameter_types: Mapping[str, str] = PARAMETER_TYPES
        self.actions: Mapping[str, Action] = (
            {action.name: action for action in (kind(self) for kind in ACTIONS)} if name == "aws" else {}
        )
        self._checks = {check: MemoryCheck(self, check, answer) for check, answer in CHECKS.items()}
        self.checks: Mapping[str, Check] = dict(self._checks) if name == "aws" else {}
        self.lock = threading.RLock()
        self._at: list[tuple[int, Callable[[], None]]] = []
        self._on: list[tuple[str, Callable[[], None]]] = []
        self._after: list[tuple[str, Callable[[], None]]] = []

    def throttle(self, times: int = 1) -> None:
        """Let the next calls be turned away."""
        for number in range(1, times + 1):
            self.fault_at(number)

    def fault_at(self, number: int, fault: Callable[[], None] | None = None) -> None:
        """Let the so-manieth call from now on be turned away, or have something happen before it."""
        self._at.append((len(self.calls) + number, fault or throttled))

    def fault_on(self, call: str, fault: Callable[[], None] | None = None, times: int = 1) -> None:
        """Let the next call of that name be turned away, or have something happen before it."""
        self._on.extend([(call, fault or throttled)] * times)

    def refuse_on(self, call: str, times: int = 1) -> None:
        """Let the next call of that name be denied for good."""
        self.fault_on(call, denied, times)

    def slow_on(self, call: str, seconds: float, sleep: Callable[[float], object]) -> None:
        """Let the next call of that name take its time."""
        self.fault_on(call, lambda: _ignore(sleep(seconds)))

    def die_after_effect(self, action: str) -> None:
        """Let the process die when the action's next effect took place: the answer is lost."""
        self._after.append((action, die))

    def lose_answer(self, action: str) -> None:
        """Let the answer of the action's next effect be lost on its way, the process living on."""
        self._after.append((action, throttled))

    def answers_no(self, check: str, times: int = 1) -> None:
        """Let a check still see the old state for a while."""
        self._checks[check].noes += times

    def done(self, action: str = "") -> list[Outputs]:
        """Return the inputs of every effect of an action, or of all."""
        return [inputs for name, inputs, _ in self.effects if action in ("", name)]

    def asked(self, operation: str, name: str) -> None:
        """Take note of a call, and do what was scripted for it."""
        with self.lock:
            call = f"{operation} {name}"
            self.calls.append(call)
            due = [pair for pair in self._at if pair[0] == len(self.calls)]
            self._at = [pair for pair in self._at if pair not in due]
            named = next((pair for pair in self._on if pair[0] == call), None)
            if named:
                self._on.remove(named)
        for _, fault in (*due, *((named,) if named else ())):
            fault()

    def changed(self, action: str, inputs: Inputs, key: str) -> None:
        """Take note of an effect that took place just now, and do what was scripted for then."""
        with self.lock:
            self.effects.append((action, dict(inputs), key))
            named = next((pair for pair in self._after if pair[0] == action), None)
            if named:
                self._after.remove(named)
        if named:
            named[1]()


def throttled() -> None:
    """Turn a call away: try again."""
    raise Unavailable("cloud.throttled")


def denied() -> None:
    """Turn a call away for good."""
    raise Refused("cloud.access_denied")


def die() -> None:
    """End the process."""
    raise Killed


def _ignore(_: object) -> None:
    return None


class MemoryAction:
    """What all actions have in common. Sub-classes say what they would touch, do it, and find it again."""

    name = ""
    effect = Effect.MODIFY
    permissions: tuple[str, ...] = ()
    inputs: Mapping[str, str] = {}
    outputs: tuple[str, ...] = ()

    def __init__(self, cloud: MemoryCloud) -> None:
        self.cloud = cloud

    @property
    def state(self) -> State:
        """Return what exists."""
        return self.cloud.state

    def preview(self, target: Target, inputs: Inputs) -> Preview:
        """Say what would be touched."""
        self.cloud.asked("preview", self.name)
        refusal = self.refusal(target, inputs)
        return Preview(refusal=refusal) if refusal else self.would(target, inputs)

    def capture(self, target: Target, inputs: Inputs) -> Mapping[str, Json]:
        """Read what an undo will need."""
        self.cloud.asked("capture", self.name)
        return self.prior(target, inputs)

    def apply(self, target: Target, inputs: Inputs, key: str) -> Mapping[str, Json]:
        """Do it: again when called again, because a real cloud would."""
        self.cloud.asked("apply", self.name)
        if refusal := self.refusal(target, inputs):
            raise Refused(refusal.code, **refusal.params)
        with self.cloud.lock:
            outputs = self.do(target, inputs)
        if self.effect.is_write:
            self.cloud.changed(self.name, inputs, key)
        return outputs

    def find(self, target: Target, inputs: Inputs, key: str) -> Lookup:
        """Look whether it was done."""
        self.cloud.asked("find", self.name)
        outputs = self.there(target, inputs)
        return Lookup(Found.NOT_DONE) if outputs is None else Lookup(Found.DONE, outputs)

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        """Say why it must never be done."""
        return None

    def would(self, target: Target, inputs: Inputs) -> Preview:
        """Say what it would touch."""
        return Preview()

    def prior(self, target: Target, inputs: Inputs) -> Outputs:
        """Return what is there before."""
        return {}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        """Change the state."""
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        """Return the outputs when the effect is there."""
        return {}


class KeyLastUsed(MemoryAction):
    """Whose key it is."""

    name, effect, inputs = "aws.iam.get_access_key_last_used", Effect.READ, {"access_key_id": "text"}
    outputs = ("user_name",)

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        return {"user_name": self.state.keys[str(inputs["access_key_id"])].user}


class ExportEvents(MemoryAction):
    """What was done with a key, or in an account."""

    name, effect = "aws.cloudtrail.export_events", Effect.READ
    inputs: Mapping[str, str] = {"account_id": "aws.account_id", "access_key_id": "text?"}
    outputs = ("count",)

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        return {"count": len(self.state.trail)}


class UpdateAccessKey(MemoryAction):
    """Set a key's status."""

    name = "aws.iam.update_access_key"
    inputs: Mapping[str, str] = {"user_name": "text", "access_key_id": "text", "status": "text"}
    outputs = ("status",)

    def would(self, target: Target, inputs: Inputs) -> Preview:
        key_id = str(inputs["access_key_id"])
        held = self.state.keys[key_id]
        return Preview(
            (Touch("principal", held.user, held.user), Touch("access-key", key_id, held.user)),
            {"key_status": held.status, "user_name": held.user},
            {"principals": 1},
        )

    def prior(self, target: Target, inputs: Inputs) -> Outputs:
        return {"status": self.state.keys[str(inputs["access_key_id"])].status}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.keys[str(inputs["access_key_id"])].status = str(inputs["status"])
        return {"status": inputs["status"]}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        now = self.state.keys[str(inputs["access_key_id"])].status
        return {"status": now} if now == inputs["status"] else None


class PutUserPolicy(MemoryAction):
    """Put an inline policy on a user."""

    name, effect = "aws.iam.put_user_policy", Effect.CREATE
    inputs: Mapping[str, str] = {"user_name": "text", "policy_name": "text", "document": "document"}

    def prior(self, target: Target, inputs: Inputs) -> Outputs:
        return {"document": self.state.user_policies.get(_policy(target, inputs))}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.user_policies[_policy(target, inputs)] = str(inputs["document"])
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        same = self.state.user_policies.get(_policy(target, inputs)) == inputs["document"]
        return {} if same else None


class DeleteUserPolicy(MemoryAction):
    """Take an inline policy away."""

    name, effect = "aws.iam.delete_user_policy", Effect.DELETE
    inputs: Mapping[str, str] = {"user_name": "text", "policy_name": "text"}

    def would(self, target: Target, inputs: Inputs) -> Preview:
        user = str(inputs["user_name"])
        there = _policy(target, inputs) in self.state.user_policies
        return Preview((Touch("principal", user, user),), {"policy_is_there": there}, {"principals": 1})

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.user_policies.pop(_policy(target, inputs), None)
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return None if _policy(target, inputs) in self.state.user_policies else {}


class MergeBucketPolicy(MemoryAction):
    """Add statements to a bucket's policy, keeping what is there."""

    name = "aws.s3.merge_bucket_policy"
    inputs: Mapping[str, str] = {"bucket": "text", "document": "document"}

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        bucket = str(inputs["bucket"])
        if self.state.buckets.get(bucket) != target.account:
            return message("aws.s3.not_in_account", bucket=bucket, account=target.account)
        return None

    def would(self, target: Target, inputs: Inputs) -> Preview:
        bucket = str(inputs["bucket"])
        return Preview(
            (Touch("bucket", bucket),), {"policy": self.state.bucket_policies[bucket]}, {"buckets": 1}
        )

    def prior(self, target: Target, inputs: Inputs) -> Outputs:
        return {"policy": list(self.state.bucket_policies[str(inputs["bucket"])])}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.bucket_policies[str(inputs["bucket"])] += _statements(inputs)
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        now = self.state.bucket_policies[str(inputs["bucket"])]
        return {} if all(statement in now for statement in _statements(inputs)) else None


class RestoreBucketPolicy(MemoryAction):
    """Put back the bucket policy that was there."""

    name = "aws.s3.restore_bucket_policy"
    inputs: Mapping[str, str] = {"bucket": "text", "policy": "json"}

    def would(self, target: Target, inputs: Inputs) -> Preview:
        bucket = str(inputs["bucket"])
        return Preview(
            (Touch("bucket", bucket),), {"policy": self.state.bucket_policies[bucket]}, {"buckets": 1}
        )

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        policy = inputs["policy"]
        assert isinstance(policy, list)
        self.state.bucket_policies[str(inputs["bucket"])] = list(policy)
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return {} if self.state.bucket_policies[str(inputs["bucket"])] == inputs["policy"] else None


class ListParents(MemoryAction):
    """Under what an account hangs."""

    name, effect, inputs = "aws.organizations.list_parents", Effect.READ, {"child_id": "text"}
    outputs = ("parent_id",)

    def would(self, target: Target, inputs: Inputs) -> Preview:
        account = str(inputs["child_id"])
        return Preview((Touch("account", account),), {"parent_id": self.state.accounts.get(account)})

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        return {"parent_id": self.state.accounts[str(inputs["child_id"])]}


class CreateUnit(MemoryAction):
    """Make an organisational unit; a second call makes a second one."""

    name, effect = "aws.organizations.create_organizational_unit", Effect.CREATE
    inputs: Mapping[str, str] = {"parent_id": "text", "name": "text"}
    outputs = ("ou_id",)

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        return message("aws.org.is_root", target=ROOT) if str(inputs["parent_id"]).startswith("r-") else None

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        unit = f"ou-exmp-{self.state.number():08d}"
        self.state.units[unit] = Unit(str(inputs["name"]), str(inputs["parent_id"]))
        self.state.attached.append(("p-FullAWSAccess", unit))
        return {"ou_id": unit}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        wanted = Unit(str(inputs["name"]), str(inputs["parent_id"]))
        made = next((unit for unit, has in self.state.units.items() if has == wanted), None)
        return {"ou_id": made} if made else None


class DeleteUnit(MemoryAction):
    """Take an empty organisational unit away."""

    name, effect, inputs = "aws.organizations.delete_organizational_unit", Effect.DELETE, {"ou_id": "text"}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        unit = str(inputs["ou_id"])
        if unit in self.state.accounts.values():
            raise Refused("aws.org.unit_not_empty", target=unit)
        self.state.units.pop(unit, None)
        self.state.attached = [pair for pair in self.state.attached if pair[1] != unit]
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return None if str(inputs["ou_id"]) in self.state.units else {}


class CreatePolicy(MemoryAction):
    """Make a service control policy; a second call makes a second one."""

    name, effect = "aws.organizations.create_policy", Effect.CREATE
    inputs: Mapping[str, str] = {"name": "text", "document": "document"}
    outputs = ("policy_id",)

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        policy = f"p-{self.state.number():08d}"
        self.state.policies[policy] = (str(inputs["name"]), str(inputs["document"]))
        return {"policy_id": policy}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        wanted = (str(inputs["name"]), str(inputs["document"]))
        made = next((policy for policy, has in self.state.policies.items() if has == wanted), None)
        return {"policy_id": made} if made else None


class DeletePolicy(MemoryAction):
    """Take a policy away that is attached nowhere."""

    name, effect, inputs = "aws.organizations.delete_policy", Effect.DELETE, {"policy_id": "text"}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.policies.pop(str(inputs["policy_id"]), None)
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return None if str(inputs["policy_id"]) in self.state.policies else {}


class AttachPolicy(MemoryAction):
    """Put a policy on an organisational unit; never on the root."""

    name = "aws.organizations.attach_policy"
    inputs: Mapping[str, str] = {"policy_id": "text", "target_id": "text"}

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        return message("aws.org.is_root", target=ROOT) if str(inputs["target_id"]).startswith("r-") else None

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.attached.append(_pair(inputs))
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return {} if _pair(inputs) in self.state.attached else None


class DetachPolicy(MemoryAction):
    """Take a policy off an organisational unit."""

    name, inputs = "aws.organizations.detach_policy", {"policy_id": "text", "target_id": "text"}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.attached.remove(_pair(inputs))
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return None if _pair(inputs) in self.state.attached else {}


class MoveAccount(MemoryAction):
    """Hang an account under another unit."""

    name = "aws.organizations.move_account"
    inputs: Mapping[str, str] = {
        "account_id": "text",
        "source_parent_id": "text",
        "destination_parent_id": "text",
    }

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        account = str(inputs["account_id"])
        if account == MANAGEMENT:
            return message("aws.org.is_management_account", account=account)
        return message("aws.org.is_own_account", account=account) if account == OWN_ACCOUNT else None

    def would(self, target: Target, inputs: Inputs) -> Preview:
        account = str(inputs["account_id"])
        parent = self.state.accounts.get(account)
        return Preview((Touch("account", account),), {"parent_id": parent}, {"accounts": 1})

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        account = str(inputs["account_id"])
        if self.state.accounts[account] != inputs["source_parent_id"]:
            raise Refused("aws.org.parent_differs", account=account)
        self.state.accounts[account] = str(inputs["destination_parent_id"])
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        there = self.state.accounts[str(inputs["account_id"])] == inputs["destination_parent_id"]
        return {} if there else None


ACTIONS: tuple[type[MemoryAction], ...] = (
    KeyLastUsed,
    ExportEvents,
    UpdateAccessKey,
    PutUserPolicy,
    DeleteUserPolicy,
    MergeBucketPolicy,
    RestoreBucketPolicy,
    ListParents,
    CreateUnit,
    DeleteUnit,
    CreatePolicy,
    DeletePolicy,
    AttachPolicy,
    DetachPolicy,
    MoveAccount,
)

Answer: TypeAlias = Callable[[State, Inputs], bool]

CHECKS: Mapping[str, Answer] = {
    "aws.sts.access_key_account_equals": lambda s, i: (
        s.keys[str(i["access_key_id"])].account == i["account_id"]
    ),
    "aws.sts.account_is_not_own": lambda _, i: i["account_id"] != OWN_ACCOUNT,
    "aws.iam.key_status_equals": lambda s, i: s.keys[str(i["access_key_id"])].status == i["status"],
    "aws.iam.user_policy_present": lambda s, i: any(
        (user, name) == (i["user_name"], i["policy_name"]) for _, user, name in s.user_policies
    ),
    "aws.iam.user_has_no_tag": lambda s, i: (
        i["tag"] not in s.user_tags.get((str(i["account_id"]), s.keys[str(i["access_key_id"])].user), set())
    ),
    "aws.s3.bucket_denies_deletion": lambda s, i: any(
        isinstance(statement, dict) and statement.get("Sid") == "TwokeyProtect"
        for statement in s.bucket_policies[str(i["bucket"])]
    ),
    "aws.org.account_is_not_management": lambda _, i: i["account_id"] != MANAGEMENT,
    "aws.org.target_is_not_root": lambda _, i: not str(i["target_id"]).startswith("r-"),
    "aws.org.ou_has_no_accounts": lambda s, i: i["ou_id"] not in s.accounts.values(),
    "aws.org.ou_is_empty_and_new": lambda s, i: (
        i["ou_id"] in s.units and i["ou_id"] not in s.accounts.values()
    ),
    "aws.org.parent_equals": lambda s, i: s.accounts[str(i["account_id"])] == i["parent_id"],
    "aws.org.policy_targets_equal": lambda s, i: (
        [target for policy, target in s.attached if policy == i["policy_id"]] == i["targets"]
    ),
    "aws.org.accounts_in_ou_equal": lambda s, i: (
        sorted(account for account, parent in s.accounts.items() if parent == i["ou_id"]) == i["accounts"]
    ),
    "aws.organizations.policy_exists": lambda s, i: i["policy_id"] in s.policies,
}


class MemoryCheck:
    """One question; `noes` is how often it will still answer no, whatever is there."""

    permissions: tuple[str, ...] = ()
    inputs: Mapping[str, str] = {}

    def __init__(self, cloud: MemoryCloud, name: str, answer: Answer) -> None:
        self.cloud, self.name, self.answer = cloud, name, answer
        self.noes = 0

    def holds(self, target: Target, inputs: Inputs) -> CheckResult:
        """Answer."""
        self.cloud.asked("holds", self.name)
        yes = self.answer(self.cloud.state, inputs)
        if self.noes:
            self.noes, yes = self.noes - 1, False
        reason = None if yes else message("check.does_not_hold", check=self.name)
        return CheckResult(yes, {"holds": yes}, reason)


PARAMETER_TYPES: Mapping[str, str] = {
    "aws.account_id": r"[0-9]{12}",
    "aws.long_term_access_key_id": r"AKIA[A-Z0-9]{12,124}",
    "aws.iam_user_name": r"[A-Za-z0-9+=,.@_-]{1,64}",
    "aws.bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "aws.ou_id": r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}",
    "aws.role_arn": r"arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}",
}


def _policy(target: Target, inputs: Inputs) -> tuple[str, str, str]:
    return target.account, str(inputs["user_name"]), str(inputs["policy_name"])


def _pair(inputs: Inputs) -> tuple[str, str]:
    return str(inputs["policy_id"]), str(inputs["target_id"])


def _statements(inputs: Inputs) -> list[Json]:
    document = json.loads(str(inputs["document"]))
    return list(document["Statement"])
