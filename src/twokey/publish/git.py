"""Post-mortems as commits in a repository that exists: one commit for each publication, never a push."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from twokey.core.errors import Refused, Unavailable
from twokey.core.postmortems import AUDIENCES, Postmortem, text_digest
from twokey.publish.folder import PostmortemFolder

AUTHOR = "twokey"
EMAIL = "twokey@localhost"
SECONDS = 60.0
# What git leaves in its folder while somebody is in the middle of something.
_BUSY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "BISECT_LOG": "bisect",
}
# Hooks and signing are other people's programs, and the machine's own git settings are not ours to follow.
_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", "-c", "core.fsmonitor=false"),
    *(
        "-c",
        "core.quotePath=false",
        "-c",
        "gc.auto=0",
        "-c",
        f"user.name={AUTHOR}",
        "-c",
        f"user.email={EMAIL}",
    ),
)


class GitRepository:
    """Commits post-mortems into the repository around `folder`."""

    def __init__(self, folder: Path, *, seconds: float = SECONDS) -> None:
        self._folder = PostmortemFolder(folder, keep_earlier=False)  # the history keeps them
        self._seconds = seconds
        self._program = shutil.which("git")

    def publish(self, postmortem: Postmortem) -> str:
        """Write and commit, and return `<path>@<commit>`; a text that is committed makes no second one."""
        root = self._work_tree()
        with (self._state_folder(root) / "twokey.lock").open("w") as lock:
            # Two publications of ours wait for each other; git's own lock would make the second one fail.
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._require_idle(root)
            path = self._folder.path(postmortem).resolve().relative_to(root).as_posix()
            text, file = postmortem.text.encode("utf-8", "replace"), root / path
            is_changed = file.is_file() and file.read_bytes() != text
            if is_changed and self._git(root, "status", "--porcelain", "--", path):
                raise Refused("publish.file_edited", path=file)  # a person's words are in no commit yet
            self._folder.publish(postmortem)
            self._git(root, "add", "--force", "--", path)
            if self._git(root, "diff", "--cached", "--name-only", "-z", "--", path):
                subject = (
                    f"Post-mortem {postmortem.incident_id} ({postmortem.language}, {postmortem.audience})"
                )
                body = f"SHA-256 of the text: {text_digest(postmortem.text)}"
                self._git(root, "commit", "--quiet", "-m", subject, "-m", body, "--", path)
            commit = self._git(root, "log", "-1", "--format=%H", "--", path).strip()
            return f"{path}@{commit[:12]}"

    def _work_tree(self) -> Path:
        folder = self._folder.root.resolve()
        start = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
        try:
            found = self._git(start, "rev-parse", "--show-toplevel").strip()
        except Unavailable as fault:
            if "not a git repository" in fault.message.params["problem"]:
                raise Refused("publish.not_a_repository", path=folder) from None
            raise
        if not found:  # a bare repository has no files
            raise Refused("publish.not_a_repository", path=folder)
        return Path(found).resolve()

    def _require_idle(self, root: Path) -> None:
        """Refuse when a commit of ours would mix with work of other people's."""
        state = self._state_folder(root)
        for name, what in _BUSY.items():
            if (state / name).exists():
                raise Refused("publish.repository_busy", path=root, what=what)
        staged = [
            name for name in self._git(root, "diff", "--cached", "--name-only", "-z").split("\0") if name
        ]
        folder = self._folder.root.resolve().relative_to(root)
        ours = {(folder / audience).as_posix() + "/" for audience in AUDIENCES}
        foreign = [name for name in staged if not any(name.startswith(prefix) for prefix in ours)]
        if foreign:
            raise Refused("publish.index_dirty", path=root, files=", ".join(foreign[:5]))

    def _state_folder(self, root: Path) -> Path:
        return (root / self._git(root, "rev-parse", "--git-dir").strip()).resolve()

    def _git(self, where: Path, *arguments: str) -> str:
        if self._program is None:
            raise Refused("publish.no_git")
        command = [self._program, "-C", str(where), *_OPTIONS, *arguments]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=self._seconds,
                check=False,
                stdin=subprocess.DEVNULL,
                env={"PATH": str(Path(self._program).parent), "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
                | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(
                "publish.git_slow", command=arguments[0], path=where, seconds=round(self._seconds)
            ) from None
        if done.returncode:
            problem = done.stderr.decode(errors="replace").strip().splitlines()
            raise Unavailable(
                "publish.git_failed", command=arguments[0], path=where, problem=(problem or ["-"])[-1][:300]
            )
        return done.stdout.decode(errors="replace")
