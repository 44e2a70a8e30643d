"""What runbooks may name: the actions, checks and parameter types of the clouds that are loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from twokey.catalog.schema import Part, shown
from twokey.core.errors import Json
from twokey.ports import Action, Check, Cloud

_DURATION = re.compile(r"[1-9][0-9]{0,5}[smhd]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,14})")


@dataclass(frozen=True)
class Registry:
    """The closed set of names, over all clouds that are loaded."""

    clouds: Mapping[str, Cloud]

    @cached_property
    def actions(self) -> dict[str, Action]:
        """Return every action by name."""
        return {name: action for cloud in self.clouds.values() for name, action in cloud.actions.items()}

    @cached_property
    def checks(self) -> dict[str, Check]:
        """Return every check by name."""
        return {name: check for cloud in self.clouds.values() for name, check in cloud.checks.items()}

    @cached_property
    def types(self) -> dict[str, str]:
        """Return every parameter type with the regular expression that the whole text must match."""
        return {
            name: regex for cloud in self.clouds.values() for name, regex in cloud.parameter_types.items()
        }

    def param_types(self) -> frozenset[str]:
        """Return the names that `type:` of a parameter may have; the plural of a type is a list of it."""
        single = {"text", *self.types}
        return frozenset({"bool", *single, *(f"{name}s" for name in single)})

    def literal(self, part: Part, type_name: str) -> Json:
        """Return what is written in a file as a value of a type; `${{ }}` references stay text."""
        kind = type_name.removesuffix("?")
        if has_reference(part.value) and isinstance(part.value, str):
            return part.value
        if isinstance(part.value, list) and kind != "json":
            item_kind = "text" if kind == "list" else kind.removesuffix("s")
            is_list = kind not in self.types and (item_kind == "text" or item_kind in self.types)
            if kind != "list" and not is_list:
                part.fault("runbook.value_type", type=kind, value=shown(part.value))
                return None
            return [self.literal(item, item_kind) for item in part.items()]
        if kind in ("mapping", "json"):
            return cast("Json", part.value)  # text all through: the digest does not know what was in quotes
        if not isinstance(part.value, str):
            part.fault("runbook.value_type", type=kind, value=shown(part.value))
            return None
        return self._scalar(part, part.value, kind)

    def _scalar(self, part: Part, text: str, kind: str) -> Json:
        if kind == "bool" and text in ("true", "false"):
            return text == "true"
        if kind == "int" and _INTEGER.fullmatch(text):
            return int(text)
        if kind == "duration" and _DURATION.fullmatch(text):
            return text
        if kind == "text" and text:
            return text
        if kind in self.types and re.fullmatch(self.types[kind], text):
            return text
        part.fault("runbook.value_type", type=kind, value=shown(text))
        return None


def has_reference(value: object) -> bool:
    """Say whether text holds the beginning of a `${{ }}` reference."""
    return isinstance(value, str) and "${{" in value
