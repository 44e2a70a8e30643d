"""The few Block Kit shapes that the views are made of. mrkdwn is always verbatim: nothing links itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twokey.chat.slack.views.text import HEADER, SECTION, Words, escape

Block = dict[str, Any]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_TEXT = 12_000
VIEW_TEXT = 40_000  # Slack takes views of 250 KB, and JSON may write one character as six


def mrkdwn(text: str) -> Block:
    """Return text that may hold our own markup; what others wrote in it is escaped by now."""
    return {"type": "mrkdwn", "text": text[:3000] or "-", "verbatim": True}


def plain_text(text: str) -> Block:
    """Return text without any markup."""
    return {"type": "plain_text", "text": text, "emoji": False}


def section(text: str, *, accessory: Block | None = None, block_id: str = "") -> Block:
    """Return a paragraph."""
    block: Block = {"type": "section", "text": mrkdwn(text)}
    if accessory:
        block["accessory"] = accessory
    return _named(block, block_id)


def fields(pairs: Iterable[tuple[str, str]]) -> list[Block]:
    """Return label and value side by side, ten to a block."""
    texts = [mrkdwn(f"*{label}*\n{value}"[:2000]) for label, value in pairs]
    return [{"type": "section", "fields": texts[i : i + 10]} for i in range(0, len(texts), 10)]


def header(text: str) -> Block:
    """Return a headline."""
    return {"type": "header", "text": plain_text(text[:HEADER])}


def context(*texts: str) -> Block:
    """Return small print."""
    return {"type": "context", "elements": [mrkdwn(text) for text in texts[:10]]}


def divider() -> Block:
    """Return a line."""
    return {"type": "divider"}


def actions(*elements: Block | None, block_id: str = "") -> list[Block]:
    """Return a row of buttons, or nothing when there is none."""
    there = [element for element in elements if element]
    return [_named({"type": "actions", "elements": there}, block_id)] if there else []


def button(
    text: str,
    action_id: str,
    value: str,
    *,
    style: str = "",
    confirm: tuple[str, str, str, str] | None = None,
    url: str = "",
) -> Block:
    """Return a button that carries an opaque id, or opens a page; `confirm` is title, text, yes and no."""
    made: Block = {"type": "button", "text": plain_text(text[:75]), "action_id": action_id, "value": value}
    if url:
        made["url"] = url
    if style:
        made["style"] = style
    if confirm:
        title, words, yes, no = confirm
        made["confirm"] = {
            "title": plain_text(title[:100]),
            "text": plain_text(words[:300]),
            "confirm": plain_text(yes[:30]),
            "deny": plain_text(no[:30]),
        }
    return made


def options(choices: Iterable[tuple[str, str]]) -> list[Block]:
    """Return the choices of a menu: (text, value)."""
    return [{"text": plain_text(text[:75]), "value": value} for text, value in choices]


def overflow(action_id: str, choices: Sequence[tuple[str, str]]) -> Block:
    """Return the menu behind three dots: five choices at most."""
    return {"type": "overflow", "action_id": action_id, "options": options(choices[:5])}


def select(action_id: str, choices: Sequence[tuple[str, str]], placeholder: str = "") -> Block:
    """Return a menu."""
    made: Block = {"type": "static_select", "action_id": action_id, "options": options(choices[:100])}
    if placeholder:
        made["placeholder"] = plain_text(placeholder[:150])
    return made


def line(action_id: str, *, long: bool = False, most: int = 3000, initial: str = "") -> Block:
    """Return a field to write in."""
    made: Block = {"type": "plain_text_input", "action_id": action_id, "multiline": long, "max_length": most}
    if initial:
        made["initial_value"] = initial
    return made


def ask(label: str, element: Block, block_id: str, *, hint: str = "", optional: bool = False) -> Block:
    """Return an input with its label."""
    made: Block = {
        "type": "input",
        "block_id": block_id,
        "label": plain_text(label[:2000]),
        "element": element,
        "optional": optional,
    }
    if hint:
        made["hint"] = plain_text(hint[:2000])
    return made


def modal(
    title: str,
    blocks: list[Block],
    *,
    callback_id: str,
    close: str,
    submit: str = "",
    metadata: str = "",
) -> Block:
    """Return a modal; its titles are cut to Slack's 24 characters."""
    view: Block = {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain_text(title[:24]),
        "close": plain_text(close[:24]),
        "blocks": blocks[:VIEW_BLOCKS],
        "private_metadata": metadata,
    }
    if submit:
        view["submit"] = plain_text(submit[:24])
    return view


def fitted(
    blocks: Sequence[Block], words: Words, *, most: int = MESSAGE_BLOCKS, room: int = MESSAGE_TEXT
) -> list[Block]:
    """Return what fits into one message: buttons always, and a word about what does not."""
    buttons = [block for block in blocks if block["type"] in ("actions", "input")]
    room -= sum(text_length(block) for block in buttons) + 200
    most -= len(buttons) + 1
    kept: list[Block] = []
    left_out = 0
    for block in blocks:
        if block["type"] in ("actions", "input"):
            kept.append(block)
            continue
        size = text_length(block)
        if left_out or size > room or most <= 0:
            left_out += size
            continue
        room, most = room - size, most - 1
        kept.append(block)
    if left_out:
        kept.append(context(words("chat.more_characters", count=left_out)))
    return kept


def text_length(value: Any) -> int:
    """Count the characters that people read in these blocks."""
    if isinstance(value, dict):
        own = value.get("text")
        length = len(own) if isinstance(own, str) else 0
        return length + sum(text_length(item) for item in value.values() if not isinstance(item, str))
    if isinstance(value, list | tuple):
        return sum(map(text_length, value))
    return 0


def first_text(blocks: Sequence[Block]) -> str:
    """Return the first text of a message, for notifications and screen readers."""
    for block in blocks:
        text = block.get("text")
        if isinstance(text, dict):
            return str(text["text"])[:3000]
    return "twokey"


def sections(text: str) -> list[Block]:
    """Return a text of ours, escaped by now, in as many paragraphs as it needs: nothing is cut off."""
    return [section(piece) for piece in _pieces(text)]


def document(text: str) -> list[Block]:
    """Return a document as code, in as many paragraphs as it needs: nothing is cut off."""
    return [section(f"```{piece}```") for piece in _pieces(escape(text))]


def is_fitting(blocks: Sequence[Block]) -> bool:
    """Say whether all of these blocks fit into one modal."""
    return len(blocks) <= VIEW_BLOCKS and text_length(list(blocks)) <= VIEW_TEXT


def _pieces(text: str) -> list[str]:
    pieces = []
    while len(text) > SECTION:
        end = max(text.rfind("\n", 0, SECTION), text.rfind(" ", 0, SECTION))
        end = end if end > 0 else SECTION
        pieces.append(text[:end])
        text = text[end:].removeprefix("\n")
    return [*pieces, text] if text.strip() else pieces


def _named(block: Block, block_id: str) -> Block:
    return {**block, "block_id": block_id} if block_id else block
