"""A small cloud that can do nothing: what runbook files may name, declared as the real clouds declare it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from twokey.core.errors import Json, NotFound
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import CheckResult, Effect, Preview, Reversibility, Risk, Target

RUNBOOKS = Path(__file__).resolve().parents[1] / "fixtures" / "runbooks"


@dataclass(frozen=True)
class DemoAction:
    """An action that is only declared."""

    name: str
    effect: Effect
    inputs: Mapping[str, str]
    outputs: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    reversibility: Reversibility = Reversibility.REVERSIBLE
    least: Risk = Risk.LOW

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        return self.least

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        return Preview()

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        return {}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        raise NotFound("demo.no_world")

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        return Lookup(Found.CANNOT_TELL)


@dataclass(frozen=True)
class DemoCheck:
    """A check that is only declared."""

    name: str
    inputs: Mapping[str, str]
    permissions: tuple[str, ...] = ()

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        return CheckResult(False)


@dataclass(frozen=True)
class DemoCloud:
    """What one cloud brings."""

    name: str
    actions: Mapping[str, DemoAction]
    checks: Mapping[str, DemoCheck]
    parameter_types: Mapping[str, str] = field(default_factory=dict)
    scope_parameters: tuple[str, ...] = ("account_id",)


def _cloud(name: str) -> DemoCloud:
    read, create, modify, delete = Effect.READ, Effect.CREATE, Effect.MODIFY, Effect.DELETE
    account, ou, key, bucket = (f"{name}.{kind}" for kind in ("account_id", "ou_id", "key_id", "bucket"))
    actions = (
        ("organizations.list_parents", read, {"child_id": account}, ("parent_id",)),
        ("organizations.create_organizational_unit", create, {"parent_id": ou, "name": "text"}, ("ou_id",)),
        ("organizations.delete_organizational_unit", delete, {"ou_id": ou}, ()),
        ("organizations.create_policy", create, {"name": "text", "document": "document"}, ("policy_id",)),
        ("organizations.delete_policy", delete, {"policy_id": "text"}, ()),
        ("organizations.attach_policy", modify, {"policy_id": "text", "target_id": ou}, ()),
        ("organizations.detach_policy", modify, {"policy_id": "text", "target_id": ou}, ()),
        (
            "keys.find_user",
            read,
            {"key_id": key, "all_regions": "bool?", "lookback": "duration?"},
            ("user_name",),
        ),
        ("keys.update_key", modify, {"key_id": key, "user_name": "text", "status": "text"}, ("status",)),
        ("keys.end_sessions", delete, {"user_name": "text"}, ()),
        ("buckets.protect", modify, {"bucket": bucket, "levels": "list"}, ()),
        ("buckets.limit", modify, {"bucket": bucket, "most": "int"}, ()),
    )
    checks = (
        ("org.is_not_management", {"account_id": account}),
        ("org.ou_is_empty", {"ou_id": ou}),
        ("org.policy_is_valid", {"policy_id": "text"}),
        ("org.policy_targets_equal", {"policy_id": "text", "targets": f"{ou}s"}),
        ("keys.status_equals", {"key_id": key, "status": "text"}),
        ("keys.has_no_session", {"user_name": "text"}),
        ("buckets.is_protected", {"bucket": bucket}),
    )
    return DemoCloud(
        name,
        {f"{name}.{a}": DemoAction(f"{name}.{a}", effect, i, o) for a, effect, i, o in actions},
        {f"{name}.{c}": DemoCheck(f"{name}.{c}", i) for c, i in checks},
        {account: "[0-9]{12}", ou: "ou-[a-z0-9-]+", key: "AKIA[A-Z0-9]{16}", bucket: "[a-z0-9.-]{3,63}"},
    )


@pytest.fixture(scope="session")
def clouds() -> dict[str, DemoCloud]:
    """Return two clouds, so that a runbook of one can name the other's actions."""
    return {"demo": _cloud("demo"), "other": _cloud("other")}


@pytest.fixture(scope="session")
def folder() -> Path:
    """Return the folder of good runbooks."""
    return RUNBOOKS


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """Return a copy of the good runbooks that a test may change."""
    for path in RUNBOOKS.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(RUNBOOKS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture(scope="session")
def good() -> Callable[[str], str]:
    """Return a good runbook's text by its id."""
    return lambda runbook_id: (RUNBOOKS / f"{runbook_id}.yaml").read_text(encoding="utf-8")
