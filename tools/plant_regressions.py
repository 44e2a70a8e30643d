"""Do the suites see what they are for? Plant known mistakes into a copy of the project, one by one: each must turn red.

    python tools/plant_regressions.py [--only NAME]

A mistake that leaves its tests green, tests that are red without it, or code that has changed so that a mistake no
longer fits: each makes this program fail.
"""

from __future__ import annotations

import argparse
import site
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mistake:
    """One mistake: (file, what stands there, what stands there instead), and the tests that must see it."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    tests: tuple[str, ...]


MISTAKES = (
    Mistake(
        "the unique key on (plan, person) is dropped",
        (
            ("src/twokey/store/tables.py", '        UniqueConstraint("plan_id", "person_id"),\n', ""),
            (
                "src/twokey/store/migrations/versions/r0001_first.py",
                '        sa.UniqueConstraint("plan_id", "person_id", name="uq_approval_plan_id_person_id"),\n',
                "",
            ),
        ),
        ("tests/attacks/test_s02_one_person_twice.py",),
    ),
    Mistake(
        "the digest is not checked when the run begins",
        (
            (
                "src/twokey/core/approvals.py",
                "    if digest_now != plan.digest or digests != {plan.digest}:\n",
                "    if digests != {plan.digest}:\n",
            ),
        ),
        ("tests/attacks/test_s04_not_what_was_confirmed.py",),
    ),
    Mistake(
        "SQS is acknowledged before the notification is stored",
        (
            (
                "src/twokey/app/running.py",
                "            self._intake.receive(batch)\n            self._source.done(batch)\n",
                "            self._source.done(batch)\n            self._intake.receive(batch)\n",
            ),
        ),
        ("tests/faults/test_r01_killed_while_receiving.py",),
    ),
    Mistake(
        "a confirmed write is skipped by one",
        (
            (
                "src/twokey/flow/containment/skip.py",
                '    if decision != "skip" or question.step is None or not question.step.effect.is_write:\n',
                "    if question.plan.id:\n",
            ),
        ),
        ("tests/attacks/test_s24_skipped_by_one.py",),
    ),
    Mistake(
        "<!channel> is not escaped for Slack",
        (
            (
                "src/twokey/chat/slack/views/text.py",
                'str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "\\u02cb"})',
                'str.maketrans({"`": "\\u02cb"})',
            ),
        ),
        ("tests/attacks/test_s07_hostile_text.py",),
    ),
    Mistake(
        "a forged undo: it is believed, and not derived from its run",
        (
            (
                "src/twokey/flow/execution/claim.py",
                "            fresh = planner.observe_undo_again(plan, undone, journal)\n",
                "            fresh = planner._observed(replace(plan, observed={}, touches=(), blast={}), {})\n",
            ),
        ),
        ("tests/attacks/test_s30_forged_undo.py",),
    ),
    Mistake(
        "a parameter override: what a person gives wins over the settings",
        (
            (
                "src/twokey/flow/planning/parameters.py",
                "        if is_config and not param.may_override:\n",
                "        if is_config and param.may_override:\n",
            ),
        ),
        ("tests/attacks/test_s28_where_a_value_came_from.py",),
    ),
    Mistake(
        "a key's signature is not verified when the run begins",
        (
            (
                "src/twokey/flow/execution/claim.py",
                "                require_signed(plan, approvals, roster, passkeys.signs)\n",
                "",
            ),
        ),
        ("tests/attacks/test_s31_forged_keys.py",),
    ),
)


def copied(folder: Path) -> Path:
    """Return a copy of what is committed, with an environment of its own that imports the copy."""
    project = folder / "project"
    project.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x"], cwd=project, input=archive.stdout, check=True)
    venv.create(project / ".venv", with_pip=False)
    (packages,) = (project / ".venv").glob("lib/python*/site-packages")
    ours = [path for path in site.getsitepackages() if Path(path).name == "site-packages"]
    adds = "\n".join(f"import site; site.addsitedir({path!r})" for path in ours)
    (packages / "a_copy.pth").write_text(f"{project / 'src'}\n{adds}\n")
    return project


def run(project: Path, tests: tuple[str, ...]) -> tuple[bool, str]:
    """Run tests in a copy; return whether they are green, and the last lines they printed."""
    python = project / ".venv/bin/python"
    where = subprocess.run(
        [python, "-c", "import twokey; print(twokey.__file__)"], check=True, capture_output=True
    )
    assert str(project) in where.stdout.decode(), where.stdout
    command = [str(python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run {tests}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode == 0, "\n".join(failed[:3])


def plant(project: Path, mistake: Mistake) -> None:
    """Make the mistake; refuse when the code is no longer as it was."""
    for name, there, instead in mistake.edits:
        file = project / name
        text = file.read_text("utf-8")
        if text.count(there) != 1:
            raise SystemExit(f"{name} has changed: {there.strip()!r} is there {text.count(there)} times")
        file.write_text(text.replace(there, instead), "utf-8")


def main() -> None:
    """Plant every mistake, and say which were seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="only the mistakes with this text in their name")
    wanted = parser.parse_args().only
    missed = 0
    for mistake in MISTAKES:
        if wanted not in mistake.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            project = copied(Path(folder))
            is_green, failed = run(project, mistake.tests)
            if not is_green:
                raise SystemExit(f"{mistake.tests} are red without any mistake:\n{failed}")
            plant(project, mistake)
            is_green, failed = run(project, mistake.tests)
        missed += is_green
        print(f"{'MISSED' if is_green else 'seen'}  {mistake.name}\n{failed}", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
