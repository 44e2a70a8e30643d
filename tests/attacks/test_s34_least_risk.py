"""S34: what a runbook's steps do decides its risk; an author who writes less gets no plan with fewer keys."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.lab.trials import Proof
from twokey.app import declarations
from twokey.catalog.library import FileLibrary
from twokey.catalog.lock import LockLine, write_line
from twokey.catalog.runbooks import ParseResult
from twokey.core.errors import Invalid, Refused
from twokey.core.runbooks import ApprovalProfile, PlanState, Reversibility, Risk
from twokey.testing.runbooks import disable_leaked_key
from twokey.testing.world import World

SHIPPED = Path(__file__).parents[2] / "runbooks"
KEY, STORAGE = "aws.disable-leaked-access-key", "azure.block-public-storage"
TYPED = '    typed_confirmation: {approver: "last4:${{ params.access_key_id }}"}\n'
UNDO = (
    "      undo:\n        action: azure.storage.set_public_access\n"
    '        with: {storage_account_id: "${{ params.storage_account_id }}",'
    ' allow: "${{ steps.block.prior.allow_blob_public_access }}", since: "${{ incident.started }}"}\n'
)


def read(folder: Path, runbook: str, changes: Mapping[str, str]) -> ParseResult:
    """Return a shipped runbook as its author has changed it."""
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    path = folder / f"{runbook}.yaml"
    text = path.read_text()
    for old, new in changes.items():
        assert old in text, f"the case no longer fits its file: {old}"
        text = text.replace(old, new)
    path.write_text(text)
    return FileLibrary(folder, declarations()).reading(runbook)


def codes(reading: ParseResult) -> set[str]:
    return {fault.message.code for fault in reading.faults}


@pytest.mark.parametrize("claimed", [Risk.LOW, Risk.MEDIUM])
def test_s34_a_runbook_that_switches_a_key_on_asks_for_a_code_and_the_target(
    tmp_path: Path, proof: Proof, claimed: Risk
) -> None:
    promise = f"a runbook that opens a door is high, though its author says {claimed.value}"
    for _ in (trials := proof("S34", promise)):
        reading = read(
            tmp_path,
            KEY,
            {"risk: high": f"risk: {claimed.value}", "    profile: high\n": "", "Inactive": "Active"},
        )
        book = reading.runbook
        assert book, reading.faults
        assert (book.risk, book.approval.step_up) == (Risk.HIGH, "totp")
        (note,) = reading.notes
        assert (note.message.code, note.message.params["key"]) == ("runbook.risk_raised", "spec.risk")
        trials.outcome("high")


def test_s34_an_approval_that_fits_the_claim_is_looser_than_the_step_allows(tmp_path: Path) -> None:
    """The script of the review: `risk` and `profile` low, nothing typed, and the key switched on."""
    changes = {"risk: high": "risk: low", "profile: high": "profile: low", TYPED: "", "Inactive": "Active"}
    assert codes(read(tmp_path, KEY, changes)) == {"runbook.approval_looser"}


def test_s34_a_containing_step_that_cannot_be_taken_back_is_critical_and_nobody_does_it_alone(
    tmp_path: Path, proof: Proof
) -> None:
    final = {
        UNDO: "      irreversible: it cannot be taken back\n",
        "reversible: full": "reversible: partial",
        "risk: high": "risk: low",
        "    profile: high\n": "",
        "    expires_in: 30m\n": "",
    }
    for _ in (trials := proof("S34", "a step that cannot be taken back is critical, without break-glass")):
        assert codes(read(tmp_path / "alone", STORAGE, final)) == {"runbook.break_glass_irreversible"}
        reading = read(tmp_path / "two", STORAGE, {**final, "break_glass: true": "break_glass: false"})
        assert reading.runbook, reading.faults
        book = reading.runbook
        assert (book.risk, book.approval.requester_may_approve) == (Risk.CRITICAL, False)
        trials.outcome("critical")
        trials.outcome("refused")


def test_s34_an_action_that_cannot_be_taken_back_is_final_whatever_undo_the_author_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clouds = declarations()
    action = clouds["azure"].actions["azure.storage.set_public_access"]
    monkeypatch.setattr(type(action), "reversibility", Reversibility.IRREVERSIBLE)
    reading = read(tmp_path, STORAGE, {"reversible: full": "reversible: partial"})
    assert codes(reading) == {"runbook.break_glass_irreversible", "runbook.approval_looser"}


def test_s34_an_author_alone_approves_no_runbook(tmp_path: Path, proof: Proof) -> None:
    """Neither twice, nor in other letters, nor with a second name of their own making in one go."""
    for _ in (trials := proof("S34", "a runbook that one person approved cannot be proposed")):
        book = read(tmp_path, KEY, {}).runbook
        assert book
        (tmp_path / "approved.lock").unlink()
        library = FileLibrary(tmp_path, declarations())
        for name in ("mallory", "mallory", "Mallory"):
            write_line(tmp_path, LockLine(book.id, book.version, book.digest, name, "2026-11-28"))
            with pytest.raises(Refused, match=r"runbook\.one_approved"):
                library.runbook(KEY)
            assert library.approved() == []
            trials.outcome("refused")
        with pytest.raises(Invalid, match=r"lock\.by_malformed"):
            write_line(
                tmp_path, LockLine(book.id, book.version, book.digest, "mallory,jane.doe", "2026-11-28")
            )
        write_line(tmp_path, LockLine(book.id, book.version, book.digest, "jane.doe", "2026-11-28"))
        assert library.runbook(KEY) == book


def test_s34_an_undo_that_opens_a_door_asks_for_what_opening_it_asks(proof: Proof) -> None:
    """A runbook of low risk switches a key off; to switch it on again asks for a code and the target."""
    low = disable_leaked_key(risk=Risk.LOW, approval=ApprovalProfile())
    for _ in (trials := proof("S34", "an undo is as risky as what it does")):
        world = World(low)
        world.incident()
        plan = world.contains()
        assert (plan.state, plan.risk) == (PlanState.DONE, Risk.LOW)
        undo = world.containment.preview_undo(plan.id, world.who("ana"))
        assert (undo.risk, undo.approval.step_up) == (Risk.HIGH, "totp")
        undo = world.asks_for("ana", undo)
        with pytest.raises(Refused, match=r"refused\.step_up_wrong"):
            world.approves("ben", undo, code="")
        with pytest.raises(Refused, match=r"refused\.typed_wrong"):
            world.approves("ben", undo, typed="")
        trials.outcome("refused", 2)
