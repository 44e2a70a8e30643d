"""Commits in a repository that exists: one for each publication, nobody else's work in them, never a push."""

import os
import subprocess

import pytest

from twokey.core.errors import Refused, Unavailable
from twokey.publish.git import GitRepository
from twokey.testing.builders import a_postmortem

ENV = {
    "PATH": os.defpath,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "HOME": "/nonexistent",
}


def git(where, *arguments):
    command = ["git", "-C", str(where), "-c", "user.name=Ann", "-c", "user.email=ann@x.example", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=ENV).stdout


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "README").write_text("hello")
    git(tmp_path, "add", "README")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def commits(where):
    return git(where, "log", "--format=%an <%ae> %s").splitlines()


def test_a_publication_is_one_commit_by_twokey(repository):
    where = GitRepository(repository / "postmortems").publish(a_postmortem())
    assert commits(repository)[0] == "twokey <twokey@localhost> Post-mortem INC-12 (en, internal)"
    assert len(commits(repository)) == 2
    head = git(repository, "rev-parse", "HEAD").strip()
    assert where == f"postmortems/internal/INC-12.en.internal.md@{head[:12]}"
    assert git(repository, "status", "--porcelain") == ""


def test_the_same_text_again_makes_no_second_commit_and_says_the_same_place(repository):
    place = GitRepository(repository)
    first = place.publish(a_postmortem())
    place.publish(a_postmortem("ja"))
    assert place.publish(a_postmortem()) == first
    assert len(commits(repository)) == 3


def test_a_new_text_is_a_new_commit_and_the_old_one_is_history(repository):
    place = GitRepository(repository)
    first = place.publish(a_postmortem(text="one"))
    assert place.publish(a_postmortem(text="two")) != first
    assert git(repository, "show", "HEAD~1:internal/INC-12.en.internal.md") == "one"
    assert not (repository / "internal" / "earlier").exists()


def test_an_unborn_branch_takes_the_first_commit(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    GitRepository(tmp_path).publish(a_postmortem())
    assert len(commits(tmp_path)) == 1


def test_a_crash_between_writing_and_committing_is_mended_by_the_next_try(repository):
    (repository / "internal").mkdir()
    (repository / "internal" / "INC-12.en.internal.md").write_text(a_postmortem().text)
    git(repository, "add", "internal")
    GitRepository(repository).publish(a_postmortem())
    assert len(commits(repository)) == 2
    assert git(repository, "status", "--porcelain") == ""


def test_what_others_have_staged_stops_us_and_stays_staged(repository):
    (repository / "README").write_text("changed")
    git(repository, "add", "README")
    with pytest.raises(Refused) as raised:
        GitRepository(repository).publish(a_postmortem())
    assert raised.value.message.code == "publish.index_dirty"
    assert raised.value.message.params["files"] == "README"
    assert git(repository, "status", "--porcelain") == "M  README\n"


def test_what_others_have_changed_but_not_staged_is_left_alone(repository):
    (repository / "README").write_text("changed")
    (repository / "new").write_text("untracked")
    GitRepository(repository).publish(a_postmortem())
    assert git(repository, "status", "--porcelain") == " M README\n?? new\n"


def test_a_merge_in_progress_stops_us(repository):
    git(repository, "checkout", "-q", "-b", "other")
    (repository / "README").write_text("theirs")
    git(repository, "commit", "-q", "-am", "theirs")
    git(repository, "checkout", "-q", "main")
    (repository / "README").write_text("ours")
    git(repository, "commit", "-q", "-am", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "other")
    with pytest.raises(Refused) as raised:
        GitRepository(repository).publish(a_postmortem())
    assert raised.value.message.code == "publish.repository_busy"
    assert raised.value.message.params["what"] == "merge"


def test_a_page_edited_by_hand_and_not_committed_is_not_written_over(repository):
    place = GitRepository(repository)
    place.publish(a_postmortem(text="one"))
    page = repository / "internal" / "INC-12.en.internal.md"
    page.write_text("one, by hand")
    with pytest.raises(Refused) as raised:
        place.publish(a_postmortem(text="two"))
    assert raised.value.message.code == "publish.file_edited"
    assert page.read_text() == "one, by hand"


def test_no_repository_is_named(tmp_path):
    with pytest.raises(Refused) as raised:
        GitRepository(tmp_path).publish(a_postmortem())
    assert raised.value.message.code == "publish.not_a_repository"
    assert list(tmp_path.iterdir()) == []


def test_a_bare_repository_is_no_place(tmp_path):
    git(tmp_path, "init", "-q", "--bare")
    with pytest.raises((Refused, Unavailable)):
        GitRepository(tmp_path).publish(a_postmortem())


def test_a_locked_index_is_worth_another_try_and_says_what_git_said(repository):
    (repository / ".git" / "index.lock").touch()
    with pytest.raises(Unavailable) as raised:
        GitRepository(repository).publish(a_postmortem())
    assert raised.value.message.code == "publish.git_failed"
    (repository / ".git" / "index.lock").unlink()
    GitRepository(repository).publish(a_postmortem())
    assert len(commits(repository)) == 2


def test_hooks_and_the_machines_own_settings_do_not_run(repository, tmp_path):
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n")
    hook.chmod(0o755)
    GitRepository(repository).publish(a_postmortem())
    assert not (repository / "ran").exists()


def test_a_hostile_text_or_folder_name_is_never_a_shell_or_an_option(repository):
    GitRepository(repository / "--upload-pack=x; touch pwned").publish(
        a_postmortem(text="$(touch pwned)\n--amend")
    )
    assert not (repository / "pwned").exists()
    assert len(commits(repository)) == 2


def test_nothing_is_ever_pushed(repository, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q", "--bare", "-b", "main")
    git(repository, "remote", "add", "origin", str(other))
    git(repository, "push", "-q", "-u", "origin", "main")
    before = git(other, "rev-parse", "main")
    GitRepository(repository).publish(a_postmortem())
    assert git(other, "rev-parse", "main") == before
