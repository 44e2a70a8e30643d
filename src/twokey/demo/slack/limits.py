"""Block Kit's limits, with the words Slack uses when they are broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .model import Json, SlackError

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_CHARACTERS = 13_200  # undocumented; slackapi/bolt-js#2509
UPDATE_TEXT = 4_000
VIEW_BYTES = 250_000
MESSAGE_ONLY: frozenset[str] = frozenset({"table", "task_card", "plan"})
INPUT_ELEMENTS = frozenset(
    {
        "plain_text_input", "rich_text_input", "number_input", "email_text_input", "url_text_input", "checkboxes",
        "radio_buttons", "datepicker", "timepicker", "datetimepicker", "static_select", "external_select",
        "users_select", "conversations_select", "channels_select", "multi_static_select", "multi_external_select",
        "multi_users_select", "multi_conversations_select", "multi_channels_select", "file_input",
    }
)  # fmt: skip
ACTION_ELEMENTS = INPUT_ELEMENTS - {"plain_text_input", "file_input"} | {
    "button",
    "overflow",
    "workflow_button",
}
BLOCKS = frozenset(
    {
        "section", "header", "divider", "context", "context_actions", "actions", "input", "image", "rich_text",
        "markdown", "video", "file", "table", "card", "carousel", "alert", "plan", "task_card",
    }
)  # fmt: skip

Faults = Iterator[str]


def fault(words: str, where: str) -> str:
    """Say what is wrong where, as Slack does."""
    return f"{words} [json-pointer:{where}]"


def _text(value: Any, where: str, limit: int, *, plain: bool = False) -> Faults:
    if not isinstance(value, dict) or value.get("type") not in ("plain_text", "mrkdwn"):
        yield fault("must be a valid text object", where)
        return
    if plain and value["type"] != "plain_text":
        yield fault("must be one of: plain_text", f"{where}/type")
    text = value.get("text")
    if not isinstance(text, str) or not text:
        yield fault("must be more than 0 characters", f"{where}/text")
    elif len(text) > limit:
        yield fault(f"must be less than {limit + 1} characters", f"{where}/text")
    if value["type"] == "plain_text" and "verbatim" in value:
        yield fault("additional property: verbatim", where)
    if value["type"] == "mrkdwn" and "emoji" in value:
        yield fault("additional property: emoji", where)


def _string(owner: Json, name: str, where: str, limit: int) -> Faults:
    value = owner.get(name)
    if value is None:
        return
    if not isinstance(value, str):
        yield fault("must be a string", f"{where}/{name}")
    elif len(value) > limit:
        yield fault(f"must be less than {limit + 1} characters", f"{where}/{name}")


def _items(owner: Json, name: str, where: str, least: int, most: int) -> Faults:
    items = owner.get(name)
    if not isinstance(items, list) or len(items) < least:
        yield fault(f"no fewer than {least} items allowed", f"{where}/{name}")
    elif len(items) > most:
        yield fault(f"no more than {most} items allowed", f"{where}/{name}")


def _options(element: Json, where: str) -> Faults:
    kind = element["type"]
    if kind == "overflow":
        yield from _items(element, "options", where, 2, 5)
    elif kind in ("checkboxes", "radio_buttons"):
        yield from _items(element, "options", where, 1, 10)
    elif kind in ("static_select", "multi_static_select") and "option_groups" not in element:
        yield from _items(element, "options", where, 1, 100)
    groups: list[Json] = element.get("option_groups") or [element]
    for group in groups:
        for i, option in enumerate(group.get("options") or []):
            at = f"{where}/options/{i}"
            yield from _text(option.get("text"), f"{at}/text", 75)
            yield from _string(option, "value", at, 150)
            if "description" in option:
                yield from _text(option["description"], f"{at}/description", 75)


def _element(element: Any, where: str, allowed: frozenset[str]) -> Faults:
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in allowed:
        yield fault(f"unsupported type: {kind}", f"{where}/type")
        return
    if kind in ("mrkdwn", "plain_text"):
        yield from _text(element, where, 3000)
        return
    yield from _string(element, "action_id", where, 255)
    if kind in ("button", "workflow_button"):
        yield from _text(element.get("text"), f"{where}/text", 75, plain=True)
        yield from _string(element, "value", where, 2000)
        yield from _string(element, "url", where, 3000)
        if element.get("style") not in (None, "primary", "danger"):
            yield fault("must be one of: primary, danger", f"{where}/style")
    if kind == "image":
        yield from _string(element, "alt_text", where, 2000)
        if not element.get("alt_text"):
            yield fault("missing required field: alt_text", where)
    if "placeholder" in element:
        yield from _text(element["placeholder"], f"{where}/placeholder", 150, plain=True)
    if "confirm" in element:
        value, at = element["confirm"], f"{where}/confirm"
        for name, limit in (("title", 100), ("confirm", 30), ("deny", 30)):
            if name in value:
                yield from _text(value[name], f"{at}/{name}", limit, plain=True)
        yield from _text(value.get("text"), f"{at}/text", 300)
    yield from _options(element, where)


def _elements(block: Json, where: str, most: int, allowed: frozenset[str]) -> Faults:
    yield from _items(block, "elements", where, 1, most)
    elements: list[Any] = block.get("elements") or []
    for i, element in enumerate(elements):
        yield from _element(element, f"{where}/elements/{i}", allowed)
    seen: set[str] = set()
    for element in elements:
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if action_id and action_id in seen:
            yield fault(f"`action_id` {action_id} already exists", f"{where}/elements")
        seen.add(action_id or "")


def _section(block: Json, where: str) -> Faults:
    if "text" not in block and not block.get("fields"):
        yield fault("must define either `text` or `fields`", where)
    if "text" in block:
        yield from _text(block["text"], f"{where}/text", 3000)
    if "fields" in block:
        yield from _items(block, "fields", where, 1, 10)
        for i, item in enumerate(block["fields"] or []):
            yield from _text(item, f"{where}/fields/{i}", 2000)
    if "accessory" in block:
        allowed = ACTION_ELEMENTS | {"image"}
        yield from _element(block["accessory"], f"{where}/accessory", allowed)


def block_faults(block: Any, where: str) -> Faults:
    """List what is wrong with one block."""
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in BLOCKS:
        yield fault(f"unsupported type: {kind}", f"{where}/type")
        return
    yield from _string(block, "block_id", where, 255)
    if kind == "section":
        yield from _section(block, where)
    elif kind == "header":
        yield from _text(block.get("text"), f"{where}/text", 150, plain=True)
    elif kind == "context":
        yield from _elements(block, where, 10, frozenset({"mrkdwn", "plain_text", "image"}))
    elif kind == "actions":
        yield from _elements(block, where, 25, ACTION_ELEMENTS)
    elif kind == "input":
        yield from _text(block.get("label"), f"{where}/label", 2000, plain=True)
        if "hint" in block:
            yield from _text(block["hint"], f"{where}/hint", 2000, plain=True)
        yield from _element(block.get("element"), f"{where}/element", INPUT_ELEMENTS)
    elif kind == "markdown":
        yield from _string(block, "text", where, 12_000)
    elif kind == "image":
        yield from _string(block, "alt_text", where, 2000)


def blocks_faults(blocks: list[Any], where: str, most: int) -> Faults:
    """List what is wrong with these blocks."""
    if len(blocks) > most:
        yield fault(f"no more than {most} items allowed", where)
    seen: set[str] = set()
    for i, block in enumerate(blocks):
        yield from block_faults(block, f"{where}/{i}")
        block_id = block.get("block_id") if isinstance(block, dict) else None
        if block_id and block_id in seen:
            yield fault(f"`block_id` {block_id} already exists", f"{where}/{i}/block_id")
        seen.add(block_id or "")


def text_length(value: Any) -> int:
    """Count the characters that people read in these blocks."""
    if isinstance(value, list):
        return sum(text_length(item) for item in value)
    if not isinstance(value, dict):
        return 0
    own = len(value["text"]) if isinstance(value.get("text"), str) else 0
    return own + sum(text_length(item) for item in value.values())


def check_message(blocks: Any) -> None:
    """Refuse blocks that Slack would not post."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SlackError("invalid_blocks_format")
    faults = list(blocks_faults(blocks, "/blocks", MESSAGE_BLOCKS))
    if faults:
        raise SlackError("invalid_blocks", *faults)
    if text_length(blocks) > MESSAGE_CHARACTERS:
        raise SlackError("msg_blocks_too_long")


