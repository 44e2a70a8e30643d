"""People, codes and runbooks that stand still: fakes of the roster, the second factor and the files."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from twokey.core.errors import NotFound, Refused, TwokeyError
from twokey.core.people import ChatAccount, ChatIdentity, Person, Role, Roster
from twokey.core.runbooks import Runbook

EVERYTHING = frozenset(Role)


def identity(user: str = "U1", team: str = "T1", **flags: Any) -> ChatIdentity:
    """Return what the chat says about an account: a full member of our workspace, unless told otherwise."""
    return replace(ChatIdentity(ChatAccount(team, user), channel="C-INCIDENTS"), **flags)


def person(name: str, *roles: Role, scopes: tuple[str, ...] = ("*",), users: tuple[str, ...] = ()) -> Person:
    """Make a person with the id `d-<name>` and the account `U-<NAME>`; with all roles when none is named."""
    accounts = tuple(ChatAccount("T1", user) for user in (f"U-{name.upper()}", *users))
    return Person(f"d-{name}", name.capitalize(), accounts, frozenset(roles) or EVERYTHING, scopes, True)


def the_team() -> Roster:
    """Return the tests' people: ana, ben (two accounts) and cho may do all, dia responds, eve commands."""
    return Roster(
        (
            person("ana"),
            person("ben", users=("U-BEN-2",)),
            person("cho"),
            person("dia", Role.RESPONDER),
            person("eve", Role.RESPONDER, Role.COMMANDER),
            person("far", scopes=("000011112222",)),
        ),
        digest="r" * 64,
    )


class FixedRosters:
    """A roster that says what it was told to say, or fails."""

    def __init__(self, roster: Roster | None = None) -> None:
        self.roster = the_team() if roster is None else roster
        self.fault: TwokeyError | None = None

    def current(self) -> Roster:
        """Return the people, or why nobody is known."""
        if self.fault:
            raise self.fault
        return self.roster

    def unreadable(self) -> None:
        """Let the file be unreadable from now on."""
        self.fault = Refused("refused.roster_unreadable", reason="line 3")

    def without(self, person_id: str) -> None:
        """Take a person out."""
        self.roster = Roster(tuple(p for p in self.roster.people if p.id != person_id), "x" * 64)

    def change(self, person_id: str, **changes: Any) -> None:
        """Change what is said about a person."""
        people = tuple(replace(p, **changes) if p.id == person_id else p for p in self.roster.people)
        self.roster = Roster(people, "y" * 64)


class FixedStepUp:
    """A second factor: every six-digit code that ends in 7 is right, once."""

    def verify(self, person_id: str, code: str, now: datetime) -> str | None:
        """Return the identity of the code, or None when it is wrong."""
        right = len(code) == 6 and code.isdecimal() and code.endswith("7")
        return f"totp:{person_id}:{code}" if right else None


class FixedLibrary:
    """Runbooks in memory; `edit` and `disapprove` are what people do to files."""

    def __init__(self, *runbooks: Runbook) -> None:
        self.runbooks = {runbook.id: runbook for runbook in runbooks}
        self.disapproved: set[str] = set()

    def runbook(self, runbook_id: str) -> Runbook:
        """Return an approved runbook."""
        if runbook_id not in self.runbooks:
            raise NotFound("runbook.unknown", id=runbook_id)
        if runbook_id in self.disapproved:
            digest, command = self.runbooks[runbook_id].digest, f"twokey runbook approve {runbook_id}"
            raise Refused("runbook.not_approved", id=runbook_id, digest=digest, command=command)
        return self.runbooks[runbook_id]

    def approved(self) -> list[Runbook]:
        """Return every approved runbook."""
        return [book for book in self.runbooks.values() if book.id not in self.disapproved]

    def edit(self, runbook_id: str, **changes: Any) -> None:
        """Change a runbook and approve the change: its digest is another one then."""
        changes.setdefault("digest", "e" * 64)
        self.runbooks[runbook_id] = replace(self.runbooks[runbook_id], **changes)

    def disapprove(self, runbook_id: str) -> None:
        """Take a runbook out of the approved ones."""
        self.disapproved.add(runbook_id)

    def remove(self, runbook_id: str) -> None:
        """Delete a runbook's file."""
        del self.runbooks[runbook_id]
