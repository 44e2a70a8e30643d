"""The roster file: the people who may act, read again at every question and never remembered past a fault."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from twokey.catalog.schema import Part, shown, top, where
from twokey.catalog.strict_yaml import MAX_BYTES, load
from twokey.core.errors import Invalid, Refused
from twokey.core.people import ChatAccount, Passkey, Person, Role, Roster
from twokey.core.texts import LANGUAGES
from twokey.file_access import others_may_write

PERSON_ID = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}"
TEAM = r"[TE][A-Z0-9]{1,20}"
USER = r"[UW][A-Z0-9]{1,20}"

_PERSON = "id name slack roles scopes"
_PERSON_OPTIONAL = "step_up language passkeys"
_PASSKEY_ID, _PUBLIC_KEY = r"([0-9a-f]{2}){1,1023}", r"([0-9a-f]{2}){32,1024}"


def load_roster(text: str | bytes, name: str, scopes: Iterable[str]) -> Roster:
    """Return a roster; raise the first of its faults."""
    roster, faults = read_roster(text, name, scopes)
    if faults:
        raise faults[0]
    return roster


def read_roster(text: str | bytes, name: str, scopes: Iterable[str]) -> tuple[Roster, list[Invalid]]:
    """Return the people in a roster file and every fault, in the order of lines; empty is nobody.

    `scopes` are the regular expressions of the clouds for an account, a subscription and the like.
    """
    scope = "|".join((r"\*", *scopes))
    try:
        doc = load(text, name)
    except Invalid as fault:
        return Roster(), [fault]
    raw = text.encode() if isinstance(text, str) else text
    digest = hashlib.sha256(raw).hexdigest()
    if doc.data in (None, ""):
        return Roster(digest=digest), []
    faults: list[Invalid] = []
    found = top(doc, faults).fields("people")
    parts = found["people"].items() if "people" in found and found["people"].value != "" else []
    people = tuple(_person(part, scope) for part in parts)
    _note_duplicates(parts, people)
    faults.sort(key=lambda fault: int(fault.message.params["line"]))
    return (Roster() if faults else Roster(people, digest)), faults


def _person(part: Part, scope: str) -> Person:
    found = part.fields(_PERSON, _PERSON_OPTIONAL)
    step_up = found["step_up"].choice("totp", "none") if "step_up" in found else "none"
    accounts = []
    for item in found["slack"].items() if "slack" in found else ():
        account = item.fields("team user")
        team = account["team"].text(TEAM) if "team" in account else ""
        user = account["user"].text(USER) if "user" in account else ""
        accounts.append(ChatAccount(team, user))
    if not accounts and "slack" in found and isinstance(found["slack"].value, list):
        found["slack"].fault("roster.no_account")
    return Person(
        id=found["id"].text(PERSON_ID) if "id" in found else "",
        name=found["name"].text(r"[^\x00-\x1f]{1,80}") if "name" in found else "",
        accounts=tuple(accounts),
        roles=frozenset(item.one_of(Role) for item in found["roles"].items())
        if "roles" in found
        else frozenset(),
        scopes=tuple(item.text(scope) for item in found["scopes"].items()) if "scopes" in found else (),
        has_step_up=step_up == "totp",
        language=found["language"].choice(*LANGUAGES) if "language" in found else "",
        passkeys=tuple(_passkey(item) for item in found["passkeys"].items()) if "passkeys" in found else (),
    )


def _passkey(part: Part) -> Passkey:
    found = part.fields("id public_key", "name added")
    return Passkey(
        id=found["id"].text(_PASSKEY_ID) if "id" in found else "",
        public_key=found["public_key"].text(_PUBLIC_KEY) if "public_key" in found else "",
        name=found["name"].text(r"[^\x00-\x1f]{1,80}") if "name" in found else "",
        added=found["added"].text(r"\d{4}-\d{2}-\d{2}") if "added" in found else "",
    )


def _note_duplicates(parts: list[Part], people: tuple[Person, ...]) -> None:
    """Note one id, one account or one passkey for two people: two keys are compared by these.

    Ids that differ only in the size of their letters are one id, because directories treat them so.
    """
    ids: dict[str, str] = {}
    owners: dict[ChatAccount, str] = {}
    devices: dict[str, str] = {}
    for part, person in zip(parts, people, strict=True):
        folded = person.id.casefold()
        if person.id and folded in ids:
            part.at("id", person.id).fault("roster.duplicate_person", person=person.id)
        ids[folded] = person.id
        for index, account in enumerate(person.accounts):
            if account.user and account in owners:
                place = part.at("slack", None).at(index, None)
                place.fault("roster.duplicate_account", user=account.user, person=shown(owners[account]))
            owners[account] = person.id
        for index, passkey in enumerate(person.passkeys):
            if passkey.id and passkey.id in devices:
                place = part.at("passkeys", None).at(index, None)
                place.fault("roster.duplicate_passkey", person=shown(devices[passkey.id]))
            devices[passkey.id] = person.id


@dataclass(frozen=True)
class FileRosters:
    """The roster file. What is kept is only the parsing of bytes that have not changed since."""

    path: Path
    scopes: tuple[str, ...]
    _kept: dict[bytes, Roster] = field(default_factory=dict, repr=False, compare=False)

    def current(self) -> Roster:
        """Read the roster again; Refused when others may write it, or it cannot be read or has a fault.

        Then nobody may act.
        """
        try:
            with self.path.open("rb") as file:
                writable = others_may_write(self.path, file.fileno())
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Refused("refused.roster_unreadable", reason=error.strerror or "?") from None
        if writable:
            raise Refused("refused.roster_writable", problem=writable)
        kept = self._kept.get(content)
        if kept is not None:
            return kept
        try:
            roster = load_roster(content, self.path.name, self.scopes)
        except Invalid as fault:
            raise Refused("refused.roster_unreadable", reason=where(fault)) from None
        self._kept.clear()
        self._kept[content] = roster
        return roster
