"""A group of commands that are imported when they run: a list of them needs only their lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperGroup


class LazyCommand(NamedTuple):
    """A command or group: its name, where it is (module of twokey.cli and attribute), and its line in --help."""

    name: str
    where: str
    about: str


class LazyGroup(TyperGroup):
    """The group of `lines`: `--help` lists them without importing any."""

    lines: ClassVar[tuple[LazyCommand, ...]] = ()

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands: Any = _Loaded(self.lines)  # read only: nobody adds to it

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the lines, without loading anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(command.name, command.about) for command in self.lines])


class _Loaded(Mapping[str, Any]):
    """Commands by name; each is made when somebody asks for it."""

    def __init__(self, commands: tuple[LazyCommand, ...]) -> None:
        self._where = {command.name: command.where for command in commands}
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, self._where[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


def _made(name: str, where: str) -> Any:
    module, _, attribute = where.partition(":")
    found = getattr(import_module(f"twokey.cli.{module}"), attribute)
    around = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    around.callback()(lambda: None)  # with one, a lone command stays a command with a name
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name)(found)
    return typer.main.get_group(around).commands[name]
