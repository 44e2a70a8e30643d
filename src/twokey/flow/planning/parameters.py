"""Parameters: what a person gave or the incident says, each checked against its type."""

from __future__ import annotations

import re
from collections.abc import Mapping

from twokey.core.errors import Invalid, Json, Refused
from twokey.core.runbooks import Runbook


def parameters(
    runbook: Runbook, given: Mapping[str, Json], sources: Mapping[str, Json], types: Mapping[str, str]
) -> dict[str, Json]:
    """Return every parameter of a runbook: as given, else from the incident or the settings, else its default."""
    known = {param.name for param in runbook.params}
    for name in given:
        if name not in known:
            raise Invalid(
                "plan.unknown_param", param=name, runbook=runbook.id, known=", ".join(sorted(known))
            )
    params: dict[str, Json] = {}
    for param in runbook.params:
        value = given.get(param.name)
        if value in (None, "") and param.source:
            value = dict(sources)
            for part in param.source.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if value in (None, ""):
            value = param.default
        if value in (None, "", []):
            if param.required:
                raise Refused(
                    "refused.param_missing",
                    param=param.name,
                    runbook=runbook.id,
                    source=param.source or "-",
                )
            params[param.name] = None
            continue
        params[param.name] = typed_value(value, param.type, types, param.name)
    return params


def typed_value(value: Json, type_name: str, types: Mapping[str, str], name: str) -> Json:
    """Return a parameter's value checked against its type; a list type is the plural of its item's."""
    if type_name == "bool":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise Invalid("plan.param_type", param=name, type=type_name, value=str(value)[:80])
    single = type_name.removesuffix("s")
    if type_name not in types and type_name != single and (single in types or single == "text"):
        items = value if isinstance(value, list) else [part.strip() for part in str(value).split(",")]
        return [typed_value(item, single, types, name) for item in items if item != ""]
    pattern = types.get(type_name, r"[^\x00-\x1f]{1,1000}" if type_name == "text" else "")
    if not isinstance(value, str) or not pattern or not re.fullmatch(pattern, value):
        raise Invalid("plan.param_type", param=name, type=type_name, value=str(value)[:80])
    return value
