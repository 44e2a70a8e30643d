"""What an installation hands out when its day is over: the audit export, and the logs of its cloud and its Slack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab.installation.acts import Installation
from twokey.history import History, Violation, judge, read


@dataclass(frozen=True)
class Recorded:
    """The three files of a history, for the history checker."""

    trail: Path
    cloud: Path
    slack: Path

    def history(self) -> History:
        """Read them."""
        trail, cloud, slack = (
            path.read_text(encoding="utf-8").split("\n") for path in (self.trail, self.cloud, self.slack)
        )
        return read(trail, cloud, slack)

    def judged(self) -> list[Violation]:
        """Say which promises were broken."""
        return judge(self.history())


def record(world: Installation, folder: Path | None = None) -> Recorded:
    """Export the trail through the program, and keep the logs beside it."""
    place = folder or world.folder
    files = Recorded(place / "trail.jsonl", place / "cloud.jsonl", place / "slack.jsonl")
    files.trail.unlink(missing_ok=True)
    done = world.twokey("audit", "export", "--out", str(files.trail))
    if done.returncode:
        raise AssertionError(done.stderr)
    files.cloud.write_text("".join(f"{call.line()}\n" for call in list(world.proxy.calls)))
    files.slack.write_text("".join(f"{line}\n" for line in world.slack.log()))
    return files
