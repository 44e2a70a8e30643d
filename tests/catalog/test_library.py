"""Approved is checked, not assumed: what the lock says, and that no change is missed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from twokey.catalog.library import FileLibrary
from twokey.catalog.lock import NAME, LockLine, parse_lock, read_lock, write_line
from twokey.core.errors import Invalid, NotFound, Refused
from twokey.ports import Cloud

QUARANTINE, KEY = "demo.quarantine-account", "demo.disable-key"
DIGEST = "a" * 64


@pytest.fixture
def library(own_folder: Path, clouds: Mapping[str, Cloud]) -> FileLibrary:
    return FileLibrary(own_folder, clouds)


def _approve(library: FileLibrary, runbook_id: str = KEY) -> None:
    book = library.reading(runbook_id).runbook
    assert book is not None
    for name in ("jane.doe", "joe.roe"):
        write_line(library.folder, LockLine(book.id, book.version, book.digest, name, "2026-01-31"))


def test_a_runbook_that_nobody_approved_cannot_be_proposed(library: FileLibrary) -> None:
    assert library.approved() == []
    with pytest.raises(Refused) as refused:
        library.runbook(KEY)
    told = refused.value.message
    assert told.code == "runbook.not_approved"
    assert len(told.params["digest"]) == 64
    assert told.params["command"] == f"twokey runbook approve {KEY} --by NAME"


def test_an_approved_runbook_can_be_proposed_and_the_others_cannot(library: FileLibrary) -> None:
    _approve(library)
    assert [book.id for book in library.approved()] == [KEY]
    assert library.runbook(KEY).title.startswith("Deactivate")
    with pytest.raises(Refused):
        library.runbook(QUARANTINE)


def test_one_changed_word_ends_the_approval_even_with_the_same_size_and_time(library: FileLibrary) -> None:
    _approve(library)
    assert library.runbook(KEY)
    path = library.folder / f"{KEY}.yaml"
    before = path.stat()
    path.write_text(path.read_text().replace("buckets: 50", "buckets: 99"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(Refused, match=r"runbook\.not_approved"):
        library.runbook(KEY)
    assert library.approved() == []


def test_a_changed_document_ends_the_approval_of_its_runbook(library: FileLibrary) -> None:
    _approve(library, QUARANTINE)
    assert library.runbook(QUARANTINE)
    document = library.folder / "documents" / "scp" / "deny-all-except-responder.json"
    before = document.stat()
    document.write_text(document.read_text().replace('"Deny"', '"deny"'))
    os.utime(document, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(Refused, match=r"runbook\.not_approved"):
        library.runbook(QUARANTINE)


def test_a_document_that_is_gone_makes_its_runbook_faulty(library: FileLibrary) -> None:
    _approve(library, QUARANTINE)
    assert library.runbook(QUARANTINE)
    (library.folder / "documents" / "scp" / "deny-all-except-responder.json").unlink()
    with pytest.raises(Refused, match=r"runbook\.faulty"):
        library.runbook(QUARANTINE)


def test_another_version_in_the_lock_is_no_approval(library: FileLibrary) -> None:
    book = library.reading(KEY).runbook
    assert book is not None
    write_line(library.folder, LockLine(KEY, "9.9.9", book.digest, "jane", "2026-01-31"))
    with pytest.raises(Refused, match=r"runbook\.not_approved"):
        library.runbook(KEY)


def test_a_withdrawn_line_ends_the_approval_at_once(library: FileLibrary) -> None:
    _approve(library)
    assert library.runbook(KEY)
    (library.folder / NAME).unlink()
    with pytest.raises(Refused, match=r"runbook\.not_approved"):
        library.runbook(KEY)


def test_a_faulty_file_is_reported_and_takes_no_other_down(library: FileLibrary) -> None:
    _approve(library)
    (library.folder / f"{QUARANTINE}.yaml").write_text("kind: [")
    assert [book.id for book in library.approved()] == [KEY]
    with pytest.raises(Refused) as refused:
        library.runbook(QUARANTINE)
    assert refused.value.message.code == "runbook.faulty"
    assert f"{QUARANTINE}.yaml:2" in refused.value.message.params["first"]
    assert [fault.message.code for fault in library.faults()] == ["yaml.syntax"]


def test_a_mended_file_is_good_again_without_a_restart(library: FileLibrary) -> None:
    _approve(library)
    path = library.folder / f"{KEY}.yaml"
    text = path.read_text()
    path.write_text(text.replace("risk: high", "risk: none"))
    with pytest.raises(Refused, match=r"runbook\.faulty"):
        library.runbook(KEY)
    path.write_text(text)
    assert library.runbook(KEY)


@pytest.mark.parametrize(
    "name", ["demo.disable-kee", "demo.nothing-like-it", "../../etc/passwd", "demo.x/../y", "", "DEMO.X"]
)
def test_a_name_that_is_no_runbook_is_not_found(name: str, library: FileLibrary) -> None:
    with pytest.raises(NotFound):
        library.runbook(name)


def test_a_misspelt_name_is_answered_with_the_right_one(library: FileLibrary) -> None:
    with pytest.raises(NotFound) as missing:
        library.runbook("demo.disable-kee")
    assert missing.value.message.params["nearest"] == KEY


def test_a_file_with_another_ending_is_told_instead_of_overlooked(library: FileLibrary) -> None:
    (library.folder / "demo.other.yml").write_text("a: b")
    assert [fault.message.code for fault in library.faults()] == ["runbook.file_name"]


def test_a_line_for_a_runbook_that_is_gone_is_told(library: FileLibrary) -> None:
    _approve(library)
    (library.folder / f"{KEY}.yaml").unlink()
    assert [fault.message.code for fault in library.faults()] == ["lock.no_such_runbook"]


@pytest.mark.parametrize(
    "line",
    [
        f"{KEY} 1.2.0 sha256:{DIGEST} jane",
        f"{KEY} 1.2.0 {DIGEST} jane 2026-01-31",
        f"{KEY} 1.2.0 sha256:{DIGEST[:-1]} jane 2026-01-31",
        f"{KEY} 1.2.0 sha256:{DIGEST} jane 2026-13-31",
        f"{KEY} 1.2.0 sha256:{DIGEST} jane doe 2026-01-31",
        f"{KEY} 1.2.0 sha256:{DIGEST.upper()} jane 2026-01-31",
        f" {KEY} 1.2.0 sha256:{DIGEST} jane 2026-01-31",
        "* 1.2.0 sha256:* jane 2026-01-31",
    ],
)
def test_a_malformed_line_approves_nothing_at_all_and_is_told(line: str, library: FileLibrary) -> None:
    _approve(library)
    with (library.folder / NAME).open("a", newline="") as file:
        file.write(line + "\n")
    with pytest.raises(Refused, match=r"runbook\.lock_faulty"):
        library.runbook(KEY)
    with pytest.raises(Refused, match=r"runbook\.lock_faulty"):
        library.approved()
    fault = library.faults()[-1].message
    assert (fault.code, fault.params["line"]) == ("lock.malformed", "4")


def test_two_lines_for_one_runbook_are_refused() -> None:
    line = f"{KEY} 1.2.0 sha256:{DIGEST} jane 2026-01-31\n"
    with pytest.raises(Invalid) as refused:
        parse_lock("# head\n" + line + line, NAME)
    assert (refused.value.message.code, refused.value.message.params["line"]) == ("lock.duplicate", "3")


def test_approving_replaces_one_line_and_keeps_the_others_in_order(tmp_path: Path) -> None:
    for name in ("demo.b", "demo.a"):
        assert write_line(tmp_path, LockLine(name, "1.0.0", DIGEST, "jane", "2026-01-31")) is None
    before = write_line(tmp_path, LockLine("demo.b", "1.1.0", "b" * 64, "joe", "2026-02-01"))
    assert before is not None
    assert before.version == "1.0.0"
    assert list(read_lock(tmp_path)) == ["demo.a", "demo.b"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME], "nothing is left beside it"


def test_the_same_person_twice_is_one_name_and_a_changed_file_begins_anew(tmp_path: Path) -> None:
    for by in ("jane", "Jane", "jane"):
        write_line(tmp_path, LockLine("demo.a", "1.0.0", DIGEST, by, "2026-01-31"))
    assert not read_lock(tmp_path)["demo.a"].has_two_names
    write_line(tmp_path, LockLine("demo.a", "1.0.0", DIGEST, "joe", "2026-02-01"))
    assert read_lock(tmp_path)["demo.a"].names == ("jane", "joe")
    write_line(tmp_path, LockLine("demo.a", "1.0.0", "b" * 64, "joe", "2026-02-02"))
    assert read_lock(tmp_path)["demo.a"].names == ("joe",)


@pytest.mark.parametrize("by", ["jane doe", "", "jane\n# x", "#jane", "jane,joe", "j" * 200])
def test_an_approver_whose_name_would_break_the_line_is_refused(by: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"lock\.by_malformed"):
        write_line(tmp_path, LockLine("demo.a", "1.0.0", DIGEST, by, "2026-01-31"))
    assert read_lock(tmp_path) == {}
