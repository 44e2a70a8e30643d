"""Slack's mrkdwn as Slack reads it: what is bold, what is code, and which mentions are live."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

# Slack reads <...> before anything else, also inside code; &lt;...&gt; is never read as control.
CONTROL = re.compile(r"<([^<>\n]+)>")
FENCE = re.compile(r"```\n?(.+?)```", re.DOTALL)
BARE_URL = re.compile(r"https?://(?:(?!&[lg]t;)[^\s<>|\"'`*])*(?!&[lg]t;)[^\s<>|\"'`*.,;:!?)\]]")
EMOJI = re.compile(r":([a-z0-9_+'-]+):")
BROADCASTS = ("here", "channel", "everyone")
EMOJIS = {
    "warning": "⚠️", "white_check_mark": "✅", "x": "❌", "key": "🔑", "lock": "🔒", "unlock": "🔓", "fire": "🔥",
    "rotating_light": "🚨", "pushpin": "📌", "memo": "📝", "eyes": "👀", "mag": "🔍", "cloud": "☁️", "bell": "🔔",
    "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "no_entry": "⛔", "octagonal_sign": "🛑", "shield": "🛡️",
    "red_circle": "🔴", "large_orange_circle": "🟠", "large_yellow_circle": "🟡", "large_green_circle": "🟢",
    "large_blue_circle": "🔵", "white_circle": "⚪", "information_source": "ℹ️", "question": "❓", "tada": "🎉",
    "busts_in_silhouette": "👥", "bust_in_silhouette": "👤", "clock3": "🕒", "link": "🔗", "wave": "👋",
    "heavy_check_mark": "✔️", "leftwards_arrow_with_hook": "↩️", "arrow_right": "➡️", "bar_chart": "📊",
    "chart_with_upwards_trend": "📈", "package": "📦", "bug": "🐛", "wrench": "🔧", "point_right": "👉",
}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """A run of text in one style; `mention` says what kind of live reference it is."""

    text: str
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    block: bool = False
    quote: bool = False
    href: str = ""
    mention: str = ""


STYLES: dict[str, Callable[[Span], Span]] = {
    "*": lambda span: replace(span, bold=True),
    "_": lambda span: replace(span, italic=True),
    "~": lambda span: replace(span, strike=True),
    "`": lambda span: replace(span, code=True),
}


@dataclass(frozen=True)
class Mention:
    """Something in a message that notifies people or can be followed."""

    kind: str  # broadcast, user, group, channel, link, automatic
    target: str
    label: str
    where: str


def unescape(text: str) -> str:
    """Undo Slack's three escapes, once."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def emojis(text: str) -> str:
    """Show emoji names as pictures where we know them."""
    return EMOJI.sub(lambda match: EMOJIS.get(match[1], match[0]), text)


def control(inner: str) -> tuple[str, str, str] | None:
    """Read the inside of <...>: kind, target and label, or None when Slack shows it as it is."""
    target, _, label = inner.partition("|")
    if re.fullmatch(r"@[UW][A-Za-z0-9]+", target):
        return "user", target[1:], label
    if re.fullmatch(r"#[CGD][A-Za-z0-9]+", target):
        return "channel", target[1:], label
    if target.startswith("!subteam^"):
        return "group", target.removeprefix("!subteam^"), label
    if target.startswith("!date^"):
        parts = target.split("^")
        return ("link", parts[3], label) if len(parts) > 3 else ("date", target, label)
    if target.startswith("!") and target[1:] in BROADCASTS:
        return "broadcast", target[1:], label
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]", target):
        return "link", unescape(target), label
    return None


def spans(text: str, names: Mapping[str, str] | None = None, *, verbatim: bool = False) -> list[Span]:
    """Read mrkdwn into styled runs; newlines stay in the text."""
    names, block = names or {}, Span("", code=True, block=True)
    found: list[Span] = []
    end = 0
    for fence in FENCE.finditer(text):
        found += _lines(text[end : fence.start()], names, verbatim)
        found += _runs(fence[1].rstrip("\n"), block, names, verbatim, styled=False)
        end = fence.end()
    found += _lines(text[end:], names, verbatim)
    return found


def _lines(text: str, names: Mapping[str, str], verbatim: bool) -> Iterator[Span]:
    for i, line in enumerate(text.split("\n")):
        if i:
            yield Span("\n")
        quote = re.match(r"(>|&gt;) ?", line)
        style = Span("", quote=quote is not None)
        yield from _runs(line[quote.end() :] if quote else line, style, names, verbatim)


def _runs(
    text: str,
    style: Span,
    names: Mapping[str, str],
    verbatim: bool,
    *,
    styled: bool = True,
) -> Iterator[Span]:
    match = _first_style(text) if styled else None
    if match is None:
        yield from _controls(text, style, names, verbatim)
        return
    start, end = match
    mark = text[start]
    inside = STYLES[mark](style)
    yield from _controls(text[:start], style, names, verbatim)
    yield from _runs(text[start + 1 : end], inside, names, verbatim, styled=mark != "`")
    yield from _runs(text[end + 1 :], style, names, verbatim)


