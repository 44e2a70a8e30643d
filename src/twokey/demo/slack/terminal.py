"""Block Kit as a person sees it, in a terminal: Rich, or plain lines without colour."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from .model import Json, Message, View
from .mrkdwn import Span, emojis, spans

Names = Mapping[str, str]


def clock(ts: str) -> str:
    """Return the time of a message, in UTC."""
    return datetime.fromtimestamp(float(ts), UTC).strftime("%H:%M")


def styled(found: list[Span]) -> Text:
    """Return spans as Rich text; code keeps its backticks so that it shows without colour."""
    text = Text()
    for span in found:
        style = " ".join(
            name
            for name, on in (
                ("bold", span.bold or span.mention == "broadcast"),
                ("italic", span.italic),
                ("strike", span.strike),
                ("red on grey93", span.code and not span.mention),
                ("black on bright_yellow", span.mention == "broadcast"),
                ("blue", span.mention in ("user", "group", "channel")),
                ("blue underline", span.mention == "link"),
            )
            if on
        )
        words = span.text
        if span.code and not span.block:
            words = f"`{words}`"
        if span.quote:
            words = "│ " + words
        if span.href and span.href != span.text:
            words = f"{words} ({span.href})"
        text.append(words, style or None)
    return text


def words(value: Any, names: Names) -> Text:
    """Return a text object as Rich text."""
    if not isinstance(value, dict):
        return Text("")
    if value.get("type") == "mrkdwn":
        return styled(spans(value["text"], names, verbatim=bool(value.get("verbatim"))))
    return Text(emojis(str(value.get("text", ""))))


def _element(element: Json, names: Names, state: Json | None = None) -> Text:
    kind = element.get("type", "")
    if kind in ("mrkdwn", "plain_text"):
        return words(element, names)
    if kind == "button":
        colour = {"primary": "bold green", "danger": "bold red"}.get(element.get("style", ""), "bold")
        return Text(f"[ {words(element['text'], names).plain} ]", colour, no_wrap=True)
    if kind == "overflow":
        labels = " | ".join(words(option["text"], names).plain for option in element.get("options", []))
        return Text(f"[ ⋯ {labels} ]", "bold")
    if kind == "image":
        return Text(f"({element.get('alt_text', 'image')})", "dim")
    return _field(element, names, state)


def _field(element: Json, names: Names, state: Json | None) -> Text:
    kind = element.get("type", "")
    if kind in ("radio_buttons", "checkboxes"):
        one = (state or {}).get("selected_option") or element.get("initial_option")
        many = (state or {}).get("selected_options") or element.get("initial_options") or []
        chosen = {option.get("value") for option in [*([one] if one else []), *many]}
        empty, full = ("( )", "(•)") if kind == "radio_buttons" else ("[ ]", "[x]")
        return Text("\n").join(
            Text.assemble(
                full if o.get("value") in chosen else empty,
                " ",
                words(o["text"], names),
            )
            for o in element.get("options", [])
        )
    value = (state or {}).get("value") or element.get("initial_value") or ""
    option = (state or {}).get("selected_option") or element.get("initial_option")
    if option:
        value = words(option["text"], names).plain
    shown = str(value) or words(element.get("placeholder"), names).plain or "…"
    mark = "▾ " if "select" in kind else ""
    return Text(f"[{mark}{shown}]", "none" if value else "dim")


def block(item: Json, names: Names, view: View | None = None) -> RenderableType:
    """Return one block."""
    kind = item.get("type")
    if kind == "header":
        return words(item["text"], names).copy() if not item else _bold(words(item["text"], names))
    if kind == "divider":
        return Rule(characters="─", style="dim")
    if kind == "context":
        line = Text("  ").join(_element(element, names) for element in item["elements"])
        line.stylize("dim")
        return line
    if kind == "actions":
        return Text("  ").join(_element(element, names) for element in item["elements"])
    if kind == "section":
        return _section(item, names)
    if kind == "input":
        return _input(item, names, view)
    if kind == "markdown":
        return Text(str(item.get("text", "")))
    if kind == "image":
        return Text(f"({item.get('alt_text', 'image')})", "dim")
    return Text(_rich_text(item, names))


def _bold(text: Text) -> Text:
    text.stylize("bold")
    return text


def _section(item: Json, names: Names) -> RenderableType:
    parts: list[RenderableType] = []
    if "text" in item:
        parts.append(words(item["text"], names))
    fields = item.get("fields") or []
    if fields:
        grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
        grid.add_column(ratio=1)
        grid.add_column(ratio=1)
        for i in range(0, len(fields), 2):
            grid.add_row(*(words(field, names) for field in fields[i : i + 2]))
        parts.append(grid)
    if "accessory" not in item:
        return Group(*parts)
    beside = Table.grid(expand=True, padding=(0, 1, 0, 0))
    beside.add_column(ratio=1)
    beside.add_column(justify="right")
    beside.add_row(Group(*parts), _element(item["accessory"], names))
    return beside


def _input(item: Json, names: Names, view: View | None) -> RenderableType:
    element = item["element"]
    state = (view.inputs if view else {}).get(item.get("block_id", ""), {}).get(element.get("action_id", ""))
    label = _bold(words(item["label"], names))
    if item.get("optional"):
        label.append(" (optional)", "dim")
    parts: list[RenderableType] = [label, _field(element, names, state)]
    if "hint" in item:
        parts.append(Text(words(item["hint"], names).plain, "dim"))
    error = (view.errors if view else {}).get(item.get("block_id", ""))
    if error:
        parts.append(Text(f"! {error}", "bold red"))
    return Group(*parts)


def _rich_text(item: Any, names: Names) -> str:
    """Flatten rich_text (what people write) into plain words."""
    if isinstance(item, list):
        return "".join(_rich_text(part, names) for part in item)
    if not isinstance(item, dict):
        return ""
    kind = item.get("type")
    if kind == "user":
        return "@" + names.get(item["user_id"], item["user_id"])
    if kind == "broadcast":
        return "@" + str(item["range"])
    if kind == "link":
        return str(item.get("text") or item["url"])
    if kind == "emoji":
        return emojis(f":{item['name']}:")
    return str(item.get("text", "")) + _rich_text(item.get("elements"), names)


def spaced(blocks: list[Json], names: Names, view: View | None = None) -> Group:
    """Return blocks one below the other, with a blank line between them."""
    parts: list[RenderableType] = []
    for i, item in enumerate(blocks):
        if i and "divider" not in (item["type"], blocks[i - 1]["type"]):
            parts.append(Text(""))
        parts.append(block(item, names, view))
    return Group(*parts)


def message_panel(message: Message, names: Names) -> RenderableType:
    """Return a message in a box, with who and when on the border."""
    who = names.get(message.user, message.user)
    app = " [APP]" if message.bot_id else ""
    title = Text(
        f" {who}{app}  {clock(message.ts)}{' (edited)' if message.edited_ts else ''} ",
        "bold",
    )
    inside: RenderableType = (
        spaced(message.blocks, names) if message.blocks else styled(spans(message.text, names))
    )
    files = [Text(f"[ {file.title}, {file.length} bytes ]", "bold") for file in message.files]
    extra = [Text("Only visible to you", "dim italic")] if message.is_ephemeral else []
    marks = "  ".join(f"{emojis(f':{name}:')} {len(users)}" for name, users in message.reactions.items())
    foot = [Text(marks)] if marks else []
    panel = Panel(Group(*extra, inside, *files, *foot), title=title, title_align="left", box=box.ROUNDED)
    return Padding(panel, (0, 0, 0, 4)) if message.is_reply else panel


def view_panel(view: View, names: Names) -> RenderableType:
    """Return a modal in a double box, with its buttons on the lower border."""
    buttons = [
        f"[ {words(view.body[name], names).plain} ]" for name in ("close", "submit") if view.body.get(name)
    ]
    return Panel(
        spaced(view.blocks, names, view),
        title=Text(f" {view.title} ", "bold"),
        title_align="left",
        subtitle=Text(f" {'  '.join(buttons)} ") if buttons else None,
        subtitle_align="right",
        box=box.DOUBLE,
    )


def as_rich(content: Message | View | list[Json] | str, names: Names | None = None) -> RenderableType:
    """Return a message, a modal, blocks or mrkdwn for a Rich console."""
    known = names or {}
    if isinstance(content, Message):
        return message_panel(content, known)
    if isinstance(content, View):
        return view_panel(content, known)
    if isinstance(content, str):
        return styled(spans(content, known))
    return Panel(spaced(content, known), box=box.ROUNDED)


def as_text(
    content: Message | View | list[Json] | str,
    names: Names | None = None,
    width: int = 80,
) -> str:
    """Return the same as lines of plain text, boxed, no wider than `width`."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        color_system=None,
        force_terminal=False,
        emoji=False,
        markup=False,
    )
    console.print(as_rich(content, names))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())
