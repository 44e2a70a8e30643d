"""What is behind the links of the passkey pages: a plan to sign, or a passkey to make."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twokey.core.approvals import needs_typed_target
from twokey.core.errors import Json, Message, message
from twokey.core.passkeys import enrolment_challenge, signing_challenge
from twokey.core.people import Person
from twokey.core.runbooks import ActionCall, Plan, Step
from twokey.core.texts import visible, visible_lines
from twokey.flow.containment import Containment
from twokey.flow.containment.signing import Signed
from twokey.web.passkeys import Fact, PasskeyPage
from twokey.words import say, word


@dataclass(frozen=True)
class Links:
    """Shows and answers the pages, in their person's language where it is known."""

    containment: Containment
    host: str
    language: str

    def page(self, kind: str, token: str) -> PasskeyPage:
        """Return what a link shows."""
        return self._to_sign(token) if kind == "sign" else self._to_add(token)

    def answer(self, kind: str, token: str, given: Mapping[str, str]) -> Message:
        """Take a signature or a new passkey."""
        if kind == "sign":
            status = self.containment.sign(token, Signed(given.get("typed", ""), given))
            return message("passkey.page.signed", keys=len(status.people), needed=status.needed)
        return message("passkey.page.made", fingerprint=self.containment.enrolling.made(token, given))

    def _to_sign(self, token: str) -> PasskeyPage:
        request, plan, person = self.containment.to_sign(token)
        challenge = signing_challenge(plan.id, plan.digest, person.id, request.nonce)
        language = person.language or self.language
        return PasskeyPage(
            title=say(message("passkey.page.sign_title", title=visible(plan.title)), language),
            facts=_facts(plan, person, language),
            button=word("passkey.page.sign", language),
            typed=word("passkey.page.typed", language) if needs_typed_target(plan) else "",
            options=self._asked("sign", challenge, person),
            language=language,
        )

    def _to_add(self, token: str) -> PasskeyPage:
        asked, person = self.containment.enrolling.to_add(token)
        language = person.language or self.language
        return PasskeyPage(
            title=say(message("passkey.page.add_title", person=visible(person.name)), language),
            facts=(Fact(word("passkey.page.next", language), (word("passkey.page.next_text", language),)),),
            button=word("passkey.page.add", language),
            options=self._asked("add", enrolment_challenge(person.id, asked.nonce), person),
            language=language,
        )

    def _asked(self, kind: str, challenge: bytes, person: Person) -> dict[str, object]:
        return {
            "kind": kind,
            "challenge": challenge.hex(),
            "host": self.host,
            "known": [passkey.id for passkey in person.passkeys],
            "user": hashlib.sha256(person.id.encode()).hexdigest(),
            "name": person.name,
        }


def _facts(plan: Plan, person: Person, language: str) -> tuple[Fact, ...]:
    """Return the whole plan in words, nothing cut off: what to read first, what is touched, every call, the digest."""
    touches = (" ".join(dict.fromkeys(filter(None, (one.kind, one.id, one.name)))) for one in plan.touches)
    parts: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("person", "", (person.name,)),
        ("warnings", "warning", (say(one, language) for one in plan.warnings)),
        ("where", "", (f"{plan.provider} {plan.target.account} {plan.target.region}".strip(),)),
        ("risk", "", (word(f"chat.risk.{plan.risk.value}", language),)),
        ("touches", "", touches),
        ("steps", "exact", (_step(step, language) for step in plan.steps)),
        ("guards", "exact", (_called(guard.check, guard.inputs) for guard in plan.guards)),
        ("notes", "", (say(note, language) for note in plan.notes)),
        ("digest", "digest", (plan.short, plan.digest)),
    )
    facts = (
        Fact(
            word(f"passkey.page.{name}", language),
            tuple(map(visible_lines if name == "steps" else visible, lines)),  # only calls have lines
            look,
        )
        for name, look, lines in parts
    )
    return tuple(fact for fact in facts if fact.lines)


def _step(step: Step, language: str) -> str:
    """Return a call with all that it is given, how it is checked, and the way back; documents have their own lines."""
    lines = [f"{step.id}: {step.action}", *(_given(name, value) for name, value in step.inputs.items())]
    asked = [*step.pre, *([step.verify] if step.verify else [])]
    lines += [f"\u2713 {_called(check.check, check.inputs)}" for check in asked]
    if isinstance(step.undo, ActionCall):
        lines.append(f"\u21a9 {_called(step.undo.action, step.undo.inputs)}")
    elif step.effect.is_write:
        reason = visible(step.irreversible or "-")
        lines.append(say(message("passkey.page.no_way_back", reason=reason), language))
    return "\n".join(lines)


def _given(name: str, value: Json) -> str:
    """Return an input, a document with its lines; a line break in plain text is shown as what it is."""
    found = value
    if isinstance(value, str) and value.startswith(("{", "[")):
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(value)
    if isinstance(found, str):
        return f"{name}: {visible(found)}"
    return f"{name}: {json.dumps(found, ensure_ascii=False, sort_keys=True, indent=2)}"


def _called(name: str, inputs: Mapping[str, Json]) -> str:
    return f"{name} {json.dumps(dict(inputs), ensure_ascii=False, sort_keys=True)}"
