"""Read a runbook file: every fault is noted with file, line and key, and only a faultless one loads."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from twokey.catalog.approval_profiles import read_approval
from twokey.catalog.least_risk import is_final, least_risks
from twokey.catalog.references import INCIDENT_FACTS, ReferenceScope
from twokey.catalog.registry import Registry
from twokey.catalog.runbook_calls import CallReader
from twokey.catalog.runbook_documents import ROOT_ID
from twokey.catalog.runbook_steps import StepReader
from twokey.catalog.schema import Part, shown, top
from twokey.catalog.strict_yaml import dotted, load
from twokey.core.errors import Invalid, Json
from twokey.core.runbooks import CheckCall, Param, Risk, Runbook, Step, canonical, highest
from twokey.ports import Cloud

API_VERSION = "twokey.dev/v1"
ID = r"[a-z]+\.[a-z0-9-]+"
VERSION = r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})"
NAME = r"[a-z][a-z0-9_]{0,63}"
APPLIES_TO = ("customer-side", "shared", "undetermined")
TRIGGER_KEYS = "source"
TRIGGER_OPTIONAL = "type type_prefix event_type_code service family resource_type label"

_SPEC = "provider risk reversible steps"
_SPEC_OPTIONAL = (
    "applies_to evidence break_glass triggers params approval blast_radius guards undo description"
)
_SOURCE = re.compile(rf"incident\.({'|'.join(sorted(INCIDENT_FACTS))})|config(\.{NAME})+")
# References are looked for where the flow resolves them, and refused everywhere else.
_MAY_REFER = re.compile(
    r"spec\.(steps\[\d+\]\.(with|pre|verify|undo|when|for_each)"
    r"|guards\[\d+\]\.with|approval\.typed_confirmation)\b.*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ParseResult:
    """A runbook file as read: the runbook when nothing was wrong, else every fault.

    Notes are no faults: where the runbook that was read is stricter than the file says.
    """

    name: str
    runbook: Runbook | None
    faults: tuple[Invalid, ...]
    notes: tuple[Invalid, ...] = ()


def load_runbook(text: str | bytes, name: str, folder: Path, clouds: Mapping[str, Cloud]) -> Runbook:
    """Return a runbook; raise the first of its faults."""
    reading = read_runbook(text, name, folder, clouds)
    if reading.runbook is None:
        raise reading.faults[0]
    return reading.runbook


def read_runbook(text: str | bytes, name: str, folder: Path, clouds: Mapping[str, Cloud]) -> ParseResult:
    """Read a runbook file, named by its path; `folder` holds the `documents` that it may name."""
    try:
        doc = load(text, name)
    except Invalid as error:
        return ParseResult(name, None, (error,))
    faults: list[Invalid] = []
    whole = top(doc, faults)
    reader = _Reader(whole, Registry(clouds), folder)
    runbook = reader.runbook()
    faults.sort(key=lambda fault: int(fault.message.params["line"]))
    return ParseResult(name, None if faults else runbook, tuple(faults), tuple(reader.notes))


class _Reader:
    """One pass over one file."""

    def __init__(self, whole: Part, registry: Registry, folder: Path) -> None:
        self.whole = whole
        self.registry = registry
        self.folder = folder
        self.notes: list[Invalid] = []

    def runbook(self) -> Runbook:
        _refuse_anywhere(self.whole)
        found = self.whole.fields(required="apiVersion kind metadata spec")
        if "apiVersion" in found:
            found["apiVersion"].choice(API_VERSION)
        if "kind" in found:
            found["kind"].choice("Runbook")
        meta = self.metadata(found["metadata"]) if "metadata" in found else {}
        spec = found["spec"].fields(_SPEC, _SPEC_OPTIONAL) if "spec" in found else {}
        return self.spec(meta, spec)

    def metadata(self, part: Part) -> dict[str, str | tuple[str, ...]]:
        found = part.fields("id version title owners", "references description")
        stem = Path(part.doc.name).name.removesuffix(".yaml")
        out: dict[str, str | tuple[str, ...]] = {}
        if "id" in found:
            out["id"] = found["id"].text(ID)
            if out["id"] and out["id"] != stem:
                found["id"].fault("runbook.id_not_file_name", id=out["id"], stem=shown(stem))
        if "version" in found:
            out["version"] = found["version"].text(VERSION)
        if "title" in found:
            out["title"] = found["title"].text(r"[^\n]{1,150}")
        if "owners" in found:
            out["owners"] = found["owners"].texts()
            if not out["owners"]:
                found["owners"].fault("schema.empty")
        if "references" in found:
            out["references"] = tuple(_reference(item) for item in found["references"].items())
        if "description" in found:
            found["description"].text()
        return out

    def spec(self, meta: Mapping[str, str | tuple[str, ...]], spec: dict[str, Part]) -> Runbook:
        provider = self.provider(meta, spec.get("provider"))
        declared = spec["risk"].one_of(Risk) if "risk" in spec else Risk.CRITICAL
        reversible = spec["reversible"].choice("full", "partial", "none") if "reversible" in spec else "none"
        params = (
            tuple(self.param(name, p) for name, p in spec["params"].entries()) if "params" in spec else ()
        )
        if "params" in spec and provider:
            self.names_its_scope(spec["params"], params, provider)
        scope = ReferenceScope({param.name: param.type for param in params})
        calls = CallReader(self.registry, self.folder, provider)
        steps = StepReader(calls, scope).steps(spec["steps"]) if "steps" in spec else ()
        blast_scope, blast_max = self.blast(spec.get("blast_radius"), steps)
        mode, budget = self.evidence(spec.get("evidence"))
        break_glass = spec["break_glass"].boolean() if "break_glass" in spec else False
        if "undo" in spec:
            undo = spec["undo"].fields("", "order requires")
            if "order" in undo:
                undo["order"].choice("reverse")
            if "requires" in undo:
                undo["requires"].choice("approval")
        risk = self.raised(spec, declared, steps)
        self.risk_fits(spec, declared, reversible, steps)
        if break_glass:
            self.may_break_glass(spec["break_glass"], risk, reversible, steps)
        return Runbook(
            id=str(meta.get("id", "")),
            version=str(meta.get("version", "")),
            digest=self.digest(calls.documents),
            title=str(meta.get("title", "")),
            provider=provider,
            risk=risk,
            reversible=reversible,
            steps=steps,
            params=params,
            guards=self.guards(spec.get("guards"), calls, scope),
            approval=read_approval(spec.get("approval"), risk, scope),
            applies_to=self.applies_to(spec.get("applies_to")),
            triggers=self.triggers(spec.get("triggers")),
            blast_scope=blast_scope,
            blast_max=blast_max,
            evidence_mode=mode,
            evidence_budget_s=budget,
            break_glass=break_glass,
            owners=tuple(meta.get("owners", ())),
            references=tuple(meta.get("references", ())),
            documents={name: content.decode() for name, content in calls.documents.items()},
            path=self.whole.doc.name,
        )

    def digest(self, contents: Mapping[str, bytes]) -> str:
        """Return SHA-256 over what the file says, however laid out, and over the bytes of its documents."""
        documents = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        content = {"runbook": self.whole.doc.data, "documents": documents}
        return hashlib.sha256(canonical(content)).hexdigest()

    def provider(self, meta: Mapping[str, object], part: Part | None) -> str:
        if part is None:
            return ""
        if not isinstance(part.value, str) or part.value not in self.registry.clouds:
            part.unknown("runbook.provider_unknown", shown(part.value), self.registry.clouds)
            return ""
        if meta.get("id") and not str(meta["id"]).startswith(part.value + "."):
            part.fault("runbook.provider_not_id", provider=part.value, id=meta["id"])
        if not self.registry.clouds[part.value].scope_parameters:
            part.fault("runbook.cloud_without_scope", provider=part.value)
        return part.value

    def names_its_scope(self, part: Part, params: tuple[Param, ...], provider: str) -> None:
        """Note a parameter that says where to act, and would not say who may approve: only a scope's name does."""
        names = self.registry.clouds[provider].scope_parameters
        types = [f"{provider}.{name}" for name in names]
        is_named = any(param.name in names for param in params)
        places = dict(part.entries()) if params else {}
        for param in params:
            place = places[param.name]
            if param.name in names and param.type not in ("", f"{provider}.{param.name}"):
                place.fault("runbook.scope_type", param=param.name, type=f"{provider}.{param.name}")
            elif not is_named and param.type in (*types, *(f"{kind}s" for kind in types)):
                place.fault("runbook.scope_not_named", param=param.name, names=", ".join(names))

    def param(self, name: str, part: Part) -> Param:
        if not re.fullmatch(NAME, name):
            part.fault("schema.not_matching", value=shown(name), pattern=NAME)
        found = part.fields("type", "required default from may_override description")
        kind = found["type"].text() if "type" in found else ""
        if kind and kind not in self.registry.param_types():
            found["type"].unknown("runbook.type_unknown", kind, self.registry.param_types())
            kind = ""
        source = found["from"].text() if "from" in found else ""
        if source and not _SOURCE.fullmatch(source):
            facts = ", ".join(sorted(INCIDENT_FACTS))
            found["from"].fault("runbook.source_unknown", value=shown(source), facts=facts)
        default: Json = None
        if "default" in found and kind:
            default = self.registry.literal(found["default"], kind)
        required = found["required"].boolean() if "required" in found else False
        may_override = found["may_override"].boolean() if "may_override" in found else False
        if may_override and not source.startswith("config."):
            found["may_override"].fault("runbook.override_of_nothing", param=shown(name))
        return Param(name, kind, required, default, source, may_override)

    def guards(self, part: Part | None, calls: CallReader, scope: ReferenceScope) -> tuple[CheckCall, ...]:
        guards: list[CheckCall] = []
        for item in part.items() if part else []:
            guard = calls.guard(item, scope)
            if any(guard.id == other.id for other in guards):
                item.at("id", guard.id).fault("runbook.duplicate_id", id=shown(guard.id))
            guards.append(guard)
        return tuple(guards)

    def applies_to(self, part: Part | None) -> tuple[str, ...]:
        return tuple(item.choice(*APPLIES_TO) for item in part.items()) if part else APPLIES_TO[:1]

    def triggers(self, part: Part | None) -> tuple[Mapping[str, Json], ...]:
        if part is None:
            return ()
        return tuple(
            {name: value.text() for name, value in item.fields(TRIGGER_KEYS, TRIGGER_OPTIONAL).items()}
            for item in part.items()
        )

    def evidence(self, part: Part | None) -> tuple[str, float]:
        found = part.fields("mode", "budget") if part else {}
        mode = found["mode"].choice("before", "parallel") if "mode" in found else "before"
        return mode, found["budget"].duration(3600.0) if "budget" in found else 600.0

    def blast(self, part: Part | None, steps: tuple[Step, ...]) -> tuple[tuple[str, ...], dict[str, int]]:
        if part is None:
            if any(step.effect.is_write for step in steps):
                self.whole.at("spec", None).fault("schema.missing_key", missing="blast_radius")
            return (), {}
        found = part.fields("max", "scope")
        limits = {
            name: item.integer(1, 10_000) for name, item in (found["max"].entries() if "max" in found else [])
        }
        if "max" in found and not limits:
            found["max"].fault("schema.empty")
        return found["scope"].texts() if "scope" in found else tuple(limits), limits

    def raised(self, spec: dict[str, Part], declared: Risk, steps: tuple[Step, ...]) -> Risk:
        """Return the higher of what the author says and what the steps are, noting the step that raises it."""
        least = least_risks(steps, self.registry.actions)
        risk = highest([declared, *(own for _, own in least)])
        if risk is not declared and "risk" in spec:
            step = next(step.id for step, own in least if own is risk)
            part = spec["risk"]
            self.notes.append(part.doc.fault("runbook.risk_raised", part.path, risk=risk.value, step=step))
        return risk

    def risk_fits(
        self, spec: dict[str, Part], declared: Risk, reversible: str, steps: tuple[Step, ...]
    ) -> None:
        """Note claims that the steps belie: reversible, less than critical."""
        organisation = _organisation_wide(steps)
        final = next((step.id for step in steps if is_final(step, self.registry.actions)), "")
        if organisation and declared is not Risk.CRITICAL and "risk" in spec:
            spec["risk"].fault("runbook.risk_too_low", step=organisation)
        if reversible == "full" and final and "reversible" in spec:
            spec["reversible"].fault("runbook.not_reversible", step=final)
        if reversible == "none" and declared is not Risk.CRITICAL and "risk" in spec:
            spec["risk"].fault("runbook.irreversible_not_critical")

    def may_break_glass(self, part: Part, risk: Risk, reversible: str, steps: tuple[Step, ...]) -> None:
        """Note a way for one person alone where there is none."""
        if reversible == "none" or any(is_final(step, self.registry.actions) for step in steps):
            part.fault("runbook.break_glass_irreversible")
        elif risk is Risk.CRITICAL or _organisation_wide(steps):
            part.fault("runbook.break_glass_critical")


