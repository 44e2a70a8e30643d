"""How a Web API method is registered, and how it reads its arguments."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twokey.demo.slack.model import Json, SlackError, Workspace

Method = Callable[[Workspace, Json], Json]
METHODS: dict[str, Method] = {}


def method(name: str) -> Callable[[Method], Method]:
    """Register a function as a Web API method."""

    def register(function: Method) -> Method:
        METHODS[name] = function
        return function

    return register


def need(args: Json, name: str, error: str = "invalid_arguments") -> str:
    """Return a required string argument."""
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise SlackError(error, f"missing required field: {name}")
    return value


def truthy(value: Any) -> bool:
    """Read a boolean as Slack does, from JSON or from a form."""
    return str(value).lower() in ("1", "true")


def with_ids(blocks: list[Json]) -> list[Json]:
    """Give every block and interactive element the id that Slack would make up."""
    named: list[Json] = []
    for plain in blocks:
        block = {**plain, "block_id": plain.get("block_id") or secrets.token_urlsafe(4)}
        if isinstance(block.get("elements"), list) and block["type"] == "actions":
            block["elements"] = [_with_action_id(element) for element in block["elements"]]
        for name in ("accessory", "element"):
            if isinstance(block.get(name), dict):
                block[name] = _with_action_id(block[name])
        named.append(block)
    return named


def _with_action_id(element: Json) -> Json:
    if element.get("type") == "image":
        return element
    return {
        **element,
        "action_id": element.get("action_id") or secrets.token_urlsafe(4),
    }
