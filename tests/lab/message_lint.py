"""Message lint: fixtures that check every message and every audit entry that a test makes.

A message must have words in every language and each of the words' parameters, with a value. An audit entry must have
an action and an actor as docs/reference/audit-actions.md names them, and belong to a plan where the page says so. So a
wrong code, a forgotten parameter or an entry that belongs to nothing fails whichever test makes it.

Import them into a conftest.py: `from tests.lab.message_lint import audit_lint, message_lint`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from twokey.core.audit import AuditEntry
from twokey.core.errors import Message
from twokey.core.texts import LANGUAGES
from twokey.words import word

_PAGE = Path(__file__).parents[2] / "docs/reference/audit-actions.md"
_OF_A_PLAN = ("A plan and its keys", "A run")
# entries about plans that were never stored, or before one is known
_WITHOUT_A_PLAN = ("preview.refused", "proposal.refused", "run.not_needed", "break_glass.refused", "shown")

_DOUBLES = ("cloud.", "some.")  # codes of the test doubles: nobody reads them
_ATTACKS = ("tampered",)  # what a test writes into the store directly


@pytest.fixture(autouse=True)
def message_lint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that made a message without words, or without all of the words' parameters."""
    yield from _watched(monkeypatch, Message, _message_faults)


@pytest.fixture(autouse=True)
def audit_lint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that made an audit entry which the reference does not know in this form."""
    yield from _watched(monkeypatch, AuditEntry, _entry_faults)


def _watched(
    monkeypatch: pytest.MonkeyPatch, noun: type[Any], look: Callable[[Any], Iterator[str]]
) -> Iterator[None]:
    faults: list[str] = []
    _watch(monkeypatch, noun, lambda made: faults.extend(look(made)))
    yield
    assert not faults, "\n".join(dict.fromkeys(faults))


def _watch(monkeypatch: pytest.MonkeyPatch, noun: type[Any], look: Callable[[Any], None]) -> None:
    made = noun.__init__

    @functools.wraps(made)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        look(self)

    monkeypatch.setattr(noun, "__init__", init)


def _message_faults(said: Message) -> Iterator[str]:
    if isinstance(said.code, str) and said.code.startswith(_DOUBLES):
        return
    for language in LANGUAGES:
        words = word(said.code, language) if isinstance(said.code, str) else said.code
        if not isinstance(words, str) or words == said.code:
            yield f"{said.code!r} has no words in {language}"
            continue
        wanted = {name for _, name, _, _ in Formatter().parse(words) if name}
        if missing := wanted - said.params.keys():
            yield f"{said.code} is said without {', '.join(sorted(missing))}"
    for name, value in said.params.items():
        if value == "None" or (not value and name in ("person", "plan", "incident")):
            yield f"{said.code} is said with {name}={value!r}"


@functools.cache
def _actions() -> dict[str, tuple[str, str]]:
    """Return each action with the section it stands in and who may be its actor."""
    known = {}
    section = ""
    for line in _PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        elif found := re.match(r"\| (`[^|]+) \| ([^|]+) \|", line):
            for name in re.findall(r"`([^`]+)`", found[1]):
                known[name] = (section, found[2].strip())
    return known


def _entry_faults(entry: AuditEntry) -> Iterator[str]:
    if entry.action in _ATTACKS or entry.actor.id == "system:test":
        return
    if entry.action not in _actions():
        yield f"{entry.action!r} is no action of the reference"
        return
    section, actors = _actions()[entry.action]
    actor = entry.actor.id
    if isinstance(actor, str) and actor.startswith("system:"):
        is_one = any(actor.startswith(one.rstrip("…")) for one in re.findall(r"`(system:[^`]+)`", actors))
    else:
        is_one = isinstance(actor, str) and actor != "None" and "person" in actors
    if not is_one:
        yield f"{entry.action} was done by {actor!r} ({entry.actor.account}), and the reference says {actors}"
    if section in _OF_A_PLAN and not entry.plan_id and entry.action not in _WITHOUT_A_PLAN:
        yield f"{entry.action} belongs to no plan"
    for name, value in entry.data.items():
        if name != name.lower() or value is None:
            yield f"{entry.action} keeps {name}={value!r}"
