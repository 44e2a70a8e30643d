"""One broken runbook per refusal: the error names the file, the line and the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from twokey.catalog.runbooks import ParseResult, read_runbook
from twokey.ports import Cloud

QUARANTINE, KEY = "demo.quarantine-account", "demo.disable-key"
STEPS = "spec.steps"

# what is wrong | file | text that is there | text in its place | code | key | a text of the line that is named
Case = tuple[str, str, str, str, str, str, str]
CASES: tuple[Case, ...] = (
    ("an unknown key at the top", KEY, "kind: Runbook", "kind: Runbook\nstatus: ok", "schema.unknown_key", "status", "status: ok"),
    ("a key misspelt in a step", KEY, "      for_each:", "      for_eech:", "schema.unknown_key_near", f"{STEPS}[2].for_eech", "for_eech"),
    ("an unknown key in metadata", KEY, "  version: 1.2.0", "  version: 1.2.0\n  team: x", "schema.unknown_key", "metadata.team", "team: x"),
    ("an unknown key in an undo", KEY, "        requires: separate_approval", "        forced: true", "schema.unknown_key", f"{STEPS}[1].undo.forced", "forced: true"),
    ("an unknown key in a retry", QUARANTINE, "backoff: 2s", "pause: 2s", "schema.unknown_key", f"{STEPS}[1].retry.pause", "pause: 2s"),
    ("`on`, which other readers take for true", QUARANTINE, "retry_on: [", "on: [", "schema.unknown_key", f"{STEPS}[1].retry.on", "on: [throttle"),
    ("a missing key", KEY, "  risk: high\n", "", "schema.missing_key", "spec", "spec:"),
    ("a duplicate key", KEY, "  risk: high", "  risk: high\n  risk: low", "yaml.duplicate_key", "spec.risk", "risk: low"),
    ("a tag", KEY, "title: ", "title: !!python/name:os.system ", "yaml.tag", "metadata.title", "!!python"),
    ("another apiVersion", KEY, "twokey.dev/v1", "twokey.dev/v2", "schema.not_one_of_near", "apiVersion", "v2"),
    ("another kind", KEY, "kind: Runbook", "kind: Pod", "schema.not_one_of", "kind", "Pod"),
    ("an id that is not one", KEY, "id: demo.disable-key", "id: Demo.DisableKey", "schema.not_matching", "metadata.id", "Demo.Dis"),
    ("an id that is not the file's name", KEY, "id: demo.disable-key", "id: demo.enable-key", "runbook.id_not_file_name", "metadata.id", "demo.enable-key"),
    ("a version that is not semantic", KEY, "version: 1.2.0", "version: 1.2", "schema.not_matching", "metadata.version", "version: 1.2"),
    ("an unknown provider", KEY, "provider: demo", "provider: gcp", "runbook.provider_unknown", "spec.provider", "gcp"),
    ("an unknown risk", KEY, "risk: high", "risk: hihg", "schema.not_one_of_near", "spec.risk", "hihg"),
    ("a parameter type that nobody has", KEY, "type: demo.key_id", "type: demo.key_ids_", "runbook.type_unknown_near", "spec.params.key_id.type", "demo.key_ids_"),
    ("a source that no incident has", KEY, "from: incident.access_key_id", "from: incident.secret", "runbook.source_unknown", "spec.params.key_id.from", "incident.secret"),
    ("a source that is the environment", KEY, "from: incident.access_key_id", "from: env.HOME", "runbook.source_unknown", "spec.params.key_id.from", "env.HOME"),
    ("the beginning as a parameter, which a person could give", KEY, "from: incident.access_key_id", "from: incident.started", "runbook.source_unknown", "spec.params.key_id.from", "incident.started"),
    ("an override of what is no setting", KEY, "from: incident.access_key_id", "from: incident.access_key_id, may_override: true", "runbook.override_of_nothing", "spec.params.key_id.may_override", "may_override: true"),
    ("a default of another type", KEY, "default: true", "default: yes", "runbook.value_type", "spec.params.protect.default", "default: yes"),
    ("an unknown action", KEY, "action: demo.keys.find_user", "action: demo.keys.find_usr", "runbook.action_unknown_near", f"{STEPS}[0].action", "find_usr"),
    ("an action that is a path to code", KEY, "action: demo.keys.find_user", "action: os.system", "runbook.action_unknown", f"{STEPS}[0].action", "os.system"),
    ("another cloud's action", KEY, "action: demo.keys.find_user", "action: other.keys.find_user", "runbook.other_cloud", f"{STEPS}[0].action", "other.keys"),
    ("an unknown input", KEY, "all_regions: true}", "all_region: true}", "runbook.input_unknown_near", f"{STEPS}[0].with.all_region", "all_region: true"),
    ("a missing input", KEY, ', status: Inactive}\n      verify', "}\n      verify", "runbook.input_missing", f"{STEPS}[1].with", "with: {key_id: \"${{ params.key_id }}\", user_name: \"${{ steps.resolve"),
    ("an input of another type", KEY, "all_regions: true", "all_regions: often", "runbook.value_type", f"{STEPS}[0].with.all_regions", "often"),
    ("an account id that is not twelve digits", KEY, "{key_id: \"${{ params.key_id }}\", all_regions", "{key_id: AKIA1, all_regions", "runbook.value_type", f"{STEPS}[0].with.key_id", "AKIA1"),
    ("an output that the action does not have", KEY, "outputs: {user_name: user_name}", "outputs: {user_name: username}", "runbook.output_unknown_near", f"{STEPS}[0].outputs.user_name", "username"),
    ("an effect that is not the action's own", KEY, "effect: modify\n      pre", "effect: read\n      pre", "runbook.effect_differs", f"{STEPS}[1].effect", "effect: read\n      pre"),
    ("a write without undo", KEY, "      irreversible: a session that has ended cannot be given back\n", "", "runbook.no_undo", f"{STEPS}[3]", "- id: end_sessions"),
    ("irreversible without a reason", KEY, "irreversible: a session that has ended cannot be given back", "irreversible: true", "runbook.irreversible_no_reason", f"{STEPS}[3].irreversible", "irreversible: true"),
    ("a reason too short to be one", KEY, "irreversible: a session that has ended cannot be given back", "irreversible: because", "runbook.irreversible_no_reason", f"{STEPS}[3].irreversible", "because"),
    ("a reason for nothing", KEY, "      effect: read\n", "      effect: read\n      reason: none at all\n", "runbook.reason_alone", f"{STEPS}[0].reason", "none at all"),
    ("undo and irreversible", KEY, "        requires: separate_approval", "      irreversible: it cannot be taken back", "runbook.undo_and_irreversible", f"{STEPS}[1].irreversible", "it cannot be"),
    ("a read with an undo", KEY, "      on_failure: continue", "      undo: {action: demo.keys.end_sessions, with: {user_name: x}}", "runbook.read_with_undo", f"{STEPS}[0].undo", "undo: {action: demo.keys.end_sessions"),
    ("an undo that only reads", KEY, "        action: demo.keys.update_key\n        with: {key_id: \"${{ params.key_id }}\", user_name: \"${{ steps.self.inputs.user_name }}\", status: \"${{ steps.self.prior.status }}\"}", "        action: demo.keys.find_user\n        with: {key_id: \"${{ params.key_id }}\"}", "runbook.undo_reads", f"{STEPS}[1].undo.action", "action: demo.keys.find_user\n        with"),
    ("a write that nobody verifies", KEY, "      verify: {check: demo.keys.has_no_session, with: {user_name: \"${{ steps.resolve.outputs.user_name }}\"}}\n", "", "runbook.no_verify", f"{STEPS}[3]", "- id: end_sessions"),
    ("an unknown check in verify", KEY, "check: demo.keys.has_no_session", "check: demo.keys.has_no_sesion", "runbook.check_unknown_near", f"{STEPS}[3].verify.check", "has_no_sesion"),
    ("an unknown check in pre", KEY, "- {check: demo.keys.status_equals", "- {check: demo.nothing", "runbook.check_unknown", f"{STEPS}[1].pre[0].check", "demo.nothing"),
    ("an unknown check in a guard", QUARANTINE, "check: demo.org.is_not_management", "check: demo.org.is_management", "runbook.check_unknown_near", "spec.guards[0].check", "is_management"),
    ("a guard that may be skipped", QUARANTINE, '{account_id: "${{ params.account_id }}"}}\n  steps', '{account_id: "${{ params.account_id }}"}, or_skip: true}\n  steps', "runbook.guard_must_hold", "spec.guards[0]", "or_skip: true"),
    ("two guards of one name", QUARANTINE, "  steps:\n", '    - {id: not-management, check: demo.org.ou_is_empty, with: {ou_id: "${{ params.parent_id }}"}}\n  steps:\n', "runbook.duplicate_id", "spec.guards[1].id", "check: demo.org.ou_is_empty, with: {ou_id: \"${{ params.parent"),
    ("a reference to an unknown parameter", KEY, 'with: {key_id: "${{ params.key_id }}", all', 'with: {key_id: "${{ params.keyid }}", all', "runbook.reference_unknown_param_near", f"{STEPS}[0].with.key_id", "params.keyid"),
    ("a reference to an unknown fact", QUARANTINE, 'name: "quarantine-${{ incident.id }}"', 'name: "quarantine-${{ incident.title }}"', "runbook.reference_unknown_fact", f"{STEPS}[1].with.name", "incident.title"),
    ("a reference to an unknown step", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status', 'user_name: "${{ steps.resolv.outputs.user_name }}", status', "runbook.reference_unknown_step_near", f"{STEPS}[1].with.user_name", "steps.resolv."),
    ("a reference to an unknown output", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status', 'user_name: "${{ steps.resolve.outputs.user }}", status', "runbook.reference_unknown_output_near", f"{STEPS}[1].with.user_name", "outputs.user }}"),
    ("a reference to a later step", QUARANTINE, 'with: {child_id: "${{ params.account_id }}"}\n      outputs', 'with: {child_id: "${{ steps.create_ou.outputs.ou_id }}"}\n      outputs', "runbook.reference_later", f"{STEPS}[0].with.child_id", "{child_id: \"${{ steps.create_ou"),
    ("a need of an unknown step", KEY, "      effect: modify\n", "      effect: modify\n      needs: [resolv]\n", "runbook.reference_unknown_step_near", f"{STEPS}[1].needs[0]", "[resolv]"),
    ("a need of a later step", QUARANTINE, "      effect: modify\n", "      effect: modify\n      needs: [look_again]\n", "runbook.reference_later", f"{STEPS}[3].needs[0]", "[look_again]"),
    ("a need of itself", QUARANTINE, "      effect: modify\n", "      effect: modify\n      needs: [attach_scp]\n", "runbook.reference_later", f"{STEPS}[3].needs[0]", "[attach_scp]"),
    ("a reference to the step's own result before it ran", QUARANTINE, '- {check: demo.org.ou_is_empty, with: {ou_id: "${{ steps.create_ou', '- {check: demo.org.ou_is_empty, with: {ou_id: "${{ steps.attach_scp', "runbook.reference_later", f"{STEPS}[3].pre[0].with.ou_id", "steps.attach_scp.outputs"),
    ("a reference to what a repeated step gave", KEY, 'with: {user_name: "${{ steps.resolve.outputs.user_name }}"}\n      irr', 'with: {user_name: "${{ steps.protect_bucket.outputs.x }}"}\n      irr', "runbook.reference_repeated", f"{STEPS}[3].with.user_name", "steps.protect_bucket.outputs"),
    ("prior state outside an undo", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status: Inactive', 'user_name: "${{ steps.resolve.prior.user_name }}", status: Inactive', "runbook.reference_prior", f"{STEPS}[1].with.user_name", "resolve.prior"),
    ("an item outside for_each", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status: Inactive', 'user_name: "${{ item }}", status: Inactive', "runbook.reference_unknown", f"{STEPS}[1].with.user_name", "user_name: \"${{ item"),
    ("the configuration in a step", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status: Inactive', 'user_name: "${{ config.aws.user }}", status: Inactive', "runbook.reference_unknown", f"{STEPS}[1].with.user_name", "config.aws"),
    ("an expression", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status', 'user_name: "${{ params.key_id + 1 }}", status', "runbook.reference_not_plain", f"{STEPS}[1].with.user_name", "+ 1"),
    ("a call", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status', 'user_name: "${{ params.key_id.upper() }}", status', "runbook.reference_not_plain", f"{STEPS}[1].with.user_name", "upper()"),
    ("a reference inside a reference", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status', 'user_name: "${{ ${{ params.key_id }} }}", status', "runbook.reference_not_plain", f"{STEPS}[1].with.user_name", "${{ ${{"),
    ("a reference that never ends", KEY, 'user_name: "${{ steps.resolve.outputs.user_name }}", status', 'user_name: "${{ params.key_id", status', "runbook.reference_not_plain", f"{STEPS}[1].with.user_name", 'params.key_id", status'),
    ("a reference in the title", KEY, "title: Deactivate", 'title: "${{ params.key_id }}" #', "runbook.reference_misplaced", "metadata.title", "title: \"${{"),
    ("a reference in an action's name", KEY, "action: demo.keys.find_user", 'action: "${{ params.key_id }}"', "runbook.reference_misplaced", f"{STEPS}[0].action", "action: \"${{"),
    ("a `when` that compares", KEY, 'when: "${{ params.protect }}"', 'when: "${{ params.protect }} == true"', "runbook.condition_not_plain", f"{STEPS}[2].when", "== true"),
    ("a `when` that is a word", KEY, 'when: "${{ params.protect }}"', "when: always", "runbook.condition_not_plain", f"{STEPS}[2].when", "always"),
    ("a `when` that is only known later", KEY, 'when: "${{ params.protect }}"', 'when: "${{ steps.resolve.outputs.user_name }}"', "runbook.reference_too_early", f"{STEPS}[2].when", "when: \"${{ steps"),
    ("two steps of one name", KEY, "- id: end_sessions", "- id: resolve", "runbook.duplicate_id", f"{STEPS}[3].id", "- id: resolve\n      phase: contain"),
    ("a step called self", KEY, "- id: end_sessions", "- id: self", "schema.not_matching", f"{STEPS}[3].id", "- id: self"),
    ("phases out of order", KEY, "- id: end_sessions\n      phase: contain", "- id: end_sessions\n      phase: evidence", "runbook.phase_order", f"{STEPS}[3].phase", "phase: evidence\n      action: demo.keys.end"),
    ("a write while verifying", KEY, "- id: end_sessions\n      phase: contain", "- id: end_sessions\n      phase: verify", "runbook.write_in_verify", f"{STEPS}[3].phase", "phase: verify"),
    ("fewer approvals than the risk asks", QUARANTINE, "min_approvals: 2", "min_approvals: 1", "runbook.approval_looser", "spec.approval.min_approvals", "min_approvals: 1"),
    ("no approvals at all", KEY, "    expires_in: 10m", "    min_approvals: 0", "runbook.approval_looser", "spec.approval.min_approvals", "min_approvals: 0"),
    ("a longer expiry", QUARANTINE, "expires_in: 15m", "expires_in: 16m", "runbook.approval_looser", "spec.approval.expires_in", "16m"),
    ("a longer expiry for high", KEY, "expires_in: 10m", "expires_in: 1h", "runbook.approval_looser", "spec.approval.expires_in", "1h"),
    ("an expiry of nothing", KEY, "expires_in: 10m", "expires_in: 0s", "schema.not_duration", "spec.approval.expires_in", "0s"),
    ("a requester who counts for critical", QUARANTINE, "requester_may_approve: false", "requester_may_approve: true", "runbook.approval_looser", "spec.approval.requester_may_approve", "requester_may_approve: true"),
    ("a step-up code dropped", QUARANTINE, "step_up: totp", "step_up: none", "runbook.approval_looser", "spec.approval.step_up", "step_up: none"),
    ("a looser named profile", QUARANTINE, "profile: critical", "profile: low", "runbook.approval_looser", "spec.approval.profile", "profile: low"),
    ("a typed confirmation that names no target", KEY, 'typed_confirmation: "last4:${{ params.key_id }}"', "typed_confirmation: yes please", "runbook.typed_not_target", "spec.approval.typed_confirmation", "yes please"),
    ("break-glass for critical", QUARANTINE, "break_glass: false", "break_glass: true", "runbook.break_glass_critical", "spec.break_glass", "break_glass: true"),
    ("break-glass spelt yes", KEY, "break_glass: false", "break_glass: yes", "schema.not_boolean", "spec.break_glass", "break_glass: yes"),
    ("an organisation change that is only high", QUARANTINE, "risk: critical", "risk: high", "runbook.risk_too_low", "spec.risk", "risk: high"),
    ("irreversible and only high", KEY, "reversible: partial", "reversible: none", "runbook.irreversible_not_critical", "spec.risk", "risk: high"),
    ("break-glass for a step that cannot be taken back", KEY, "break_glass: false", "break_glass: true", "runbook.break_glass_irreversible", "spec.break_glass", "break_glass: true"),
    ("called reversible in full, which it is not", KEY, "reversible: partial", "reversible: full", "runbook.not_reversible", "spec.reversible", "reversible: full"),
    ("a document outside its folder", QUARANTINE, "template: scp/deny", "template: ../deny", "runbook.document_outside", f"{STEPS}[2].with.template", "../deny"),
    ("a document further outside", QUARANTINE, "template: scp/deny", "template: scp/../../deny", "runbook.document_outside", f"{STEPS}[2].with.template", "../../deny"),
    ("a document by an absolute path", QUARANTINE, "template: scp/deny-all-except-responder.json", "template: /etc/passwd", "runbook.document_outside", f"{STEPS}[2].with.template", "/etc/passwd"),
    ("a document that is not there", QUARANTINE, "template: scp/deny", "template: scp/allow", "runbook.document_missing", f"{STEPS}[2].with.template", "scp/allow"),
    ("a document's place without a value", QUARANTINE, '        values: {responder: "${{ params.role }}"}\n', "", "runbook.document_value_missing", f"{STEPS}[2].with.template", "template: scp"),
    ("a value without a place", QUARANTINE, 'values: {responder: "${{ params.role }}"}', 'values: {responder: "${{ params.role }}", account: x}', "runbook.document_value_unused", f"{STEPS}[2].with.values", "account: x"),
    ("a document's value that is only known later", QUARANTINE, '{responder: "${{ params.role }}"}', '{responder: "${{ steps.create_ou.outputs.ou_id }}"}', "runbook.reference_too_early", f"{STEPS}[2].with.values.responder", "values: {responder"),
    ("a document written into the runbook", QUARANTINE, "        template: scp/deny-all-except-responder.json\n        values: {responder: \"${{ params.role }}\"}\n", "        document: '{}'\n", "runbook.value_type", f"{STEPS}[2].with.document", "document: '{}'"),
    ("a blast radius of nothing", KEY, "principals: 1", "principals: 0", "schema.out_of_range", "spec.blast_radius.max.principals", "principals: 0"),
    ("a blast radius in words", KEY, "principals: 1", "principals: all", "schema.not_integer", "spec.blast_radius.max.principals", "principals: all"),
    ("a negative blast radius", KEY, "principals: 1", "principals: -1", "schema.out_of_range", "spec.blast_radius.max.principals", "principals: -1"),
    ("a blast radius without a limit", KEY, "max: {principals: 1, buckets: 50}", "max: {}", "schema.empty", "spec.blast_radius.max", "max: {}"),
    ("no blast radius", KEY, "  blast_radius:\n    max: {principals: 1, buckets: 50}\n", "", "schema.missing_key", "spec", "spec:"),
    ("a policy attached to what a parameter says", QUARANTINE, 'target_id: "${{ steps.create_ou.outputs.ou_id }}"\n      verify', 'target_id: "${{ params.parent_id }}"\n      verify', "runbook.attach_not_created", f"{STEPS}[3].with.target_id", 'target_id: "${{ params'),
    ("a policy attached to a literal", QUARANTINE, 'target_id: "${{ steps.create_ou.outputs.ou_id }}"\n      verify', "target_id: ou-abcd-12345678\n      verify", "runbook.attach_not_created", f"{STEPS}[3].with.target_id", "target_id: ou-abcd"),
    ("a policy attached to what was only read", QUARANTINE, 'target_id: "${{ steps.create_ou.outputs.ou_id }}"\n      verify', 'target_id: "${{ steps.record_parent.outputs.parent_id }}"\n      verify', "runbook.attach_not_created", f"{STEPS}[3].with.target_id", 'target_id: "${{ steps.record'),
    ("a policy attached by an undo", QUARANTINE, "action: demo.organizations.detach_policy\n        with: {policy_id: \"${{ steps.create_scp.outputs.policy_id }}\", target_id: \"${{ steps.create_ou.outputs.ou_id }}\"}", "action: demo.organizations.attach_policy\n        with: {policy_id: \"${{ steps.create_scp.outputs.policy_id }}\", target_id: \"${{ params.parent_id }}\"}", "runbook.attach_not_created", f"{STEPS}[3].undo.with.target_id", 'target_id: "${{ params'),
    ("the Root's id as a literal", QUARANTINE, 'target_id: "${{ steps.create_ou.outputs.ou_id }}"\n      verify', "target_id: r-ab12\n      verify", "runbook.root_literal", f"{STEPS}[3].with.target_id", "r-ab12"),
    ("the Root's id in an ARN", KEY, "owners: [cloud-security]", "owners: [cloud-security]\n  description: arn:aws:organizations::1:root/o-x/r-ab12", "runbook.root_literal", "metadata.description", "r-ab12"),
    ("the Root's id as a default", QUARANTINE, "default: responder", "default: r-0abc", "runbook.root_literal", "spec.params.role.default", "r-0abc"),
    ("a retry for anything", QUARANTINE, "retry_on: [throttle,", "retry_on: [everything,", "schema.not_one_of", f"{STEPS}[1].retry.retry_on[0]", "everything"),
    ("an undo for the whole without approval", QUARANTINE, "requires: approval}", "requires: nothing}", "schema.not_one_of", "spec.undo.requires", "nothing}"),
    ("a place to act of any form", QUARANTINE, "account_id: {type: demo.account_id", "account_id: {type: text", "runbook.scope_type", "spec.params.account_id", "account_id: {type: text"),
    ("places to act, several", QUARANTINE, "account_id: {type: demo.account_id", "account_id: {type: demo.account_ids", "runbook.scope_type", "spec.params.account_id", "account_id: {type: demo.account_ids"),
    ("a place to act by another name", KEY, "    protect: {type: bool", "    victim: {type: demo.account_id, required: true}\n    protect: {type: bool", "runbook.scope_not_named", "spec.params.victim", "victim:"),
    ("places to act by another name", KEY, "    protect: {type: bool", "    victims: {type: demo.account_ids, required: true}\n    protect: {type: bool", "runbook.scope_not_named", "spec.params.victims", "victims:"),
    ("no steps", KEY, "  steps:\n", "  steps: []\n  guards:\n", "schema.empty", "spec.steps", "steps: []"),
)  # fmt: skip


def _read(runbook_id: str, text: str, folder: Path, clouds: Mapping[str, Cloud]) -> ParseResult:
    return read_runbook(text, f"runbooks/{runbook_id}.yaml", folder, clouds)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_broken_runbook_is_refused_with_file_line_and_key(
    case: Case, good: Callable[[str], str], folder: Path, clouds: Mapping[str, Cloud]
) -> None:
    _, runbook_id, old, new, code, key, marker = case
    text = good(runbook_id)
    assert text.count(old) >= 1, "the case no longer fits its file"
    broken = text.replace(old, new, 1)
    reading = _read(runbook_id, broken, folder, clouds)
    assert reading.runbook is None
    line = broken[: broken.index(marker)].count("\n") + 1
    wanted = (code, f"runbooks/{runbook_id}.yaml", str(line), key)
    told = [
        (f.message.code, f.message.params["file"], f.message.params["line"], f.message.params["key"])
        for f in reading.faults
    ]
    assert wanted in told


def test_a_runbook_of_a_cloud_that_names_no_scope_is_refused(
    good: Callable[[str], str], folder: Path, clouds: Mapping[str, Cloud]
) -> None:
    """Its plans would be everybody's: who may approve follows from where a plan acts."""
    (name, cloud), *_ = clouds.items()
    silent: Any = replace(cast("Any", cloud), scope_parameters=())
    for runbook_id in (KEY, QUARANTINE):
        (fault,) = _read(runbook_id, good(runbook_id), folder, {**clouds, name: silent}).faults
        assert (fault.message.code, fault.message.params["key"]) == (
            "runbook.cloud_without_scope",
            "spec.provider",
        )


