"""YAML as people review it: every scalar is text, and a file that means more than it shows is refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from twokey.core.errors import Invalid, Json

Data: TypeAlias = "str | list[Data] | dict[str, Data] | None"  # None only for a file with nothing in it
Path: TypeAlias = tuple[str | int, ...]  # mapping keys and list positions, from the top

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 200_000

# libyaml's parser where it was built in: the same events, some twenty times faster.
_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Invisible or reordering characters make a reviewer see another file than the machine does.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_ALLOWED = frozenset("\t\n\r")
_SUSPECT = re.compile(r"[^\t\n\r\x20-\x7e\xa1-\xac\xae-\u05ff\u2010-\u2027\u3000-\u9fff\uff01-\uffef]")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")


@dataclass(frozen=True, slots=True)
class Document:
    """One file, read: `data` is made of dicts, lists and text only; every key and item knows its line."""

    name: str
    data: Data
    _lines: Mapping[Path, int] = field(default_factory=dict, repr=False)
    _plain: frozenset[Path] = field(default_factory=frozenset, repr=False)

    def line(self, path: Path = ()) -> int:
        """Return the line of a key or list item, or of the nearest one above it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def is_plain(self, path: Path) -> bool:
        """Say whether the scalar there was written without quotes."""
        return path in self._plain

    def get(self, path: Path) -> Data:
        """Return what stands at a path; KeyError when nothing does."""
        found = self.data
        for part in path:
            match found, part:
                case dict(), str():
                    found = found[part]
                case list(), int() if part < len(found):
                    found = found[part]
                case _:
                    raise KeyError(path)
        return found

    def json(self, path: Path = ()) -> Json:
        """Return a part as JSON: unquoted true, false, null and numbers have their type."""
        return self._json(self.get(path), path)

    def _json(self, value: Data, path: Path) -> Json:
        if isinstance(value, dict):
            return {key: self._json(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._json(item, (*path, index)) for index, item in enumerate(value)]
        return as_json(value) if value is not None and self.is_plain(path) else value

    def fault(self, code: str, path: Path = (), **params: object) -> Invalid:
        """Make the error that names this file, the line, and the key."""
        return Invalid(code, file=self.name, line=self.line(path), key=dotted(path), **params)


def as_json(text: str) -> Json:
    """Return the JSON value that an unquoted scalar means; a number with a leading zero stays text."""
    fixed: dict[str, Json] = {"true": True, "false": False, "null": None, "~": None, "": None}
    if text in fixed:
        return fixed[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def dotted(path: Path) -> str:
    """Write a path as people do: spec.steps[2].verify."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def load(text: str | bytes, name: str) -> Document:
    """Read one YAML document; refuse the ambiguous, hidden, shared or too big (Invalid, with the line)."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise Invalid("yaml.too_large", file=name, line=1, key="", limit=MAX_BYTES)
    try:
        readable = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Invalid("yaml.not_utf8", file=name, line=line, key="") from None
    found = _hidden_character(readable)
    if found is not None:
        line = readable.count("\n", 0, found) + 1
        character = f"U+{ord(readable[found]):04X}"
        raise Invalid("yaml.character", file=name, line=line, key="", character=character)
    try:
        return _Builder(name).build(yaml.parse(readable, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "not YAML"
        raise Invalid("yaml.syntax", file=name, line=line, key="", problem=problem) from None


def _hidden_character(text: str) -> int | None:
    for match in _SUSPECT.finditer(text):
        if unicodedata.category(match[0]) in _UNSEEN and match[0] not in _ALLOWED:
            return match.start()
    return None


class _Builder:
    """Builds plain data from parser events without recursion, so that depth is ours to limit."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {}
        self.plain: set[Path] = set()
        self.open: list[tuple[dict[str, Data] | list[Data], Path]] = []
        self.key: list[tuple[str, int] | None] = []  # for each open mapping: the key that waits for its value
        self.documents = 0
        self.nodes = 0
        self.root: Data = None

    def build(self, events: Iterator[yaml.Event]) -> Document:
        for event in events:
            self.take(event, event.start_mark.line + 1 if event.start_mark else 1)
        return Document(self.name, self.root, self.lines, frozenset(self.plain))

    def take(self, event: yaml.Event, line: int) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self.fault("yaml.several_documents", line)
            if event.version or event.tags:
                raise self.fault("yaml.directive", line)
        elif isinstance(event, yaml.AliasEvent):
            raise self.fault("yaml.alias", line, alias=event.anchor)
        elif isinstance(event, yaml.NodeEvent):
            self.refuse_extras(event, line)
            if isinstance(event, yaml.ScalarEvent):
                self.scalar(event, line)
            else:
                self.container({} if isinstance(event, yaml.MappingStartEvent) else [], line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.open.pop()
            self.key.pop()

    def refuse_extras(self, event: yaml.NodeEvent, line: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.fault("yaml.too_many", line, limit=MAX_NODES)
        if event.anchor is not None:
            raise self.fault("yaml.anchor", line, anchor=event.anchor)
        if getattr(event, "tag", None) is not None:
            raise self.fault("yaml.tag", line, tag=getattr(event, "tag", ""))

    def scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        text = str(event.value)
        hidden = _hidden_character(text)  # an escape such as "\e" or "\u202e" made it after the first look
        if hidden is not None:
            raise self.fault("yaml.character", line, character=f"U+{ord(text[hidden]):04X}")
        if self.open and isinstance(self.open[-1][0], dict) and self.key[-1] is None:
            self.begin_key(text, line)
            return
        path = self.place(text, line)
        if not event.style:
            self.plain.add(path)

    def begin_key(self, text: str, line: int) -> None:
        mapping, path = self.open[-1]
        if not text:
            raise self.fault("yaml.key_not_text", line)
        if text == "<<":
            raise self.fault("yaml.merge_key", line)
        if text in mapping:
            full = (*path, text)
            first = self.lines[full]
            raise Invalid("yaml.duplicate_key", file=self.name, line=line, key=dotted(full), first_line=first)
        self.key[-1] = (text, line)

    def container(self, value: dict[str, Data] | list[Data], line: int) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise self.fault("yaml.too_deep", line, limit=MAX_DEPTH)
        if self.open and isinstance(self.open[-1][0], dict) and self.key[-1] is None:
            raise self.fault("yaml.key_not_text", line)
        path = self.place(value, line)
        self.open.append((value, path))
        self.key.append(None)

    def place(self, value: Data, line: int) -> Path:
        if not self.open:
            self.root = value
            self.lines[()] = line
            return ()
        holder, path = self.open[-1]
        if isinstance(holder, list):
            full: Path = (*path, len(holder))
            holder.append(value)
        else:
            waiting = self.key[-1]
            assert waiting is not None  # scalar() and container() have looked
            key, line = waiting
            full = (*path, key)
            holder[key] = value
            self.key[-1] = None
        self.lines[full] = line
        return full

    def fault(self, code: str, line: int, **params: object) -> Invalid:
        path: Path = ()
        if self.open:
            holder, path = self.open[-1]
            waiting = self.key[-1]
            if isinstance(holder, list):
                path = (*path, len(holder))
            elif waiting is not None:
                path = (*path, waiting[0])
        return Invalid(code, file=self.name, line=line, key=dotted(path), **params)
