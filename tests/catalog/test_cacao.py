"""The CACAO 2.0 export: what its schemas ask for, and one thing that they let pass."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from twokey.catalog.cacao import playbook
from twokey.catalog.runbooks import load_runbook
from twokey.core.runbooks import Runbook
from twokey.ports import Cloud

CREATED = "2026-01-31T00:00:00.000Z"
ID = re.compile(
    r"[a-z][a-z0-9-]+[a-z0-9]--[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)
# The properties of oasis-open/cacao-json-schemas, which allow no others.
PLAYBOOK = {
    "type",
    "spec_version",
    "id",
    "name",
    "description",
    "playbook_types",
    "playbook_activities",
    "created_by",
    "created",
    "modified",
    "impact",
    "labels",
    "external_references",
    "playbook_variables",
    "workflow_start",
    "workflow",
    "agent_definitions",
    "extension_definitions",
}
ACTION = {"type", "name", "description", "timeout", "on_completion", "commands", "agent", "step_extensions"}


@pytest.fixture(params=["demo.quarantine-account", "demo.disable-key"])
def book(request: pytest.FixtureRequest, folder: Path, clouds: Mapping[str, Cloud]) -> Runbook:
    name = str(request.param)
    return load_runbook((folder / f"{name}.yaml").read_bytes(), f"{name}.yaml", folder, clouds)


@pytest.fixture
def made(book: Runbook) -> dict[str, Any]:
    return dict(json.loads(json.dumps(playbook(book, created=CREATED))))


def test_a_playbook_has_what_the_schema_requires_and_nothing_it_does_not_know(made: dict[str, Any]) -> None:
    assert made.keys() <= PLAYBOOK
    assert (made["type"], made["spec_version"]) == ("playbook", "cacao-2.0")
    assert {"id", "name", "created_by", "created", "modified", "workflow_start", "workflow"} <= made.keys()
    for identifier in (made["id"], made["created_by"], made["workflow_start"], *made["workflow"]):
        assert ID.fullmatch(identifier), identifier
    assert all(re.fullmatch(r"__[a-zA-Z_][a-zA-Z0-9_-]*__", name) for name in made["playbook_variables"])


def test_every_step_is_a_manual_command_of_a_known_agent(made: dict[str, Any], book: Runbook) -> None:
    actions = [step for step in made["workflow"].values() if step["type"] == "action"]
    assert [step["name"] for step in actions] == [step.id for step in book.steps]
    for step in actions:
        assert step.keys() <= ACTION
        assert step["agent"] in made["agent_definitions"]
        assert [command["type"] for command in step["commands"]] == ["manual"]
        assert isinstance(step["timeout"], int)


def test_the_workflow_leads_from_start_to_end_through_every_step(made: dict[str, Any]) -> None:
    at, seen = made["workflow_start"], []
    while made["workflow"][at]["type"] != "end":
        step = made["workflow"][at]
        assert not {"on_success", "on_failure"} & step.keys(), "the schemas let both pass; CACAO does not"
        seen.append(at)
        at = step["on_completion"]
    assert {*seen, at} == made["workflow"].keys()


def test_the_whole_step_is_in_its_extension(made: dict[str, Any], book: Runbook) -> None:
    (extension,) = made["extension_definitions"]
    actions = [step for step in made["workflow"].values() if step["type"] == "action"]
    for step, ours in zip(actions, book.steps, strict=True):
        content = step["step_extensions"][extension]["twokey_step"]
        assert content["action"] == ours.action
        assert content["effect"] == ours.effect.value
        assert content["inputs"] == json.loads(json.dumps(dict(ours.inputs)))
        assert (content["undo"] or {}).get("action") == (ours.undo.action if ours.undo else None)


def test_the_same_runbook_exports_to_the_same_bytes_and_keeps_its_id_over_versions(
    book: Runbook, folder: Path, clouds: Mapping[str, Cloud]
) -> None:
    text = (folder / f"{book.id}.yaml").read_text()
    newer = load_runbook(text.replace(book.version, "9.0.0", 1), f"{book.id}.yaml", folder, clouds)
    first, again, next_one = (playbook(b, created=CREATED) for b in (book, book, newer))
    assert json.dumps(first) == json.dumps(again)
    assert first["id"] == next_one["id"]
    assert first["description"] != next_one["description"]
