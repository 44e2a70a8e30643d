"""Messages and modals as one standalone HTML page that looks like Slack, for screenshots."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import groupby
from typing import Any

from .model import Json, Message, View
from .mrkdwn import Span, emojis, spans
from .terminal import Names, clock

CSS = """
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1d1c1d;font:15px/1.46668 Lato,"Noto Sans","Noto Sans CJK JP","DejaVu Sans",
"Noto Color Emoji",sans-serif}
.channel{padding:10px 20px;border-bottom:1px solid #ddd;font-weight:900;font-size:18px}
.message{display:flex;gap:8px;padding:8px 20px}
.message.reply{padding-left:64px}
.message.ephemeral{background:#f8f8f8}
.avatar{flex:none;width:36px;height:36px;border-radius:8px;color:#fff;font-weight:900;font-size:17px;
display:flex;align-items:center;justify-content:center}
.reply .avatar{width:28px;height:28px;font-size:13px}
.body{flex:1;min-width:0;max-width:680px}
.who{font-weight:900;margin-right:4px}
.app{background:#e8e8e8;color:#616061;font-size:10px;font-weight:700;padding:1px 3px;border-radius:2px;
margin-right:6px;vertical-align:1px}
.time,.only,.edited{color:#616061;font-size:12px}
.blocks{overflow-wrap:anywhere}
.blocks>*{margin:8px 0}
h3{font-size:18px;font-weight:900;line-height:1.3}
hr{border:0;border-top:1px solid #ddd;margin:12px 0}
.section{display:flex;gap:16px}
.section>.main{flex:1;min-width:0}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px 16px;margin-top:6px}
.context{display:flex;flex-wrap:wrap;gap:2px 8px;color:#616061;font-size:13px}
.actions{display:flex;flex-wrap:wrap;gap:8px}
.button{display:inline-block;border:1px solid #bbbabb;border-radius:4px;padding:0 12px;height:36px;line-height:34px;
font-size:15px;font-weight:700;background:#fff;white-space:nowrap}
.section .button,.actions .button{height:32px;line-height:30px;font-size:13px}
.button.primary{background:#007a5a;border-color:#007a5a;color:#fff}
.button.danger{background:#e01e5a;border-color:#e01e5a;color:#fff}
code{background:#f6f6f6;border:1px solid #ddd;border-radius:3px;color:#c0123c;padding:1px 3px;font-size:12px;
font-family:Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;margin:4px 0;font-size:12px;
white-space:pre-wrap;font-family:Menlo,Consolas,"DejaVu Sans Mono",monospace}
blockquote{display:inline-block;width:100%;border-left:4px solid #ddd;margin:0;padding-left:12px}
a{color:#1264a3;text-decoration:none}
.mention{background:#e8f5fa;color:#1264a3;border-radius:3px;padding:0 2px}
.mention.broadcast{background:#fdf2b3;color:#1d1c1d;font-weight:700}
.file{border:1px solid #ddd;border-radius:8px;padding:10px 12px;width:360px;font-size:13px}
.reactions{display:flex;gap:4px;margin-top:4px}
.reaction{background:#efefef;border-radius:12px;padding:1px 8px;font-size:12px}
.more{color:#1264a3;font-size:13px;font-weight:700;padding-left:64px}
.screen{background:rgba(29,28,29,.6);padding:32px;display:flex;flex-direction:column;align-items:center;gap:24px}
.modal{background:#fff;border-radius:8px;width:520px;box-shadow:0 5px 20px rgba(0,0,0,.35)}
.modal>header{display:flex;align-items:center;gap:10px;padding:16px 24px;font-size:22px;font-weight:900}
.modal>.blocks{padding:0 24px 8px}
.modal>footer{display:flex;justify-content:flex-end;gap:12px;padding:16px 24px;border-top:1px solid #ddd}
.x{margin-left:auto;color:#616061;font-weight:400}
label{font-weight:700;display:block;margin-bottom:4px}
.optional,.hint{color:#616061;font-weight:400;font-size:13px}
.field{border:1px solid #868686;border-radius:4px;padding:7px 12px;min-height:38px;white-space:pre-wrap}
.field.empty{color:#868686}
.field.multi{min-height:84px}
.field.select::after{content:"\\25be";float:right}
.field.wrong{border-color:#e01e5a}
.error{color:#c0123c;font-size:13px;font-weight:700;margin-top:4px}
.choice{margin:4px 0}
"""
COLOURS = ("#4a154b", "#1264a3", "#007a5a", "#b5430f", "#5b3c88", "#0b6e8a", "#8a5a00")


def _span(span: Span) -> str:
    text = escape(span.text).replace("\n", "<br>")
    if span.mention in ("user", "group", "channel", "broadcast"):
        text = f'<span class="mention {span.mention}">{text}</span>'
    elif span.href:
        text = f'<a title="{escape(span.href)}">{text}</a>'  # a picture to look at: nothing in it can be followed
    for on, tag in (
        (span.code and not span.block, "code"),
        (span.strike, "s"),
        (span.italic, "em"),
        (span.bold, "b"),
    ):
        if on:
            text = f"<{tag}>{text}</{tag}>"
    return text


def mrkdwn_html(text: str, names: Names, *, verbatim: bool = False) -> str:
    """Return mrkdwn as HTML; everything in it is escaped."""
    parts: list[str] = []
    for (is_block, is_quote), group in groupby(
        spans(text, names, verbatim=verbatim), lambda s: (s.block, s.quote)
    ):
        inner = "".join(_span(span) for span in group)
        tag = "pre" if is_block else "blockquote" if is_quote else ""
        parts.append(f"<{tag}>{inner}</{tag}>" if tag else inner)
    joined = "".join(parts)
    for tag in ("pre", "blockquote"):  # these stand on lines of their own already
        joined = joined.replace(f"</{tag}><br>", f"</{tag}>").replace(f"<br><{tag}>", f"<{tag}>")
    return joined


def _text(value: Any, names: Names) -> str:
    if not isinstance(value, dict):
        return ""
    if value.get("type") == "mrkdwn":
        return mrkdwn_html(value["text"], names, verbatim=bool(value.get("verbatim")))
    return escape(emojis(str(value.get("text", "")))).replace("\n", "<br>")


def _element(element: Json, names: Names, state: Json | None = None, *, wrong: bool = False) -> str:
    kind = element.get("type", "")
    if kind in ("mrkdwn", "plain_text"):
        return f"<span>{_text(element, names)}</span>"
    if kind == "button":
        return (
            f'<span class="button {escape(element.get("style", ""))}">{_text(element["text"], names)}</span>'
        )
    if kind == "overflow":
        return '<span class="button">⋯</span>'
    if kind == "image":
        return f'<span class="time">({escape(element.get("alt_text", ""))})</span>'
    return _field(element, names, state, wrong)


def _field(element: Json, names: Names, state: Json | None, wrong: bool) -> str:
    kind = element.get("type", "")
    state = state or {}
    if kind in ("radio_buttons", "checkboxes"):
        one = state.get("selected_option") or element.get("initial_option")
        many = state.get("selected_options") or element.get("initial_options") or []
        chosen = {option.get("value") for option in [*([one] if one else []), *many]}
        empty, full = ("○", "◉") if kind == "radio_buttons" else ("☐", "☑")
        return "".join(
            f'<div class="choice">{full if o.get("value") in chosen else empty} {_text(o["text"], names)}</div>'
            for o in element.get("options", [])
        )
    option = state.get("selected_option") or element.get("initial_option")
    value = (
        _text(option["text"], names)
        if option
        else escape(state.get("value") or element.get("initial_value") or "")
    )
    marks = [
        "empty" * (not value),
        "multi" * bool(element.get("multiline")),
        "select" * ("select" in kind),
    ]
    shown = value or _text(element.get("placeholder"), names) or "&nbsp;"
    return f'<div class="field {" ".join(marks)} {"wrong" if wrong else ""}">{shown}</div>'


def _block(item: Json, names: Names, view: View | None) -> str:
    kind = item.get("type")
    if kind == "header":
        return f"<h3>{_text(item['text'], names)}</h3>"
    if kind == "divider":
        return "<hr>"
    if kind in ("context", "actions"):
        inner = "".join(_element(element, names) for element in item["elements"])
        return f'<div class="{kind}">{inner}</div>'
    if kind == "section":
        return _section(item, names)
    if kind == "input":
        return _input(item, names, view)
    if kind == "image":
        return f'<div class="time">({escape(item.get("alt_text", ""))})</div>'
    return f"<div>{escape(str(item.get('text', '')))}</div>"


def _section(item: Json, names: Names) -> str:
    inner = f"<div>{_text(item['text'], names)}</div>" if "text" in item else ""
    if item.get("fields"):
        cells = "".join(f"<div>{_text(field, names)}</div>" for field in item["fields"])
        inner += f'<div class="fields">{cells}</div>'
    beside = _element(item["accessory"], names) if "accessory" in item else ""
    return f'<div class="section"><div class="main">{inner}</div>{beside}</div>'


def _input(item: Json, names: Names, view: View | None) -> str:
    element, block_id = item["element"], item.get("block_id", "")
    state = (view.inputs if view else {}).get(block_id, {}).get(element.get("action_id", ""))
    error = (view.errors if view else {}).get(block_id)
    optional = ' <span class="optional">(optional)</span>' if item.get("optional") else ""
    hint = f'<div class="hint">{_text(item["hint"], names)}</div>' if "hint" in item else ""
    wrong = f'<div class="error">{escape(error)}</div>' if error else ""
    field = _element(element, names, state, wrong=error is not None)
    return f"<div><label>{_text(item['label'], names)}{optional}</label>{field}{wrong}{hint}</div>"


def _avatar(who: str) -> str:
    colour = COLOURS[sum(map(ord, who)) % len(COLOURS)]
    return f'<div class="avatar" style="background:{colour}">{escape(who[:1].upper())}</div>'


def message_html(message: Message, names: Names) -> str:
    """Return one message."""
    who = names.get(message.user, message.user)
    app = '<span class="app">APP</span>' if message.bot_id else ""
    only = '<div class="only">⊙ Only visible to you</div>' if message.is_ephemeral else ""
    edited = ' <span class="edited">(edited)</span>' if message.edited_ts else ""
    if message.blocks:
        inner = "".join(_block(item, names, None) for item in message.blocks)
    else:
        inner = f"<div>{mrkdwn_html(message.text, names)}</div>"
    inner += "".join(
        f'<div class="file"><b>{escape(file.title)}</b> {file.length} bytes</div>' for file in message.files
    )
    marks = "".join(
        f'<span class="reaction">{escape(emojis(f":{name}:"))} {len(users)}</span>'
        for name, users in message.reactions.items()
    )
    reactions = f'<div class="reactions">{marks}</div>' if marks else ""
    kinds = f"{'reply ' * message.is_reply}{'ephemeral' * message.is_ephemeral}"
    return (
        f'<div class="message {kinds}">{_avatar(who)}<div class="body">{only}'
        f'<span class="who">{escape(who)}</span>{app}<span class="time">{clock(message.ts)}</span>{edited}'
        f'<div class="blocks">{inner}</div>{reactions}</div></div>'
    )


def view_html(view: View, names: Names, app: str) -> str:
    """Return one modal."""
    inner = "".join(_block(item, names, view) for item in view.blocks)
    close = (
        f'<span class="button">{_text(view.body["close"], names)}</span>' if view.body.get("close") else ""
    )
    submit = view.body.get("submit")
    send = f'<span class="button primary">{_text(submit, names)}</span>' if submit else ""
    return (
        f'<div class="modal"><header>{_avatar(app)}<span>{escape(view.title)}</span><span class="x">✕</span></header>'
        f'<div class="blocks">{inner}</div><footer>{close}{send}</footer></div>'
    )


def as_html(
    content: Iterable[Message | View],
    names: Names | None = None,
    *,
    channel: str = "",
    app: str = "twokey",
) -> str:
    """Return a page with these messages, threads gathered under their first message, then the modals."""
    items, known = list(content), names or {}
    messages = [item for item in items if isinstance(item, Message)]
    views = [item for item in items if isinstance(item, View)]
    messages.sort(key=lambda m: (float(m.thread_ts or m.ts), float(m.ts)))
    head = f'<div class="channel"># {escape(channel)}</div>' if channel else ""
    body = "".join(message_html(message, known) for message in messages)
    dialogs = "".join(view_html(view, known, app) for view in views)
    screen = f'<div class="screen">{dialogs}</div>' if dialogs else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(channel or app)}</title>'
        f"<style>{CSS}</style><body>{head}{body}{screen}</body></html>"
    )
