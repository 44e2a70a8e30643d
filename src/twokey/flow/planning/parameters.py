"""Parameters: what a person gave, or the incident or the settings say, each checked against its type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from twokey.core.errors import Invalid, Json, Message, Refused, message
from twokey.core.runbooks import Param, Plan, Provenance, Runbook


@dataclass(frozen=True, slots=True)
class Given:
    """What a plan is made from: what a person gave, and what the incident said when the plan was first made."""

    by_person: Mapping[str, Json] = field(default_factory=dict)
    kept: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every parameter of a runbook with its value, and who it is from."""

    values: Mapping[str, Json]
    provenance: Mapping[str, str]
    warnings: tuple[Message, ...] = ()  # what the incident says where a person says otherwise


def given_before(plan: Plan) -> Given:
    """Return what a plan was made from, so that the same plan can be made again.

    What a person gave is given again and the settings are read anew. What the incident said is kept: signals go
    on arriving, and may not change what people agreed to.
    """
    if (
        not plan.provenance
    ):  # of a version that did not know: nothing in it may come from the settings by hand
        return Given(by_person=plan.params)

    def of(source: Provenance) -> dict[str, Json]:
        return {name: value for name, value in plan.params.items() if plan.provenance.get(name) == source}

    return Given(of(Provenance.PERSON), of(Provenance.INCIDENT))


def parameters(
    runbook: Runbook, given: Given, sources: Mapping[str, Json], types: Mapping[str, str]
) -> Parameters:
    """Return every parameter of a runbook: as given, else from the incident or the settings, else its default."""
    known = {param.name for param in runbook.params}
    for name in given.by_person:
        if name not in known:
            raise Invalid(
                "plan.unknown_param", param=name, runbook=runbook.id, known=", ".join(sorted(known))
            )
    values: dict[str, Json] = {}
    provenance: dict[str, str] = {}
    warnings: list[Message] = []
    for param in runbook.params:
        said = _looked_up(param, sources)
        value, source = _value(param, runbook, given, said, types)
        values[param.name], provenance[param.name] = value, source.value
        if source is Provenance.PERSON and not _is_empty(said):
            text = ", ".join(map(str, said)) if isinstance(said, list) else str(said)
            warnings.append(message("plan.param_said_otherwise", param=param.name, said=text[:300]))
    return Parameters(values, provenance, tuple(warnings))


def _value(
    param: Param, runbook: Runbook, given: Given, said: Json, types: Mapping[str, str]
) -> tuple[Json, Provenance]:
    """Return a parameter's value and whose it is; what somebody gives that was so anyway is not theirs."""
    name, is_config = param.name, param.source.startswith("config.")
    from_source = Provenance.CONFIG if is_config else Provenance.INCIDENT
    by_person, kept = given.by_person.get(name), given.kept.get(name)
    if not _is_empty(by_person):
        value = typed_value(by_person, param.type, types, name)
        if _is_same(value, said, param, types):
            return value, from_source
        if _is_empty(said) and _is_same(value, param.default, param, types):
            return value, Provenance.DEFAULT
        if is_config and not param.may_override:
            raise Refused(
                "refused.param_from_settings",
                param=name,
                runbook=runbook.id,
                setting=param.source,
                value=str(by_person)[:200],
            )
        return value, Provenance.PERSON
    if not _is_empty(kept) and not is_config:
        value = typed_value(kept, param.type, types, name)
        still = _is_same(value, said, param, types) or (
            isinstance(value, list) and isinstance(said, list) and all(item in said for item in value)
        )
        return value, Provenance.INCIDENT if still else Provenance.PERSON
    if not _is_empty(said):
        return typed_value(said, param.type, types, name), from_source
    if not _is_empty(param.default):
        return typed_value(param.default, param.type, types, name), Provenance.DEFAULT
    if param.required:
        raise Refused("refused.param_missing", param=name, runbook=runbook.id, source=param.source or "-")
    return None, Provenance.DEFAULT


def _looked_up(param: Param, sources: Mapping[str, Json]) -> Json:
    if not param.source:
        return None
    value: Json = dict(sources)
    for part in param.source.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _is_empty(value: Json) -> bool:
    return value is None or value in ("", [])


def _is_same(value: Json, said: Json, param: Param, types: Mapping[str, str]) -> bool:
    """Say whether a value is what the incident or the settings say, once both are read as the same type."""
    if _is_empty(said):
        return False
    try:
        return typed_value(said, param.type, types, param.name) == value
    except Invalid:
        return False


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