def test_another_account_beside_the_one_that_is_acted_on_is_no_fault(
    good: Callable[[str], str], folder: Path, clouds: Mapping[str, Cloud]
) -> None:
    also = "    archive: {type: demo.account_id}\n"
    text = good(QUARANTINE).replace("  params:\n", "  params:\n" + also, 1)
    assert _read(QUARANTINE, text, folder, clouds).faults == ()


@pytest.mark.parametrize("runbook_id", [QUARANTINE, KEY])
def test_the_runbooks_that_the_table_breaks_are_good(
    runbook_id: str, good: Callable[[str], str], folder: Path, clouds: Mapping[str, Cloud]
) -> None:
    reading = _read(runbook_id, good(runbook_id), folder, clouds)
    assert reading.faults == ()
    assert reading.runbook is not None


def test_every_fault_of_a_file_is_told_at_once_in_the_order_of_its_lines(
    good: Callable[[str], str], folder: Path, clouds: Mapping[str, Cloud]
) -> None:
    text = (
        good(KEY)
        .replace("version: 1.2.0", "version: 1")
        .replace("risk: high", "risk: huge")
        .replace("10m", "10x")
    )
    lines = [int(fault.message.params["line"]) for fault in _read(KEY, text, folder, clouds).faults]
    assert len(lines) >= 3
    assert lines == sorted(lines)