def check_view(view: Any) -> None:
    """Refuse a modal or home tab that Slack would not show."""
    faults = list(_view_faults(view)) if isinstance(view, dict) else [fault("must be an object", "/view")]
    if faults:
        raise SlackError("invalid_arguments", *faults)
    if len(json.dumps(view)) > VIEW_BYTES:
        raise SlackError("view_too_large")


def _view_faults(view: Json) -> Faults:
    kind = view.get("type")
    if kind not in ("modal", "home"):
        yield fault("must be one of: modal, home", "/view/type")
    if kind == "modal":
        yield from _text(view.get("title"), "/view/title", 24, plain=True)
        for name in ("submit", "close"):
            if view.get(name) is not None:
                yield from _text(view[name], f"/view/{name}", 24, plain=True)
    for name, limit in (
        ("private_metadata", 3000),
        ("callback_id", 255),
        ("external_id", 255),
    ):
        yield from _string(view, name, "/view", limit)
    blocks = view.get("blocks")
    if not isinstance(blocks, list):
        yield fault("missing required field: blocks", "/view")
        return
    yield from blocks_faults(blocks, "/view/blocks", VIEW_BLOCKS)
    if kind == "modal" and "submit" not in view and any(b.get("type") == "input" for b in blocks):
        yield fault("`submit` is required when an `input` is in blocks", "/view")
