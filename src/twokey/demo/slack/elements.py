"""Finding what a person can touch in blocks: buttons, menus, inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .model import Json
from .payloads import option, pick, untouched

MENUS = ("overflow", "static_select", "radio_buttons", "external_select")


def touchable(blocks: list[Json]) -> Iterator[tuple[str, Json]]:
    """List every interactive element with the id of its block."""
    for block in blocks:
        found: list[Any] = [block.get("accessory"), block.get("element")]
        if block.get("type") == "actions":
            found += block.get("elements") or []
        for element in found:
            if isinstance(element, dict) and "action_id" in element:
                yield block.get("block_id", ""), element


def find(
    blocks: list[Json], action_id: str, value: Any = None, block_id: str | None = None
) -> tuple[str, Json, Json | None]:
    """Return the block id, the element and the choice for this action, or say what there is instead."""
    for place, element in touchable(blocks):
        if element["action_id"] != action_id or (block_id is not None and block_id != place):
            continue
        if element["type"] == "button":
            if value is None or element.get("value") == value:
                return place, element, None
        elif element["type"] in MENUS:
            return place, element, {"selected_option": option(element, str(value))}
        else:
            choice = pick(element, value)
            choice.pop("type")
            return place, element, choice
    there = [(element["action_id"], element.get("value")) for _, element in touchable(blocks)]
    raise AssertionError(f"nothing to click with action {action_id!r}, value {value!r}; there is {there}")


def state_of(blocks: list[Json]) -> dict[str, dict[str, Json]]:
    """Return the state of inputs nobody has touched."""
    values: dict[str, dict[str, Json]] = {}
    for block_id, element in touchable(blocks):
        if element["type"] not in ("button", "overflow", "workflow_button"):
            values.setdefault(block_id, {})[element["action_id"]] = untouched(element)
    return values


def fill(blocks: list[Json], given: dict[str, Any]) -> dict[str, dict[str, Json]]:
    """Fill in a form: {block_id: {action_id: value}} or {action_id: value}; values as text or as state."""
    values = state_of(blocks)
    known = {(place, element["action_id"]): element for place, element in touchable(blocks)}
    for name, value in given.items():
        if name in values and isinstance(value, dict):
            wanted = {(name, action_id): inner for action_id, inner in value.items()}
        else:
            places = [key for key in known if key[1] == name] or [key for key in known if key[0] == name]
            wanted = {places[0]: value} if places else {("", name): value}
        for key, inner in wanted.items():
            if key not in known:
                raise AssertionError(f"no input {key[1]!r}; there is {sorted(key[1] for key in known)}")
            values.setdefault(key[0], {})[key[1]] = pick(known[key], inner)
    return values


def unfinished(blocks: list[Json], values: dict[str, dict[str, Json]]) -> list[str]:
    """List what Slack's own client would not let pass: empty required inputs, too short, too long."""
    faults: list[str] = []
    for block in blocks:
        if block.get("type") != "input":
            continue
        element = block["element"]
        state = values.get(block["block_id"], {}).get(element["action_id"], {})
        content = next((value for name, value in state.items() if name != "type"), None)
        label = block["label"]["text"]
        if content in (None, "", []):
            if not block.get("optional"):
                faults.append(f"{label}: please complete this required field")
        elif isinstance(content, str) and element["type"] == "plain_text_input":
            if len(content) < int(element.get("min_length") or 0):
                faults.append(f"{label}: at least {element['min_length']} characters")
            if len(content) > int(element.get("max_length") or 3000):
                faults.append(f"{label}: at most {element.get('max_length') or 3000} characters")
    return faults
