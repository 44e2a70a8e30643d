"""Read what a runbook calls: known actions and checks only, each with the inputs that it declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twokey.catalog.references import ReferenceScope, check_references, whole
from twokey.catalog.registry import Registry
from twokey.catalog.runbook_documents import read_document
from twokey.catalog.schema import Part
from twokey.core.errors import Json
from twokey.core.runbooks import CheckCall

GUARD_ID = r"[a-z][a-z0-9_-]{0,63}"


@dataclass
class CallReader:
    """Reads the calls of one runbook, and keeps the documents that they name."""

    registry: Registry
    folder: Path
    provider: str
    documents: dict[str, bytes] = field(default_factory=dict)

    def action(self, part: Part | None) -> str:
        """Return a known action of this runbook's cloud."""
        return self._known(part, self.registry.actions, "runbook.action_unknown")

    def action_inputs(
        self, found: Mapping[str, Part], holder: Part, action: str, scope: ReferenceScope
    ) -> dict[str, Json]:
        """Return an action's inputs from `with`; `template` and `values` stand for its `document`."""
        if not action:
            return {}
        declared = dict(self.registry.actions[action].inputs)
        given = dict(found["with"].entries()) if "with" in found else {}
        out: dict[str, Json] = {}
        # An undo runs long after people looked: it takes the document that was captured, never a template.
        if "document" in declared and "template" in given and not scope.has_prior:
            name, content = read_document(given.pop("template"), given.get("values"), self.folder)
            if content:
                self.documents[name] = content
            out["template"] = name
            if values := given.pop("values", None):
                check_references(values, scope.fixed())  # all of a document is known when the plan is shown
                out["values"] = {key: self.registry.literal(item, "text") for key, item in values.entries()}
            declared.pop("document")
        return out | self._inputs(given, found.get("with", holder), declared, scope)

    def check(self, part: Part, scope: ReferenceScope, *, required: str = "check") -> CheckCall:
        """Return a call of a check; `or_skip` may stand beside the check's inputs too."""
        found = part.fields(required, "with or_skip within")
        name = self._known(found.get("check"), self.registry.checks, "runbook.check_unknown")
        given = dict(found["with"].entries()) if "with" in found else {}
        declared = self.registry.checks[name].inputs if name else {}
        or_skip = found.get("or_skip")
        if "or_skip" in given and "or_skip" not in declared:
            or_skip = given.pop("or_skip")
        return CheckCall(
            check=name,
            inputs=self._inputs(given, found.get("with", part), declared, scope) if name else {},
            id=found["id"].text(GUARD_ID) if "id" in found else "",
            or_skip=or_skip.boolean() if or_skip else False,
            within_s=found["within"].duration(3600.0) if "within" in found else 0.0,
        )

    def guard(self, part: Part, scope: ReferenceScope) -> CheckCall:
        """Return a guard: a check with an id that is asked before anything runs; its no always is a no."""
        call = self.check(part, scope.fixed(), required="id check")
        if call.or_skip or call.within_s:
            part.fault("runbook.guard_must_hold", id=call.id)
        return call

    def _known(self, part: Part | None, known: Mapping[str, object], code: str) -> str:
        name = part.text() if part else ""
        if part is None or not name:
            return ""
        if name not in known:
            part.unknown(code, name, known)
            return ""
        if self.provider and not name.startswith(self.provider + "."):
            part.fault("runbook.other_cloud", name=name, provider=self.provider)
        return name

    def _inputs(
        self, given: Mapping[str, Part], holder: Part, declared: Mapping[str, str], scope: ReferenceScope
    ) -> dict[str, Json]:
        """Return inputs with their types; one whose declared type ends in `?` may be absent."""
        out: dict[str, Json] = {}
        for key, part in given.items():
            if key not in declared:
                part.unknown("runbook.input_unknown", key, declared)
                continue
            check_references(part, scope)
            out[key] = self.registry.literal(part, declared[key])
        for key, kind in declared.items():
            if key not in given and not kind.endswith("?"):
                holder.fault("runbook.input_missing", missing=key)
        return out


def refuse_open_attach(part: Part, action: str, inputs: Mapping[str, Json], scope: ReferenceScope) -> None:
    """Note an attachment or a move to what was not created by this very runbook: the accident this prevents
    was a Deny policy attached to the organisation's Root although two people had looked."""
    parts = action.split(".")
    if "organizations" not in parts:
        return
    if parts[-1].startswith("attach"):
        goes_to = "target_id"
    elif parts[-1].startswith("move") and not scope.has_prior:  # an undo moves back to where it was
        goes_to = "destination_parent_id"
    else:
        return
    names = whole(inputs.get(goes_to)).split(".")
    made = scope.steps.get(names[1]) if len(names) == 4 and names[0] == "steps" else None
    if not (made and names[2] == "outputs" and made.is_create and "organizations" in made.action.split(".")):
        for name in ("with", goes_to):  # as near to it as the file goes
            if not isinstance(part.value, dict) or name not in part.value:
                break
            part = part.at(name, part.value[name])
        part.fault("runbook.attach_not_created", action=action)
