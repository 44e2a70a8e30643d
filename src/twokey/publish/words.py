"""Values as people read them in a post-mortem: times in two zones, durations, labels, names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TypeAlias
from zoneinfo import ZoneInfo

from markupsafe import Markup

from twokey.core.errors import Json, Message
from twokey.core.people import Actor
from twokey.publish.markdown import code, md, ready
from twokey.words import say, word, word_or

Fact: TypeAlias = "bool | int | str | list[Fact] | dict[str, Fact] | None"
_MOST_KNOWN = 4096
Facts: TypeAlias = dict[str, Fact]
"""What a template prints: nothing in it is anything but text that is fit for a page."""


@dataclass(frozen=True)
class PageWords:
    """One language and one local zone."""

    language: str
    zone: ZoneInfo
    names: Mapping[str, str] = field(default_factory=dict)  # person id -> name
    # A timeline says the same few words ten thousand times.
    _labels: dict[tuple[str, str], Markup | None] = field(default_factory=dict, repr=False, compare=False)
    _actors: dict[str, Markup] = field(default_factory=dict, repr=False, compare=False)
    _has: dict[tuple[str, str], bool] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def not_recorded(self) -> str:
        """Return what stands where nothing is known."""
        return word("postmortem.not_recorded", self.language)

    def label(self, kind: str, value: str) -> Markup | None:
        """Return the word for one value of a closed set; a value that has none is shown as it is."""
        if (kind, value) not in self._labels:
            key = f"postmortem.{kind}.{value}"
            known = word_or(key, self.language, "")
            shown = ready(known) if known else code(value)
            self._labels[kind, value] = shown if value else None
        return self._labels[kind, value]

    def has(self, kind: str, value: str) -> bool:
        """Say whether there is a word for this value."""
        known = self._has.get((kind, value))
        if known is None:
            known = bool(word_or(f"postmortem.{kind}.{value}", self.language, ""))
            if len(self._has) < _MOST_KNOWN:  # values can be an attacker's, and as many as they like
                self._has[kind, value] = known
        return known

    def utc(self, at: datetime | None) -> Markup | None:
        """Return a moment in UTC, with its date."""
        return (
            None
            if at is None
            else ready((at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(" ", "seconds")[:19])
        )

    def local(self, at: datetime | None) -> Markup | None:
        """Return a moment in the local zone, with its date and offset."""
        if at is None:
            return None
        there = at.astimezone(self.zone).isoformat(" ", "seconds")
        return ready(f"{there[:19]} {there[19:]}")

    def both(self, at: datetime) -> tuple[Markup, Markup]:
        """Return a moment in UTC and in the local zone: what a timeline does ten thousand times."""
        utc = (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(" ", "seconds")
        there = utc if self.zone.key == "UTC" else at.astimezone(self.zone).isoformat(" ", "seconds")
        return ready(utc[:19]), ready(f"{there[:19]} {there[19:]}")

    def duration(self, took: timedelta | None) -> Markup | None:
        """Return a duration in the units that matter."""
        if took is None:
            return None
        seconds = round(took.total_seconds())
        parts = (seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
        first = next((at for at, amount in enumerate(parts) if amount), 3)
        units = [
            word(f"postmortem.unit.{unit}", self.language) for unit in ("day", "hour", "minute", "second")
        ]
        shown = [
            f"{parts[at]}{units[at]}" for at in range(first, min(first + 2, 4)) if parts[at] or at == first
        ]
        return ready(("" if self.language == "ja" else " ").join(shown))

    def person(self, person_id: str) -> Markup | None:
        """Return a person's name as the roster has it, or the id that is on record."""
        return md(self.names.get(person_id, person_id)) if person_id else None

    def actor(self, actor: Actor) -> Markup:
        """Return who did something: a person's name, or the part of twokey that acted."""
        if actor.id not in self._actors:
            part = actor.id.removeprefix("system:")
            name = md(self.names.get(actor.id, actor.id))
            shown = name if part == actor.id else Markup("twokey (") + md(part) + Markup(")")
            self._actors[actor.id] = shown
        return self._actors[actor.id]

    def message(self, sentence: Message | None) -> Markup | None:
        """Return a message in this language, its parameters escaped."""
        if sentence is None:
            return None
        return ready(say(sentence, self.language, md))

    def pairs(self, values: Mapping[str, Json], most: int = 8) -> Markup | None:
        """Return `name: value` of what was observed, shortened; None when nothing was."""
        shown = [
            Markup("{}: {}").format(md(key, 60), self.value(value))
            for key, value in list(values.items())[:most]
        ]
        if len(values) > most:
            shown.append(ready(f"… (+{len(values) - most})"))
        return Markup(", ").join(shown) if shown else None

    def counts(self, blast: Mapping[str, int]) -> Markup | None:
        """Return a blast radius in words; None when nothing was counted."""
        shown = [
            (self.label("blast", scope) or Markup("")) + ready(f": {count}") for scope, count in blast.items()
        ]
        return Markup(", ").join(shown) if shown else None

    def value(self, value: Json) -> Markup:
        """Return one recorded value."""
        if value is None or value == "":
            return ready(self.not_recorded)
        if isinstance(value, bool):
            return ready(word(f"postmortem.bool.{str(value).lower()}", self.language))
        if isinstance(value, list):
            shown = [self.value(item) for item in value[:5]]
            more = [ready(f"… (+{len(value) - 5})")] if len(value) > 5 else []
            return Markup(", ").join(shown + more) if shown else Markup("–")
        if isinstance(value, dict):
            return self.pairs(value, 5) or Markup("–")
        return code(str(value), 200)
