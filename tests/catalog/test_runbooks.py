"""What a good runbook file becomes, and that no mutation of one loads anything looser."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twokey.catalog.approval_profiles import PROFILES
from twokey.catalog.references import INCIDENT_FACTS
from twokey.catalog.runbooks import load_runbook, read_runbook
from twokey.core.errors import Invalid
from twokey.core.incidents import Incident, Severity, State, facts
from twokey.core.responsibility import ActionOwner, Confidence, Label, Origin, Planned, Verdict
from twokey.core.runbooks import Effect, OnFailure, Risk, Runbook, references
from twokey.core.signals import Principal
from twokey.ports import Cloud
from twokey.providers.aws.resource_types import resource_of as aws_resource
from twokey.providers.azure.resource_types import resource_of as azure_resource

QUARANTINE, KEY = "demo.quarantine-account", "demo.disable-key"
RUNBOOKS = Path(__file__).resolve().parents[1] / "fixtures" / "runbooks"
TEXTS = {name: (RUNBOOKS / f"{name}.yaml").read_text() for name in (QUARANTINE, KEY)}


def _load(name: str, clouds: Mapping[str, Cloud], text: str = "") -> Runbook:
    return load_runbook(text or TEXTS[name], f"{name}.yaml", RUNBOOKS, clouds)


def test_a_step_has_its_call_its_checks_its_undo_and_its_retry(clouds: Mapping[str, Cloud]) -> None:
    book = _load(QUARANTINE, clouds)
    step = next(step for step in book.steps if step.id == "create_ou")
    assert step.effect is Effect.CREATE
    assert step.undo is not None
    assert step.undo.action == "demo.organizations.delete_organizational_unit"
    assert step.verify is not None
    assert step.verify.check == "demo.org.ou_is_empty"
    assert (step.retry.max_attempts, step.retry.retry_on) == (3, ("throttle", "concurrent_modification"))
    attach = next(step for step in book.steps if step.id == "attach_scp")
    assert (attach.on_failure, attach.verify and attach.verify.within_s) == (OnFailure.ROLLBACK, 60.0)


def test_inputs_have_the_types_that_the_action_declares(clouds: Mapping[str, Cloud]) -> None:
    steps = {step.id: step for step in _load(KEY, clouds).steps}
    assert steps["resolve"].inputs["all_regions"] is True
    assert steps["protect_bucket"].inputs["levels"] == ["1", "2"]
    pre = steps["deactivate_key"].pre[0]
    assert pre.or_skip
    assert "or_skip" not in pre.inputs


def test_a_runbook_without_an_approval_block_asks_what_its_risk_asks(clouds: Mapping[str, Cloud]) -> None:
    text = TEXTS[KEY].replace(
        '  approval:\n    typed_confirmation: "last4:${{ params.key_id }}"\n    expires_in: 10m\n', ""
    )
    assert _load(KEY, clouds, text).approval == PROFILES[Risk.CRITICAL]


def test_a_runbook_may_ask_for_more_than_its_risk(clouds: Mapping[str, Cloud]) -> None:
    text = TEXTS[KEY].replace(
        "    expires_in: 10m\n", "    profile: critical\n    min_approvals: 3\n    expires_in: 5m\n"
    )
    approval = _load(KEY, clouds, text).approval
    assert (approval.min_approvals, approval.requester_may_approve, approval.expires_in_s) == (
        3,
        False,
        300.0,
    )


@pytest.mark.parametrize("risk", ["medium", "high"])
def test_a_runbook_may_ask_for_signatures_whatever_its_risk(clouds: Mapping[str, Cloud], risk: str) -> None:
    text = TEXTS[KEY].replace("    expires_in: 10m\n", "    step_up: passkey\n    expires_in: 10m\n")
    text = text.replace("risk: high", f"risk: {risk}")
    assert _load(KEY, clouds, text).approval.step_up == "passkey"


def test_critical_asks_for_three_people_a_code_and_fifteen_minutes() -> None:
    critical = PROFILES[Risk.CRITICAL]
    assert (critical.min_approvals, critical.requester_may_approve) == (2, False)
    assert (critical.step_up, critical.expires_in_s) == ("totp", 900.0)


def test_layout_and_comments_do_not_change_the_digest_but_every_word_does(
    clouds: Mapping[str, Cloud],
) -> None:
    first = _load(KEY, clouds)
    assert (
        _load(
            KEY,
            clouds,
            "# reviewed\n" + TEXTS[KEY].replace("  provider: demo\n", "\n  provider:   'demo'  # ours\n"),
        ).digest
        == first.digest
    )
    assert _load(KEY, clouds, TEXTS[KEY].replace("a leaked key", "one leaked key")).digest != first.digest
    assert _load(KEY, clouds, TEXTS[KEY].replace("buckets: 50", "buckets: 51")).digest != first.digest


def test_the_digest_holds_the_bytes_of_every_document(own_folder: Path, clouds: Mapping[str, Cloud]) -> None:
    first = load_runbook(TEXTS[QUARANTINE], f"{QUARANTINE}.yaml", own_folder, clouds)
    document = own_folder / "documents" / "scp" / "deny-all-except-responder.json"
    document.write_text(document.read_text().replace('"Deny"', '"Allow"'))
    second = load_runbook(TEXTS[QUARANTINE], f"{QUARANTINE}.yaml", own_folder, clouds)
    assert first.digest != second.digest


def test_the_facts_that_runbooks_may_name_are_those_that_incidents_have() -> None:
    storage = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/pics"
    at = datetime(2024, 1, 1, tzinfo=UTC)
    incident = Incident(
        id="INC-1",
        number=1,
        title="t",
        verdict=Verdict(
            Label.UNKNOWN, Origin.CUSTOMER, Planned.UNPLANNED, ActionOwner.CUSTOMER, Confidence.LOW, "r", "r"
        ),
        state=State.TRIAGE,
        severity=Severity.SEV3,
        opened_at=at,
        last_signal_at=at,
        account="111122223333",
        region="us-east-1",
        resources=(aws_resource("arn:aws:s3:::b", "AwsS3Bucket"), azure_resource(storage)),
        principal=Principal("mallory", "IAMUser", "AKIAIOSFODNN7EXAMPLE"),
    )
    assert facts(incident).keys() == INCIDENT_FACTS


def _is_no_looser(book: Runbook) -> bool:
    """Say whether a loaded runbook asks at least what DESIGN section 5 asks for its risk."""
    floor, asked = PROFILES[book.risk], book.approval
    return (
        asked.min_approvals >= floor.min_approvals >= 2
        and (floor.requester_may_approve or not asked.requester_may_approve)
        and 0 < asked.expires_in_s <= floor.expires_in_s
        and (asked.step_up in ("totp", "passkey") or not floor.step_up)
        and not (book.break_glass and book.risk is Risk.CRITICAL)
        and (
            book.risk is Risk.CRITICAL
            or not any("organizations" in s.action and s.effect.is_write for s in book.steps)
        )
    )


def _is_seen_and_undoable(book: Runbook) -> bool:
    writes = [step for step in book.steps if step.effect.is_write]
    return all(step.verify and (step.undo or len(step.irreversible) >= 10) for step in writes)


_WORDS = ["0", "1", "true", "false", "none", "low", "critical", "999d", "1s", "${{ params.key_id }}", "${{ item }}", "r-ab12", "*", "../x", "{}", "[]", "demo.keys.find_user", "", "~", "&a", "*a", "!!x", "- ", "'", "evidence", "verify", "read", "delete"]  # fmt: skip


@st.composite
def _mutations(draw: st.DrawFn) -> tuple[str, str]:
    name = draw(st.sampled_from([QUARANTINE, KEY]))
    lines = TEXTS[name].split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["drop", "double", "swap", "value", "indent", "word", "character"]))
        line = lines[at]
        if kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(at, line)
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], line
        elif kind == "value":
            lines[at] = line.partition(":")[0] + ": " + draw(st.sampled_from(_WORDS))
        elif kind == "indent":
            lines[at] = draw(st.sampled_from(["  " + line, line[2:], line.strip()]))
        elif kind == "word":
            parts = line.split(" ")
            parts[draw(st.integers(0, len(parts) - 1))] = draw(st.sampled_from(_WORDS))
            lines[at] = " ".join(parts)
        else:
            cut = draw(st.integers(0, len(line)))
            lines[at] = line[:cut] + draw(st.characters(max_codepoint=0x300)) + line[cut:]
        if not lines:
            lines = [""]
    return name, "\n".join(lines)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(_mutations())
def test_no_mutation_of_a_good_runbook_crashes_or_loads_a_looser_approval(
    clouds: Mapping[str, Cloud], mutation: tuple[str, str]
) -> None:
    name, text = mutation
    reading = read_runbook(text, f"{name}.yaml", RUNBOOKS, clouds)
    assert (reading.runbook is None) == bool(reading.faults)
    for fault in reading.faults:
        assert isinstance(fault, Invalid)
        assert 1 <= int(fault.message.params["line"]) <= text.count("\n") + 2
    if reading.runbook:
        assert _is_no_looser(reading.runbook)
        assert _is_seen_and_undoable(reading.runbook)


_LOOSER = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.sampled_from([*Risk, "none"]),
        "min_approvals": st.integers(-1, 5),
        "requester_may_approve": st.sampled_from(["true", "false", "yes"]),
        "expires_in": st.sampled_from(["0s", "1s", "10m", "15m", "16m", "30m", "31m", "1h", "365d"]),
        "step_up": st.sampled_from(["passkey", "totp", "none", "off"]),
    },
)


@given(st.sampled_from(list(Risk)), _LOOSER)
def test_an_approval_block_is_as_strict_as_the_risk_or_refused(
    clouds: Mapping[str, Cloud], risk: Risk, block: dict[str, object]
) -> None:
    lines = "".join(f"    {key}: {value}\n" for key, value in block.items())
    text = (
        TEXTS[KEY]
        .replace("risk: high", f"risk: {risk.value}")
        .partition("    - id: end_sessions\n")[0]  # which alone would make it critical
    )
    text = text.replace('    typed_confirmation: "last4:${{ params.key_id }}"\n    expires_in: 10m\n', lines)
    if not block:
        text = text.replace("  approval:\n", "")
    reading = read_runbook(text, f"{KEY}.yaml", RUNBOOKS, clouds)
    if reading.runbook:
        assert reading.runbook.risk is risk
        assert _is_no_looser(reading.runbook)
    else:
        assert all(fault.message.params["key"].startswith("spec.approval") for fault in reading.faults)


def test_every_reference_that_loads_is_one_that_planning_can_look_up(clouds: Mapping[str, Cloud]) -> None:
    for name in TEXTS:
        book = _load(name, clouds)
        for step in book.steps:
            for path in references(dict(step.inputs)):
                assert path.split(".")[0] in ("params", "incident", "steps", "item")
