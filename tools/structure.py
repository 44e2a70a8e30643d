"""Print how the rooms of the flow and the chat import each other; exit 1 on a circle, or an arrow back up.

A room is a module or folder directly inside a package; an arrow is one room that imports another. What is up and
what is down is said by the `layers` contracts in pyproject.toml.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).resolve().parents[1]
MEASURED = (
    *("twokey.flow", "twokey.chat.delivery"),
    *("twokey.chat.slack", "twokey.chat.slack.inbound", "twokey.chat.slack.views"),
)
Arrows = Mapping[str, frozenset[str]]  # room -> the rooms that it imports


@dataclass(frozen=True, slots=True)
class Structure:
    """What was measured of one package."""

    package: str
    files: int
    arrows: Arrows
    layers: Sequence[frozenset[str]]  # from the top
    circles: Sequence[Sequence[str]]  # of rooms, and of files anywhere below

    @property
    def back_up(self) -> list[tuple[str, str]]:
        """Return the arrows to a room on the same floor or a higher one."""
        floors = {room: floor for floor, rooms in enumerate(self.layers) for room in rooms}
        return [
            (one, other)
            for one, others in sorted(self.arrows.items())
            for other in sorted(others)
            if one in floors and other in floors and floors[other] <= floors[one]
        ]

    def line(self) -> str:
        """Return the figures as a line of the table."""
        arrows = sum(map(len, self.arrows.values()))
        return (
            f"{self.package:<28}{len(self.arrows):>3} rooms {self.files:>4} files {len(self.layers):>3} floors"
            f" {arrows:>4} arrows, {len(self.back_up)} back up, {len(self.circles)} circles"
        )


def structure_of(graph: Any, package: str, layers: Sequence[frozenset[str]]) -> Structure:
    """Measure one package."""
    rooms = {str(room) for room in graph.find_children(package)}
    files = {package, *map(str, graph.find_descendants(package))}
    imports = {one: frozenset(graph.find_modules_directly_imported_by(one)) & files for one in files}
    arrows = {
        room.rpartition(".")[2]: frozenset(
            other.rpartition(".")[2]
            for other in rooms - {room}
            if any(_is_in(target, other) for one in files if _is_in(one, room) for target in imports[one])
        )
        for room in rooms
    }
    return Structure(package, len(files), arrows, layers, [*circles(arrows), *circles(imports)])


def circles(arrows: Arrows) -> list[list[str]]:
    """Return the groups in which each reaches each other."""
    reached = {one: _reached(one, arrows) for one in arrows}
    groups = {frozenset(other for other in reached[one] if one in reached[other]) for one in arrows}
    return sorted(sorted(group) for group in groups if group)


def layers_of(package: str, contracts: Iterable[Mapping[str, Any]]) -> list[frozenset[str]]:
    """Return the floors of a package's rooms, from the top, as its contract says; it must have one."""
    (contract,) = (
        one for one in contracts if one["type"] == "layers" and package in one.get("containers", ())
    )
    return [frozenset(name.strip(" ()") for name in line.split("|")) for line in contract["layers"]]


def _reached(start: str, arrows: Arrows) -> set[str]:
    found: set[str] = set()
    ahead = [*arrows.get(start, ())]
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += arrows.get(one, ())
    return found


def _is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def main() -> int:
    """Measure, print, and say whether all is well."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    graph = grimp.build_graph("twokey", cache_dir=None)
    found = [structure_of(graph, package, layers_of(package, contracts)) for package in MEASURED]
    for one in found:
        print(one.line())
        for here, there in one.back_up:
            print(f"    back up: {here} imports {there}")
        for circle in one.circles:
            print(f"    circle: {' -> '.join(circle)}")
    return 1 if any(one.back_up or one.circles for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
