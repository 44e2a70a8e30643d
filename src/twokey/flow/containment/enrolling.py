"""Enrol: a person's device makes a passkey, and another person, an approver, confirms that it is theirs.

The record is not where keys are believed from: a confirmed one counts once it stands in the roster file.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core.errors import Refused, message
from twokey.core.passkeys import LINK_LIVES_S, Enrolment, enrolment_challenge, fingerprint, link_id
from twokey.core.people import ChatIdentity, Person, Role
from twokey.flow import outbox
from twokey.flow.refusals import on_record
from twokey.ports import Clock, Passkeys, Rosters, Snapshot, Store

WAITS_S = 24 * 3600.0  # so long a new passkey can be confirmed


@dataclass(frozen=True)
class Enrolling:
    """Take in new passkeys: asked for in the chat, made on a page, confirmed by a second person."""

    store: Store
    clock: Clock
    rosters: Rosters
    passkeys: Passkeys

    def link(self, who: ChatIdentity) -> str:
        """Return the address at which this person makes a passkey, once and within minutes."""
        with on_record(self, "passkey.refused", who) as caller:
            self.passkeys.address("add", "")  # no link is written where there is no page
            token, person, now = secrets.token_urlsafe(32), caller.person, self.clock.now()
            asked = Enrolment(link_id(token), person.id, "asked", now, secrets.token_hex(32), caller.account)
            with self.store.change() as tx:
                tx.add(asked)
                tx.append(caller.actor, "passkey.asked")
        return self.passkeys.address("add", token)

    def to_add(self, token: str) -> tuple[Enrolment, Person]:
        """Return what a link is for, while it is good, and its person."""
        with self.store.read() as look:
            asked = _asked(look, token, self.clock.now())
        person = self.rosters.current().person(asked.person_id)
        if person is None:
            raise Refused("refused.link_over")
        return asked, person

    def made(self, token: str, answer: Mapping[str, str]) -> str:
        """Keep the public half of what a device made, for somebody to confirm; return its fingerprint."""
        asked, _ = self.to_add(token)
        if asked.chat is None:
            raise Refused("refused.link_over")
        with on_record(self, "passkey.refused", ChatIdentity(asked.chat)) as caller:
            if caller.person.id != asked.person_id:
                raise Refused("refused.link_over")
            made = self.passkeys.made(enrolment_challenge(asked.person_id, asked.nonce), answer)
            printed = fingerprint(made.public_key)
            with self.store.change() as tx:
                _asked(tx, token, self.clock.now())
                tx.put(replace(asked, state="made", credential=made.id, public_key=made.public_key))
                entry = tx.append(caller.actor, "passkey.made", data={"fingerprint": printed})
                told = message("passkey.made", person=caller.person.name, fingerprint=printed)
                outbox.tell_person(tx, entry, caller.person.id, [told])
                outbox.tell_security(tx, f"passkey:{entry.seq}", told, entry.at)
        return printed

    def confirm(self, who: ChatIdentity, printed: str) -> Person:
        """Confirm, as another person who is an approver, that a passkey is whose it says."""
        with on_record(self, "passkey.refused", who) as caller, self.store.change() as tx:
            since = self.clock.now() - timedelta(seconds=WAITS_S)
            waiting = (one for one in tx.find(Enrolment, state="made") if one.at > since)
            found = next(
                (one for one in waiting if fingerprint(one.public_key) == printed.strip().lower()), None
            )
            owner = caller.roster.person(found.person_id) if found else None
            if found is None or owner is None:
                raise Refused("refused.no_such_passkey", fingerprint=printed.strip()[:40])
            if owner.id == caller.person.id:
                raise Refused("refused.own_passkey", person=owner.name)
            if Role.APPROVER not in caller.person.roles:
                raise Refused("refused.not_approver", person=caller.person.name, scope="*")
            tx.put(replace(found, state="confirmed", confirmed_by=caller.person.id))
            data = {"person": owner.id, "fingerprint": fingerprint(found.public_key)}
            entry = tx.append(caller.actor, "passkey.confirmed", data=data)
            told = message(
                "passkey.confirmed", person=owner.name, by=caller.person.name, fingerprint=data["fingerprint"]
            )
            outbox.tell_security(tx, f"passkey:{entry.seq}", told, entry.at)
            return owner


def _asked(look: Snapshot, token: str, now: datetime) -> Enrolment:
    asked = look.get(Enrolment, link_id(token))
    if asked is None or asked.state != "asked" or now >= asked.at + timedelta(seconds=LINK_LIVES_S):
        raise Refused("refused.link_over")
    return asked