def test_a_document_behind_a_link_that_leaves_the_folder_is_refused(
    own_folder: Path, tmp_path_factory: pytest.TempPathFactory, clouds: Mapping[str, Cloud]
) -> None:
    document = own_folder / "documents" / "scp" / "deny-all-except-responder.json"
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "policy.json"
    elsewhere.write_bytes(document.read_bytes())
    document.unlink()
    document.symlink_to(elsewhere)
    text = (own_folder / f"{QUARANTINE}.yaml").read_text()
    codes = [fault.message.code for fault in _read(QUARANTINE, text, own_folder, clouds).faults]
    assert codes == ["runbook.document_outside"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "document.not_json"),
        ("[]", "document.not_json"),
        ('{"a": "{responder}", "a": "x"}', "document.not_json"),
        ('{"a": NaN, "b": "{responder}"}', "document.not_json"),
        ('{"{responder}": "x"}', "document.placeholder_in_key"),
        ('{"a": "{responder}", "target": "r-ab12"}', "runbook.root_literal"),
        ('{"a": "{Responder}"}', "runbook.document_value_unused"),
    ],
)
def test_a_document_that_is_not_a_reviewed_policy_is_refused(
    content: str, code: str, own_folder: Path, clouds: Mapping[str, Cloud]
) -> None:
    (own_folder / "documents" / "scp" / "deny-all-except-responder.json").write_text(content)
    text = (own_folder / f"{QUARANTINE}.yaml").read_text()
    assert code in [fault.message.code for fault in _read(QUARANTINE, text, own_folder, clouds).faults]
