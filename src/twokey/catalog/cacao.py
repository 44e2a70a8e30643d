"""Export a runbook as a CACAO 2.0 playbook: manual commands for people, with our whole step beside each.

Import is not offered: CACAO has no approval, dry run, retry or undo, and its commands are raw shell or HTTP.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import cast
from uuid import UUID

from twokey.core.errors import Json
from twokey.core.runbooks import Runbook, Step

_SEVERITY = {"low": 25, "medium": 50, "high": 75, "critical": 100}
_ACTIVITY = {"evidence": "analyze-collected-data", "contain": "restrict-access", "verify": "scan-system"}


def playbook(runbook: Runbook, *, created: str) -> dict[str, Json]:
    """Return the playbook as JSON data; the same runbook and day give the same bytes."""
    agent, extension = _id(runbook, "group", "agent"), _id(runbook, "extension-definition", "step")
    start, end = _id(runbook, "start", "start"), _id(runbook, "end", "end")
    ids = [_id(runbook, "action", step.id) for step in runbook.steps]
    following = [*ids[1:], end]
    workflow: dict[str, Json] = {start: {"type": "start", "on_completion": ids[0] if ids else end}}
    for step, own, after in zip(runbook.steps, ids, following, strict=True):
        workflow[own] = _action(step, agent, extension, after)
    workflow[end] = {"type": "end"}
    creator = _id(runbook, "identity", "creator")
    activities: list[Json] = [*sorted({_ACTIVITY[step.phase] for step in runbook.steps})]
    made: dict[str, Json] = {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": _id(runbook, "playbook", "playbook"),
        "name": runbook.title,
        "description": f"twokey runbook {runbook.id} {runbook.version}, sha256:{runbook.digest}."
        " It runs only in twokey, after two people have confirmed the same plan; here it is a checklist.",
        "playbook_types": ["mitigation"],
        "playbook_activities": activities,
        "created_by": creator,
        "created": created,
        "modified": created,
        "impact": _SEVERITY[runbook.risk.value],
        "labels": [runbook.provider, f"risk:{runbook.risk.value}", f"reversible:{runbook.reversible}"],
        "workflow_start": start,
        "workflow": workflow,
        "agent_definitions": {agent: {"type": "group", "name": ", ".join(runbook.owners) or "responders"}},
        "extension_definitions": {
            extension: {
                "type": "extension-definition",
                "name": "twokey step",
                "description": "The step as twokey has it: inputs, checks before and after, undo, retry.",
                "created_by": creator,
                "schema": "One object, twokey_step: a step as in twokey's docs/reference/runbook-schema.md",
                "version": "1.0.0",
            }
        },
    }
    if runbook.params:
        made["playbook_variables"] = {
            f"__{param.name}__": {"type": "string", "description": param.type, "external": True}
            for param in runbook.params
        }
    if runbook.references:
        made["external_references"] = [{"name": text, "description": text} for text in runbook.references]
    return made


def _action(step: Step, agent: str, extension: str, after: str) -> Json:
    inputs = json.dumps(dict(step.inputs), sort_keys=True, ensure_ascii=False)
    command = f"{step.action} with {inputs}"
    if step.verify:
        command += f"; then check {step.verify.check}"
    content = cast("Json", json.loads(json.dumps(asdict(step))))  # enumerations and tuples become plain JSON
    return {
        "type": "action",
        "name": step.id,
        "description": f"{step.phase}: {step.action} ({step.effect.value})",
        "on_completion": after,
        "timeout": int(step.timeout_s * 1000),
        "commands": [{"type": "manual", "command": command, "playbook_activity": _ACTIVITY[step.phase]}],
        "agent": agent,
        "step_extensions": {extension: {"twokey_step": content}},
    }


def _id(runbook: Runbook, kind: str, name: str) -> str:
    """Return an identifier that is stable for a runbook: a version 4 form, as CACAO wants of steps."""
    digest = hashlib.sha256(f"{runbook.id}\0{kind}\0{name}".encode()).digest()
    return f"{kind}--{UUID(bytes=digest[:16], version=4)}"
