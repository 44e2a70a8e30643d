"""The runbooks that ship: faultless with the real clouds, and each approved as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from twokey.app import declarations
from twokey.catalog.library import FileLibrary
from twokey.catalog.references import INCIDENT_FACTS
from twokey.catalog.runbooks import read_runbook

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def library() -> FileLibrary:
    return FileLibrary(ROOT / "runbooks", declarations())


def test_no_shipped_runbook_has_a_fault(library: FileLibrary) -> None:
    assert [str(fault) for fault in library.faults()] == []


def test_every_shipped_runbook_is_approved_as_it_is(library: FileLibrary) -> None:
    shipped = {reading.runbook.id for reading in library.readings() if reading.runbook}
    assert shipped
    assert {book.id for book in library.approved()} == shipped


def test_every_shipped_write_to_one_account_can_be_taken_back(library: FileLibrary) -> None:
    for book in library.approved():
        for step in book.steps:
            assert not step.effect.is_write or step.undo, f"{book.id}: {step.id}"


def test_the_quarantine_cannot_be_pointed_at_anything_but_its_own_new_unit(library: FileLibrary) -> None:
    """The accident: a Deny policy for one account went to the Root, and a second person had looked."""
    path = ROOT / "runbooks" / "aws.quarantine-account.yaml"
    text = path.read_text(encoding="utf-8")
    target = 'target_id: "${{ steps.create_ou.outputs.ou_id }}"\n      idempotency'
    assert target in text
    for other in (
        '"${{ params.quarantine_parent_id }}"',
        "ou-ab12-12345678",
        "r-ab12",
        '"${{ incident.id }}"',
    ):
        broken = text.replace(target, f"target_id: {other}\n      idempotency")
        reading = read_runbook(broken, str(path), path.parent, library.clouds)
        assert reading.runbook is None
        assert "runbook.attach_not_created" in [fault.message.code for fault in reading.faults]


def test_the_reference_page_names_every_key_and_every_fact() -> None:
    page = (ROOT / "docs" / "reference" / "runbook-schema.md").read_text(encoding="utf-8")
    missing = [fact for fact in sorted(INCIDENT_FACTS) if f"`{fact}`" not in page]
    keys = [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "id",
        "version",
        "title",
        "owners",
        "references",
        "description",
        "provider",
        "risk",
        "reversible",
        "steps",
        "blast_radius",
        "params",
        "guards",
        "approval",
        "applies_to",
        "triggers",
        "evidence",
        "break_glass",
        "undo",
        "type",
        "required",
        "from",
        "default",
        "profile",
        "min_approvals",
        "requester_may_approve",
        "expires_in",
        "step_up",
        "typed_confirmation",
        "phase",
        "action",
        "effect",
        "with",
        "outputs",
        "when",
        "for_each",
        "pre",
        "verify",
        "irreversible",
        "reason",
        "retry",
        "timeout",
        "on_failure",
        "idempotency",
        "check",
        "or_skip",
        "within",
        "source",
        "type_prefix",
        "event_type_code",
        "service",
        "family",
        "resource_type",
        "label",
        "template",
        "values",
        "max",
        "scope",
    ]
    missing += [key for key in keys if f"`{key}`" not in page]
    assert missing == []