def _organisation_wide(steps: Iterable[Step]) -> str:
    """Return the first step that changes the organisation itself, "" when none does."""
    return next((step.id for step in steps if step.effect.is_write and is_organisation_wide(step.action)), "")


def is_organisation_wide(action: str) -> bool:
    """Say whether an action changes the organisation's own tree or policies, by its name."""
    service = action.split(".")[1] if action.count(".") >= 2 else ""
    return service.replace("_", "") in ("organizations", "managementgroups")


def _reference(part: Part) -> str:
    if isinstance(part.value, str):
        return part.text()
    found = part.fields("name", "url")
    texts = [found[name].text() for name in ("name", "url") if name in found]
    return " ".join(texts)


def _refuse_anywhere(part: Part) -> None:
    """Note what is refused wherever it stands: a Root id, and a reference where nothing would resolve it."""
    if isinstance(part.value, dict):
        for name, value in part.value.items():
            if ROOT_ID.search(name):
                part.at(name, value).fault("runbook.root_literal", value=shown(name))
            _refuse_anywhere(part.at(name, value))
    elif isinstance(part.value, list):
        for index, value in enumerate(part.value):
            _refuse_anywhere(part.at(index, value))
    elif isinstance(part.value, str):
        root = ROOT_ID.search(part.value)
        if root:
            part.fault("runbook.root_literal", value=root[0])
        if "${{" in part.value and not _MAY_REFER.fullmatch(dotted(part.path)):
            part.fault("runbook.reference_misplaced")
