"""B9: how long `twokey --help` and `twokey --version` take, beside `python -c 'import click'`."""

from __future__ import annotations

import subprocess
import sys

import measure
from measure import Figures, Outcome, Size, at_most, compared, timed

TWOKEY = "import sys; from twokey.cli import main; sys.argv = ['twokey', '{}']; main()"
HEAVY = (
    "boto3",
    "botocore",
    "azure",
    "slack_bolt",
    "slack_sdk",
    "sqlmodel",
    "sqlalchemy",
    "jinja2",
    "aiohttp",
)
LOADED = "\nimport atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"


def milliseconds(code: str, times: int) -> Figures:
    """Run an interpreter several times, without the user's site, and return the median."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-I", "-c", code]
    took = [timed(lambda: subprocess.run(command, check=True, **quiet)) * 1e3 for _ in range(times)]
    return {"ms": measure.percentile(took, 0.5)}


def loaded() -> set[str]:
    """Return which heavy packages `--help` imports."""
    code = "import sys" + LOADED + TWOKEY.format("--help")
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in ran.stderr.split()} & set(HEAVY)


def run(size: Size) -> Outcome:
    """Measure in turns."""
    times = size.of(10, 3)
    sides = {
        "help": lambda: milliseconds(TWOKEY.format("--help"), times),
        "import click": lambda: milliseconds("import click", times),
        "version": lambda: milliseconds(TWOKEY.format("--version"), times),
    }
    milliseconds(TWOKEY.format("--help"), 1)  # compiled files and pages of the disk are there for all
    figures = measure.interleaved(size, sides)
    heavy = loaded()
    told = f"imports {', '.join(sorted(heavy))}" if heavy else "imports no SDK and no SQL"
    if heavy:
        raise RuntimeError(f"twokey --help {told}: it must not")
    peer = {"peer": "import click", "goal": at_most(1.8)}
    return [
        compared("B9", "`twokey --help`", "ms", figures, "ms", ours="help", note=told, **peer),
        compared("B9", "`twokey --version`", "ms", figures, "ms", ours="version", **peer),
    ]


if __name__ == "__main__":
    measure.main(run, __doc__)