def _first_style(text: str) -> tuple[int, int] | None:
    """Find the first `*`, `_`, `~` or backtick pair that Slack would read as a style."""
    controls = [range(match.start(), match.end()) for match in CONTROL.finditer(text) if control(match[1])]
    for start, mark in enumerate(text):
        if mark not in STYLES or any(start in span for span in controls):
            continue
        if start and (text[start - 1].isalnum() or text[start - 1] == mark):
            continue
        end = _closing(text, start, controls)
        if end is not None:
            return start, end
    return None


def _closing(text: str, start: int, controls: list[range]) -> int | None:
    mark = text[start]
    if start + 1 >= len(text) or text[start + 1] == mark or (mark != "`" and text[start + 1].isspace()):
        return None
    end = text.find(mark, start + 1)
    while end != -1:
        after = text[end + 1] if end + 1 < len(text) else " "
        inside = any(end in span for span in controls)
        spaced = mark != "`" and text[end - 1].isspace()
        if not inside and not spaced and (mark == "`" or not (after.isalnum() or after == mark)):
            return end
        end = text.find(mark, end + 1)
    return None


def _controls(text: str, style: Span, names: Mapping[str, str], verbatim: bool) -> Iterator[Span]:
    end = 0
    for match in CONTROL.finditer(text):
        read = control(match[1])
        if read is None:
            continue
        yield from _plain(text[end : match.start()], style, verbatim)
        yield _reference(*read, style, names)
        end = match.end()
    yield from _plain(text[end:], style, verbatim)


def _reference(kind: str, target: str, label: str, style: Span, names: Mapping[str, str]) -> Span:
    label = unescape(label)
    if kind == "link":
        return replace(style, text=emojis(label) or target, href=target, mention="link")
    if kind == "date":
        return replace(style, text=label)
    sign = "#" if kind == "channel" else "@"
    shown = target if kind == "broadcast" else names.get(target) or label.lstrip("@#") or target
    return replace(style, text=sign + shown, mention=kind)


def _plain(text: str, style: Span, verbatim: bool) -> Iterator[Span]:
    end = 0
    for match in [] if verbatim else BARE_URL.finditer(text):
        if match.start() > end:
            yield replace(style, text=_shown(text[end : match.start()], style))
        url = unescape(match[0])
        yield replace(style, text=url, href=url, mention="link")
        end = match.end()
    if end < len(text):
        yield replace(style, text=_shown(text[end:], style))


def _shown(text: str, style: Span) -> str:
    return unescape(text) if style.code else emojis(unescape(text))


def live_mentions(content: Any, *, strict: bool = False) -> list[Mention]:
    """List what would notify or can be followed, in a text, blocks, a message or a view.

    `strict` also lists a bare @here, @channel or @everyone in text that is not verbatim, which Slack's
    documentation allows it to read (kind `automatic`).
    """
    return list(_walk(content, "", strict))


def _walk(content: Any, where: str, strict: bool) -> Iterator[Mention]:
    if isinstance(content, str):
        yield from _in_text(content, where, False, strict)
    elif isinstance(content, list):
        for i, item in enumerate(content):
            yield from _walk(item, f"{where}/{i}", strict)
    elif isinstance(content, dict):
        yield from _in_object(content, where, strict)
    elif hasattr(content, "blocks"):
        yield from _in_text(str(getattr(content, "text", "")), "/text", False, strict)
        yield from _walk(content.blocks, "/blocks", strict)


def _in_object(item: dict[str, Any], where: str, strict: bool) -> Iterator[Mention]:
    kind = item.get("type")
    if kind == "plain_text":
        return
    if kind in ("mrkdwn", "markdown"):
        yield from _in_text(
            str(item.get("text", "")),
            f"{where}/text",
            bool(item.get("verbatim")),
            strict,
        )
        return
    rich = {
        "user": "user_id",
        "usergroup": "usergroup_id",
        "broadcast": "range",
        "channel": "channel_id",
    }
    if kind in rich and rich[kind] in item:
        yield Mention({"usergroup": "group"}.get(kind, kind), str(item[rich[kind]]), "", where)
    if isinstance(item.get("url"), str):
        label = item.get("text")
        words = label.get("text", "") if isinstance(label, dict) else str(label or "")
        yield Mention("link", item["url"], words, f"{where}/url")
    for name, value in item.items():
        if isinstance(value, (dict, list)) and name not in ("metadata", "state"):
            yield from _walk(value, f"{where}/{name}", strict)
        elif name == "text" and isinstance(value, str) and kind in (None, "message"):
            yield from _in_text(value, f"{where}/text", False, strict)


def _in_text(text: str, where: str, verbatim: bool, strict: bool) -> Iterator[Mention]:
    rest = []
    end = 0
    for match in CONTROL.finditer(text):
        read = control(match[1])
        if read is not None and read[0] != "date":
            yield Mention(read[0], read[1], unescape(read[2]), where)
        rest.append(text[end : match.start()] if read is not None else text[end : match.end()])
        end = match.end()
    plain = " ".join([*rest, text[end:]])
    if verbatim:
        return
    for url in BARE_URL.findall(plain):
        yield Mention("link", unescape(url), "", where)
    if strict:
        for name in re.findall(r"(?<![\w@])@(here|channel|everyone)\b", plain):
            yield Mention("automatic", name, "", where)
