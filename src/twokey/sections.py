"""Reading a section of the settings: a frozen dataclass, a variable for each field, every fault named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)

MIN_SECRET = 32
NO_VARIABLE = {"variable": False}  # metadata of a field that no variable sets


class Secret(str):
    """Text that must not be seen: its repr, and so every log of it, is `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


def variables(section: DataclassInstance, prefix: str) -> dict[str, object]:
    """Return the variable of every field with the value that it has in this section."""
    return {name: getattr(section, field.name) for name, field in _fields(section, prefix)}


def read(section: type[S], prefix: str, environment: Mapping[str, str]) -> tuple[S, list[str]]:
    """Return the section as the variables say, and a fault for each that cannot be read."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for variable, field in _fields(section, prefix):
        if variable not in environment:
            continue
        try:
            values[field.name] = _READERS[str(field.type)](environment[variable])
        except ValueError as fault:
            # A secret's value is never repeated, not even a wrong one.
            faults.append(f"{variable}: {fault}")
    return section(**values), faults


def _fields(
    section: DataclassInstance | type[DataclassInstance], prefix: str
) -> Iterator[tuple[str, Field[Any]]]:
    for field in fields(section):
        if field.metadata.get("variable", True):
            yield f"{prefix}{field.name.upper()}", field


def named_secrets(pairs: tuple[str, ...]) -> dict[str, Secret]:
    """Read `<name>=<secret>` pairs."""
    parts = (pair.partition("=") for pair in pairs)
    # Without a name the whole text is the secret: it must not be told as a name.
    return {name if sep else "": Secret(secret or name) for name, sep, secret in parts}


def short_secrets(variable: str, secrets: Mapping[str, Secret]) -> list[str]:
    """Name every pair of a variable that has no name, or a secret that is too short."""
    return [
        f"{variable}: {name or '(no name)'}: <name>=<{MIN_SECRET} or more characters> is wanted"
        for name, secret in secrets.items()
        if not name or len(secret) < MIN_SECRET
    ]


def host_of(address: str) -> str:
    """Return the host of an address, and its port where it says one: what may be shown, whatever else stands in it."""
    try:
        parts = urlsplit(address)
        return f"{parts.hostname or '?'}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "?"


def is_at(address: str, *hosts: str) -> bool:
    """Say whether an address is of one of these hosts, by TLS, on its usual port, and names nobody."""
    try:
        parts = urlsplit(address)
        is_plain = parts.port in (None, 443) and parts.username is None and not parts.query
    except ValueError:
        return False
    return parts.scheme == "https" and is_plain and (parts.hostname or "") in hosts


def _yes_or_no(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("true or false is wanted")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number is wanted") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number is wanted") from None


def _several(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_READERS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": _whole,
    "float": _number,
    "bool": _yes_or_no,
    "Path": Path,
    "Secret": Secret,
    "tuple[str, ...]": _several,
}
