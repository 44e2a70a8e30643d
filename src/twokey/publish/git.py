"""Post-mortems as commits in a repository that exists: one commit for each publication, never a push."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twokey.core.errors import Refused, Unavailable
from twokey.core.postmortems import Postmortem, text_digest
from twokey.publish.folder import Folder

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
        self._folder = Folder(folder, keep_earlier=False)  # the history keeps them
        self._seconds = seconds
        self._program = shutil.which("git")

    def publish(self, postmortem: Postmortem) -> str:
        """Write and commit, and return `<path>@<commit>`; a text that is committed makes no second one."""
        root = self._work_tree()
        with self._alone(root):
            self._refuse_unready(root)
            path = self._folder.path(postmortem).resolve().relative_to(root).as_posix()
            self._refuse_edited(root, path, postmortem)
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
        start = next(place for place in (folder, *folder.parents) if place.is_dir())
        try:
            found = self._git(start, "rev-parse", "--show-toplevel").strip()
        except Unavailable as fault:
            if "not a git repository" in fault.message.params["problem"]:
                raise Refused("publish.not_a_repository", path=folder) from None
            raise
        if not found:  # a bare repository has no files
            raise Refused("publish.not_a_repository", path=folder)
        return Path(found).resolve()

    def _refuse_unready(self, root: Path) -> None:
        """Refuse when a commit of ours would mix with work of other people's."""
        state = self._state_folder(root)
        for name, what in _BUSY.items():
            if (state / name).exists():
                raise Refused("publish.repository_busy", path=root, what=what)
        staged = [
            name for name in self._git(root, "diff", "--cached", "--name-only", "-z").split("\0") if name
        ]
        ours = {self._place_in(root, audience) for audience in ("internal", "public")}
        foreign = [name for name in staged if not any(name.startswith(prefix) for prefix in ours)]
        if foreign:
            raise Refused("publish.index_dirty", path=root, files=", ".join(foreign[:5]))

    def _refuse_edited(self, root: Path, path: str, postmortem: Postmortem) -> None:
        """Refuse to write over words of a person's that are in no commit yet."""
        text = postmortem.text.encode("utf-8", "replace")
        file = root / path
        if (
            file.is_file()
            and file.read_bytes() != text
            and self._git(root, "status", "--porcelain", "--", path)
        ):
            raise Refused("publish.file_edited", path=file)

    def _place_in(self, root: Path, audience: str) -> str:
        return (self._folder.root.resolve() / audience).relative_to(root).as_posix() + "/"

    def _state_folder(self, root: Path) -> Path:
        return (root / self._git(root, "rev-parse", "--git-dir").strip()).resolve()

    @contextmanager
    def _alone(self, root: Path) -> Iterator[None]:
        """Let two publications of ours wait for each other; git's own lock makes the second one fail."""
        with (self._state_folder(root) / "twokey.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

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
