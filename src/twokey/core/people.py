"""Who acts: people from the roster, the chat accounts they use, and the system itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twokey.core.errors import Json, Refused


class Role(StrEnum):
    """What a person may do: work incidents, command them, turn a key for others' plans."""

    RESPONDER = "responder"
    COMMANDER = "commander"
    APPROVER = "approver"


@dataclass(frozen=True, slots=True)
class ChatAccount:
    """One account in a chat workspace: a person may have several."""

    team: str
    user: str


@dataclass(frozen=True, slots=True)
class ChatIdentity:
    """What the chat service itself says about the account that just acted (read now, never remembered)."""

    account: ChatAccount
    workspace: str = ""  # where it acted; one account may act in several
    enterprise: str = ""
    channel: str = ""
    exists: bool = True
    is_bot: bool = False
    is_guest: bool = False
    is_deactivated: bool = False
    is_foreign: bool = False  # another organisation's account
    channel_is_shared: bool = False  # Slack Connect or otherwise outside our control


@dataclass(frozen=True, slots=True)
class Passkey:
    """One device of a person that can sign: its public half, as the roster has it (in hexadecimal digits)."""

    id: str
    public_key: str
    name: str = ""
    added: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """One human being: `id` is the directory's id and the only thing that two keys are compared by."""

    id: str
    name: str
    accounts: tuple[ChatAccount, ...] = ()
    roles: frozenset[Role] = frozenset()
    scopes: tuple[str, ...] = ()  # account or subscription ids this person's roles hold for; "*" is all
    has_step_up: bool = False
    language: str = ""
    passkeys: tuple[Passkey, ...] = ()

    def is_(self, role: Role, scope: str) -> bool:
        """Say whether this person holds the role for that account or subscription."""
        return role in self.roles and ("*" in self.scopes or scope in self.scopes)

    def roles_at(self, scope: str) -> frozenset[Role]:
        """Return the roles held for that account or subscription; where none is known, every role held."""
        return frozenset(role for role in self.roles if not scope or self.is_(role, scope))


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody who may act, as the roster file says right now. Empty means nobody."""

    people: tuple[Person, ...] = ()
    digest: str = ""
    _by_account: dict[ChatAccount, Person] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _by_id: dict[str, Person] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for person in self.people:
            self._by_id[person.id] = person
            for account in person.accounts:
                self._by_account[account] = person

    def person(self, person_id: str) -> Person | None:
        """Return the person with this directory id, if the roster still has them."""
        return self._by_id.get(person_id)

    def behind(self, account: ChatAccount) -> Person | None:
        """Return the person whose account this is."""
        return self._by_account.get(account)

    def holding(self, roles: Iterable[Role], scope: str) -> tuple[Person, ...]:
        """Return everybody who holds one of the roles for that account or subscription."""
        wanted = tuple(roles)
        return tuple(p for p in self.people if any(p.is_(role, scope) for role in wanted))


@dataclass(frozen=True, slots=True)
class RosterSeen:
    """The roster as it was last read, so that a change of it is told: one row."""

    id: str
    digest: str
    at: datetime
    people: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # person id -> what they may do


def identify(identity: ChatIdentity, roster: Roster) -> Person:
    """Say which person is behind a chat account, or refuse: unknown, guest, bot, deactivated, shared channel."""
    if not roster.people:
        raise Refused("refused.roster_empty")
    if not identity.exists:
        raise Refused("refused.unknown_identity", user=identity.account.user)
    if identity.is_foreign:
        raise Refused("refused.foreign_workspace", user=identity.account.user, team=identity.account.team)
    if identity.is_bot:
        raise Refused("refused.bot", user=identity.account.user)
    if identity.is_deactivated:
        raise Refused("refused.deactivated", user=identity.account.user)
    if identity.is_guest:
        raise Refused("refused.guest", user=identity.account.user)
    if identity.channel_is_shared:
        raise Refused("refused.shared_channel", channel=identity.channel)
    person = roster.behind(identity.account)
    if person is None:
        raise Refused("refused.unknown_identity", user=identity.account.user)
    return person


@dataclass(frozen=True, slots=True)
class Actor:
    """Who an audit entry is about: a person through an account, or a named part of the system."""

    id: str  # person id, or "system:<part>"
    account: ChatAccount | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("an actor has an id")


def system(part: str) -> Actor:
    """Name a part of twokey as the actor of what it does by itself."""
    return Actor(f"system:{part}")


def acting(person: Person, account: ChatAccount | None = None) -> Actor:
    """Name a person as the actor, with the account they used."""
    return Actor(person.id, account)
