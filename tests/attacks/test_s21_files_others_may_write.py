"""S21: a file that others may write decides nothing: not who may act, not what may be proposed, not a code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.trials import Proof
from twokey.app import declarations
from twokey.catalog.library import FileLibrary
from twokey.catalog.roster import FileRosters
from twokey.clouds import CLOUDS
from twokey.core.errors import Refused
from twokey.settings import data_folder
from twokey.stepup import new_secret, read_secrets

ROSTER = Path(__file__).resolve().parents[1] / "fixtures" / "rosters" / "good.yaml"
RUNBOOK = "aws.quarantine-account"
FOREIGN_GROUP = 4_242
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another group")

# what stands in the installation's folder, and what must not be possible once others may write it
FILES = (
    "roster.yaml",
    "totp.yaml",
    f"runbooks/{RUNBOOK}.yaml",
    "runbooks/approved.lock",
    "runbooks/documents/scp/deny-all-except-responder.json",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An installation's files, which only their owner may write."""
    shutil.copy(ROSTER, tmp_path / "roster.yaml")
    shutil.copytree(data_folder("runbooks"), tmp_path / "runbooks")
    new_secret(tmp_path / "totp.yaml", "mika.sato")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o022)
    return tmp_path


def asked(home: Path, name: str) -> Callable[[], object]:
    """Return what needs this file."""
    if name.startswith("runbooks"):
        library = FileLibrary(home / "runbooks", declarations())  # one that has read the good files already
        return lambda: library.runbook(RUNBOOK)
    if name == "totp.yaml":
        return lambda: read_secrets(home / name)
    return FileRosters(home / name, tuple(module.scope for module in CLOUDS)).current


def assert_refused(ask: Callable[[], object]) -> None:
    with pytest.raises(Refused) as refused:
        ask()
    told = refused.value.message
    assert told.code in {
        "refused.roster_writable",
        "runbook.lock_faulty",
        "runbook.faulty",
        "refused.step_up_file_open",
        "refused.step_up_file_writable",
    }


@pytest.mark.parametrize("name", FILES)
def test_s21_a_file_that_others_may_write_is_refused_until_it_is_mended(
    home: Path, name: str, proof: Proof
) -> None:
    ask = asked(home, name)
    trials = proof("S21", "a file that others may write, or replace in its folder, is refused")
    for _ in trials:
        ask()  # as it is, it does
        for path in (home / name, (home / name).parent):
            before = path.stat().st_mode & 0o7777
            for bits in (0o002, 0o022, 0o006):
                path.chmod(before | bits)
                assert_refused(ask)
                trials.outcome("refused")
            path.chmod(before)
            ask()
        trials.count(5)


@needs_root
@pytest.mark.parametrize("name", FILES)
def test_s21_a_group_that_is_not_the_process_own_may_not_write(home: Path, name: str, proof: Proof) -> None:
    ask = asked(home, name)
    trials = proof("S21", "a file that a foreign group may write, or replace in its folder, is refused")
    for _ in trials:
        for path in (home / name, (home / name).parent):
            before = path.stat().st_mode & 0o7777
            path.chmod(before | 0o020)
            if name != "totp.yaml" or path.is_dir():
                ask()  # a clone made under umask 002 is the user's own group's
            os.chown(path, -1, FOREIGN_GROUP)
            assert_refused(ask)
            trials.outcome("refused")
            os.chown(path, -1, os.getegid())
            path.chmod(before)
        trials.count(1)


def test_s21_a_mounted_secret_is_read_from_its_sticky_folder_and_through_its_link(
    home: Path, proof: Proof
) -> None:
    """Kubernetes mounts a folder of everybody's with the sticky bit, and in it a link to a link."""
    for _ in (trials := proof("S21", "a mounted secret is read, a link into others' folder is not")):
        mounted, real = home / "mounted", home / "mounted" / "..2026"
        real.mkdir(parents=True)
        shutil.move(home / "roster.yaml", real / "roster.yaml")
        (mounted / "..data").symlink_to("..2026")
        (mounted / "roster.yaml").symlink_to("..data/roster.yaml")
        mounted.chmod(0o1777)
        ask = asked(mounted, "roster.yaml")
        ask()
        trials.outcome("read")
        real.chmod(0o777)
        assert_refused(ask)
        trials.outcome("refused")


def test_s21_the_refusal_names_file_mode_and_mend_and_no_path_of_the_machine(home: Path) -> None:
    (home / "roster.yaml").chmod(0o666)
    with pytest.raises(Refused) as refused:
        asked(home, "roster.yaml")()
    assert refused.value.message.params["problem"] == "roster.yaml 0666: chmod go-w roster.yaml"
