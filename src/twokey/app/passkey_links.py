"""What is behind the links of the passkey pages: a plan to sign, or a passkey to make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from twokey.core.approvals import needs_typed_target
from twokey.core.errors import Message, message
from twokey.core.passkeys import enrolment_challenge, signing_challenge
from twokey.core.people import Person
from twokey.core.runbooks import Plan, Step
from twokey.core.texts import visible
from twokey.flow.containment import Containment
from twokey.flow.containment.signing import Signed
from twokey.web.passkeys import PasskeyPage
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
            facts=((word("passkey.page.next", language), (word("passkey.page.next_text", language),)),),
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


def _facts(plan: Plan, person: Person, language: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the whole plan in words: who signs, where, what is touched, every call, and the digest."""
    touches = tuple(" ".join(filter(None, (one.kind, one.id, one.name))) for one in plan.touches)
    notes = tuple(say(note, language) for note in plan.notes)
    parts = (
        ("person", (person.name,)),
        ("where", (f"{plan.provider} {plan.target.account} {plan.target.region}".strip(),)),
        ("risk", (word(f"chat.risk.{plan.risk.value}", language),)),
        ("touches", touches),
        ("notes", notes),
        ("steps", tuple(_line(step) for step in plan.steps)),
        ("digest", (plan.digest,)),
    )
    return tuple(
        (word(f"passkey.page.{name}", language), tuple(visible(line) for line in lines))
        for name, lines in parts
        if lines
    )


def _line(step: Step) -> str:
    inputs = json.dumps(dict(step.inputs), ensure_ascii=False, sort_keys=True, default=str)
    return f"{step.id}: {step.action} {inputs}"
