"""The pages on which people sign a plan, or make a passkey: one link each, no framework, nothing from elsewhere."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from twokey.core.errors import Message, TwokeyError
from twokey.ports import Route
from twokey.web.bodies import BodyBudget, BodyError, body_of, closing
from twokey.web.limits import DEFAULT, Limits
from twokey.words import say, word

PAGES = "/passkey/"
_MOST = 64 * 1024
_FIELDS = ("typed", "credential", "client_data", "authenticator_data", "signature", "attestation")


@dataclass(frozen=True, slots=True)
class Fact:
    """A heading, and what stands under it; `look` is warning, exact, digest, or nothing of its own."""

    head: str
    lines: tuple[str, ...]
    look: str = ""


@dataclass(frozen=True, slots=True)
class PasskeyPage:
    """What one page shows, and what the browser is asked for."""

    title: str
    facts: tuple[Fact, ...]
    button: str
    typed: str = ""  # the label of the field for the target; "" where none is typed
    options: Mapping[str, Any] | None = (
        None  # what the script gives to the browser, bytes in hexadecimal digits
    )
    language: str = "en"


class PasskeyLinks(Protocol):
    """What is behind the links; `kind` is sign or add, and every call is answered in a worker thread."""

    @property
    def language(self) -> str:
        """Return the language of an installation."""
        ...

    def page(self, kind: str, token: str) -> PasskeyPage:
        """Return what a link shows, or raise why there is nothing to show."""
        ...

    def answer(self, kind: str, token: str, given: Mapping[str, str]) -> Message:
        """Take what the browser answered, and say what came of it."""
        ...


def passkey_routes(links: PasskeyLinks, origin: str, limits: Limits = DEFAULT) -> list[Route]:
    """Return the two pages: each is looked at with GET and answered with POST, from itself only."""
    budget = BodyBudget(limits.max_reading_bytes)

    async def look(request: Request, kind: str) -> Response:
        try:
            page = await asyncio.to_thread(links.page, kind, request.path_params["token"])
        except TwokeyError as refusal:
            shown = PasskeyPage(say(refusal.message, links.language), (), "", language=links.language)
            return _html(shown, 404)
        return _html(page, 200)

    async def take(request: Request, kind: str) -> Response:
        if request.headers.get("origin") != origin:
            return closing(403)
        try:
            async with body_of(request, budget, max_bytes=_MOST, within_s=limits.body_s) as body:
                found = json.loads(body)
        except BodyError as declined:
            return closing(declined.status)
        except (ValueError, RecursionError):
            return closing(400)
        if not isinstance(found, dict):
            return closing(400)
        given = {name: str(found[name]) for name in _FIELDS if isinstance(found.get(name), str)}
        try:
            told = await asyncio.to_thread(links.answer, kind, request.path_params["token"], given)
        except TwokeyError as refusal:
            return JSONResponse({"done": False, "says": say(refusal.message, links.language)}, 403)
        return JSONResponse({"done": True, "says": say(told, links.language)})

    def route(kind: str) -> Route:
        async def passkey_page(request: Request) -> Response:
            return await (take if request.method == "POST" else look)(request, kind)

        return Route(f"{PAGES}{kind}/{{token}}", ("GET", "POST"), passkey_page)

    return [route("sign"), route("add")]


def _html(page: PasskeyPage, status: int) -> Response:
    nonce = secrets.token_urlsafe(16)
    facts = "".join(
        f"<dt>{escape(fact.head)}</dt>"
        + "".join(f'<dd class="{fact.look}">{escape(line)}</dd>' for line in fact.lines)
        for fact in page.facts
    )
    field = (
        f'<p><label for="typed">{escape(page.typed)}</label><br>'
        '<input id="typed" autocomplete="off" spellcheck="false" maxlength="200"></p>'
        if page.typed
        else ""
    )
    act = (
        f'{field}<p><button id="go" type="button">{escape(page.button)}</button></p>' if page.options else ""
    )
    script = ""
    if page.options:
        told = {name: word(f"passkey.page.{name}", page.language) for name in ("unable", "unanswered")}
        asked = {**page.options, **told}
        text = json.dumps(asked).replace("<", "\\u003c")
        script = (
            f'<script nonce="{nonce}" type="application/json" id="asked">{text}</script>'
            f'<script nonce="{nonce}">{_SCRIPT}</script>'
        )
    html = (
        f'<!doctype html><html lang="{escape(page.language)}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f'<title>twokey</title><style nonce="{nonce}">{_STYLE}</style>'
        f'<main><h1>{escape(page.title)}</h1><dl>{facts}</dl>{act}<p id="says" role="status"></p></main>{script}'
    )
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    return HTMLResponse(html, status, headers)


_STYLE = (
    ":root{color-scheme:light dark}body{margin:0;font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:46rem;margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem;line-height:1.25}"
    "dt{font-weight:600;margin-top:1rem}dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}"
    "dd.warning{border-left:4px solid #d9822b;padding:.25rem .75rem;margin-top:.25rem}"
    "dd.exact,dd.digest{font:14px/1.45 ui-monospace,monospace;border:1px solid #8886;border-radius:4px;"
    "padding:.5rem .75rem;margin-top:.25rem}dt+dd.digest{font-size:1.1rem;font-weight:700}"
    "button,input{font:inherit;padding:.5rem 1rem;border-radius:4px;box-sizing:border-box;max-width:100%}"
    "input{width:24rem;border:1px solid #888}button{border:0;background:#1f5fbf;color:#fff;cursor:pointer}"
    "button:disabled{background:#8888;cursor:default}#says{font-weight:600;overflow-wrap:anywhere}"
    "#says:not(:empty){border-left:4px solid #c23030;padding:.25rem .75rem}"
    "#says.done:not(:empty){border-color:#2f8f4e}"
)

# The browser's own interface only; bytes travel in hexadecimal digits, as they stand on record.
_SCRIPT = """
"use strict";
const asked = JSON.parse(document.getElementById("asked").textContent);
const says = document.getElementById("says"), go = document.getElementById("go");
const bytes = hex => Uint8Array.from(hex.match(/../g) || [], two => parseInt(two, 16));
const hex = buffer => Array.from(new Uint8Array(buffer), one => one.toString(16).padStart(2, "0")).join("");
const known = asked.known.map(id => ({type: "public-key", id: bytes(id)}));
async function signed() {
  const made = await navigator.credentials.get({publicKey: {challenge: bytes(asked.challenge),
    rpId: asked.host, allowCredentials: known, userVerification: "required", timeout: 240000}});
  const r = made.response;
  return {credential: hex(made.rawId), client_data: hex(r.clientDataJSON),
    authenticator_data: hex(r.authenticatorData), signature: hex(r.signature)};
}
async function added() {
  const made = await navigator.credentials.create({publicKey: {challenge: bytes(asked.challenge),
    rp: {id: asked.host, name: "twokey"}, user: {id: bytes(asked.user), name: asked.name, displayName: asked.name},
    pubKeyCredParams: [-7, -257].map(alg => ({type: "public-key", alg})),
    excludeCredentials: known, attestation: "none",
    authenticatorSelection: {userVerification: "required", residentKey: "preferred"}, timeout: 240000}});
  return {credential: hex(made.rawId), client_data: hex(made.response.clientDataJSON),
    attestation: hex(made.response.attestationObject)};
}
async function told(given) {
  const answer = await fetch(location.pathname, {method: "POST", headers: {"content-type": "application/json"},
    body: JSON.stringify(given)});
  return answer.json();
}
go.addEventListener("click", async () => {
  const typed = document.getElementById("typed");
  let given = null, answer = {done: false, says: asked.unable};
  go.disabled = true;
  says.textContent = "";
  try {
    given = asked.kind === "sign" ? await signed() : await added();
    if (typed) given.typed = typed.value;
    answer = await told(given);
  } catch (fault) {
    if (given) answer.says = asked.unanswered;
  }
  says.textContent = answer.says;
  says.className = answer.done ? "done" : "";
  go.disabled = answer.done;
  if (typed) typed.disabled = answer.done;
});
"""
