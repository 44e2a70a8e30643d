"""S11: files that people are asked to review cannot run code, hide anything, or stop the program; each fault is named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.commands import Commands, CompletedCommand
from tests.lab.trials import Proof
from twokey.settings import data_folder

PWNED = "pwned-by-yaml"
RUN = f"touch {PWNED}"
ROSTER = """\
people:
  - id: p-ana
    name: Ana
    slack: [{team: T0ACME, user: U0ANA}]
    roles: [approver]
    scopes: ["*"]
"""
SHIPPED = {
    "runbook": (data_folder("runbooks") / "aws.protect-buckets.yaml").read_text(),
    "rules": (data_folder("rules") / "azure.yaml").read_text(),
    "roster": ROSTER,
}
# where a value stands that can be replaced, in each kind of file
VALUE = {
    "runbook": "title: Protect buckets from deletion until the incident is over",
    "rules": "kind: Rules",
    "roster": "name: Ana",
}
LAUGHS = "\n".join(
    ["bomb0: &b0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    + [f"bomb{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 12)]
)
# what is written in the place of the value; `{key}` is its key
VALUES: dict[str, str] = {
    "python object": f"{{key}}: !!python/object/apply:os.system ['{RUN}']",
    "python new": f"{{key}}: !!python/object/new:subprocess.Popen [['touch', '{PWNED}']]",
    "python name": "{key}: !!python/name:os.system",
    "python module": "{key}: !!python/module:antigravity",
    "python, spelled out": f"{{key}}: !<tag:yaml.org,2002:python/object/apply:os.system> ['{RUN}']",
    "python tuple": "{key}: !!python/tuple [a, b]",
    "own tag": "{key}: !include /etc/passwd",
    "binary": "{key}: !!binary aGVsbG8=",
    "set": "{key}: !!set {{a, b}}",
    "string tag": "{key}: !!str text",
    "anchor": "{key}: &anchor text",
    "alias of nothing": "{key}: *nowhere",
    "itself": "{key}: &self [*self]",
    "merge": "{key}: text\n<<: {{a: b}}",
    "twice": "{key}: one\n{key}: two",
    "twice, quoted": "{key}: one\n\"{key}\": two",
    "on": "{key}: text\non: text",
    "no": "{key}: text\nno: text",
    "null key": "{key}: text\n~: text",
    "no key": "{key}: text\n: text",
    "list as a key": "{key}: text\n? [a, b]\n: text",
    "flow, deep": "{key}: " + "[" * 10_000 + "]" * 10_000,
    "mapping, deep": "{key}: " + "{{a: " * 5_000 + "1" + "}}" * 5_000,
    "flow, not closed": "{key}: " + "[" * 50_000,
    "many nodes": "{key}: [" + "a," * 300_000 + "]",
    "10 MB": "{key}: " + "x" * (10 << 20),
    "10 MB of lines": "{key}: |\n" + "  x\n" * (2 << 20),
    "NUL": "{key}: te\0xt",
    "ANSI": "{key}: te\x1b[31mxt",
    "escaped ANSI": '{key}: "te\\e[31mxt"',
    "right to left": "{key}: te\u202ext",
    "escaped right to left": '{key}: "te\\u202ext"',
    "zero width": "{key}: te\u200bxt",
    "line separator": "{key}: te\u2028xt",
    "tag characters": "{key}: te\U000e0041xt",
    "quote not closed": '{key}: "text',
    "tab": "{key}:\n\t- text",
    "no YAML": "{key}: text\n%%%: [}}",
    "second document": "{key}: text\n---\n{key}: other",
    "directive": "{key}: text\n...\n%TAG ! tag:yaml.org,2002:python/\n---\n{key}: !name:os.system",
}  # fmt: skip
WHOLE: dict[str, bytes] = {
    "laughs": LAUGHS.encode(),
    "nothing but depth": b"[" * 1_000_000,
    "block depth": b"".join(b" " * n + b"a:\n" for n in range(1_300)),
    "dashes": b"- " * 400_000,
    "not UTF-8": b"people: \xff\xfe\xfa",
    "UTF-16": "people: []".encode("utf-16"),
    "UTF-32": "people: []".encode("utf-32"),
    "a lone surrogate": b"people: \xed\xa0\x80",
    "a scalar": b"text",
    "a list": b"- a\n- b",
    "a number": b"0777",
    "only a tag": b"!!python/name:os.system",
    "NULs": b"\0" * 1000,
    "gzip": b"\x1f\x8b\x08\x00" + b"\0" * 100,
}


@pytest.fixture(scope="module")
def shell() -> Iterator[Commands]:
    with Commands() as made:
        yield made


def hostile(kind: str) -> Iterator[tuple[str, bytes]]:
    """Yield every hostile file of a kind: in the place of a value of a good file, and instead of the file."""
    good, value = SHIPPED[kind], VALUE[kind]
    line = next(line for line in good.splitlines() if value in line)
    indent = line[: line.index(value)]
    key = value.partition(":")[0]
    for name, text in VALUES.items():
        written = text.replace("{key}", key).replace("{{", "{").replace("}}", "}")
        yield name, good.replace(line, written.replace("\n", f"\n{indent}").join((indent, ""))).encode()
    yield from WHOLE.items()


def assert_named(ran: CompletedCommand, name: str, file: str, where: Path) -> None:
    """The command ended by itself, said where what is wrong, and did nothing of what the file wanted."""
    assert ran.code == 2, (name, ran)
    assert "Traceback" not in ran.output, (name, ran.output[-2000:])
    named = [line for line in ran.output.splitlines() if re.search(rf"{re.escape(file)}:\d+", line)]
    assert named, (name, ran.output[:500])
    hidden = [c for c in ran.output if not c.isprintable() and c != "\n"]
    assert not hidden, (name, hidden[:5])
    assert max(map(len, ran.output.splitlines())) < 2_000, (name, "a message repeats the file")
    assert not list(where.rglob(PWNED)), name
    assert ran.peak < 400 << 20, (name, ran.peak)
    assert ran.seconds < 60, (name, ran.seconds)


COMMANDS = {
    "runbook": ("runbook", "check"),
    "rules": ("rules", "check"),
    "roster": ("roster", "check"),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_hostile_file_is_an_error_with_its_line(
    shell: Commands, tmp_path: Path, proof: Proof, kind: str
) -> None:
    good = tmp_path / "good.yaml" if kind != "runbook" else tmp_path / "aws.protect-buckets.yaml"
    good.write_text(SHIPPED[kind])
    files = list(hostile(kind))
    trials = proof(
        "S11", f"a hostile {kind} file is named with its line, and nothing of it is done", ci=len(files)
    )
    if kind == "runbook":
        shutil.copytree(data_folder("runbooks"), tmp_path, dirs_exist_ok=True)
    fine = shell.run(tmp_path, {}, *COMMANDS[kind], str(good))
    assert fine.code == 0, fine
    for (name, content), _ in zip(files, trials, strict=True):
        path = tmp_path / good.name
        path.write_bytes(content)
        assert_named(shell.run(tmp_path, {}, *COMMANDS[kind], str(path)), name, path.name, tmp_path)
        trials.outcome(name)


def test_what_other_readers_take_for_something_else_stays_text(shell: Commands, tmp_path: Path) -> None:
    """`no` is not false, 012345670123 not 1402433619, 12:30:45 not 45045, 2023-12-05 not a date."""
    path = tmp_path / "roster.yaml"
    for text in (
        "no",
        "on",
        "y",
        "012345670123",
        "12:30:45",
        "2023-12-05",
        "0x1f",
        "1_000",
        "1e3",
        ".inf",
        "~",
    ):
        path.write_text(ROSTER.replace("name: Ana", f"name: {text}"))
        ran = shell.run(tmp_path, {"TWOKEY_ROSTER_FILE": str(path)}, "roster", "list", "--json")
        assert ran.code == 0, ran
        assert f'"name": "{text}"' in ran.out, (text, ran.out)
    path.write_text(ROSTER.replace("scopes", "no"))
    ran = shell.run(tmp_path, {}, "roster", "check", str(path))
    assert "no" in ran.out
    assert "False" not in ran.out


def settings_of(folder: Path) -> dict[str, str]:
    """Make an installation that could start, were it not for one file."""
    shutil.copytree(data_folder("runbooks"), folder / "runbooks")
    shutil.copytree(data_folder("rules"), folder / "rules")
    (folder / "roster.yaml").write_text(ROSTER)
    (folder / "totp.yaml").write_text("p-ana: JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\n")
    (folder / "totp.yaml").chmod(0o600)
    return {
        "TWOKEY_DATABASE_URL": f"sqlite:///{folder}/twokey.db",
        "TWOKEY_ROSTER_FILE": str(folder / "roster.yaml"),
        "TWOKEY_TOTP_FILE": str(folder / "totp.yaml"),
        "TWOKEY_RUNBOOKS_DIR": str(folder / "runbooks"),
        "TWOKEY_RULES_DIR": str(folder / "rules"),
        "TWOKEY_SLACK_API_URL": "http://127.0.0.1:9/api/",
        "TWOKEY_REHEARSAL": "1",
        "TWOKEY_SLACK_BOT_TOKEN": "xoxb-0000-0000",
        "TWOKEY_SLACK_APP_TOKEN": "xapp-0000-0000",
        "TWOKEY_SLACK_TEAM": "T0ACME",
        "TWOKEY_SLACK_CHANNEL": "C0ACME",
        "TWOKEY_CLOUDS": "aws",
    }


def refuse_to_start(shell: Commands, folder: Path, env: dict[str, str]) -> CompletedCommand:
    return shell.run(folder, env, "serve", within_s=60)


REHEARSED = ("TWOKEY_SLACK_API_URL", "TWOKEY_REHEARSAL")


def see_the_doctor(shell: Commands, folder: Path, env: dict[str, str]) -> CompletedCommand:
    # It calls nobody, and is red in any rehearsal: here it is asked about files.
    real = {name: value for name, value in env.items() if name not in REHEARSED}
    return shell.run(folder, real, "doctor")


LINES: dict[str, bytes] = {
    "python object": b"p-ana: !!python/object/apply:os.system ['touch pwned-by-yaml']\n",
    "twice": b"p-ana: JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\n" * 2,
    "flow": b"{p-ana: JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP}\n",
    "alias": b"a: &a JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\nb: *a\n",
    "10 MB": b"x" * (10 << 20),
    "deep": b"[" * 100_000,
    "NUL": b"p-ana: JBSWY3DP\0\n",
    "not a text": b"\xff\xfe",
    "short": b"p-ana: JBSWY3DP\n",
    "ANSI": b"p-ana: \x1b[31m\n",
}


@pytest.mark.parametrize(
    ("file", "contents", "command"),
    [
        ("rules/azure.yaml", dict(list(hostile("rules"))[::11]), refuse_to_start),
        ("roster.yaml", dict(list(hostile("roster"))[::11]), see_the_doctor),
        ("runbooks/aws.protect-buckets.yaml", dict(list(hostile("runbook"))[::11]), see_the_doctor),
        ("totp.yaml", LINES, see_the_doctor),
        (
            "runbooks/approved.lock",
            {name: text for name, text in LINES.items() if name != "short"},
            see_the_doctor,
        ),
    ],
    ids=["rules", "roster", "runbook", "totp", "lock"],
)
def test_a_start_and_the_doctor_name_the_hostile_file(
    shell: Commands,
    tmp_path: Path,
    proof: Proof,
    file: str,
    contents: dict[str, bytes],
    command: Callable[[Commands, Path, dict[str, str]], CompletedCommand],
) -> None:
    env = settings_of(tmp_path)
    healthy = see_the_doctor(shell, tmp_path, env)
    assert healthy.code == 0, healthy
    place = tmp_path / file
    trials = proof("S11", "a start and `twokey doctor` name the hostile file", ci=len(contents))
    for (name, content), _ in zip(contents.items(), trials, strict=True):
        place.write_bytes(content)
        ran = command(shell, tmp_path, env)
        assert ran.code not in (0, None), (name, ran)
        assert ran.code > 0, (name, ran)
        assert "Traceback" not in ran.output, (name, ran.output[-2000:])
        assert place.name in ran.output or place.stem in ran.output, (name, ran.output)
        assert file != "totp.yaml" or "JBSWY3DP" not in ran.output, (
            "a secret is never repeated, not even half of one"
        )
        assert not [c for c in ran.output if not c.isprintable() and c != "\n"], (name, ran.output[:500])
        assert max(map(len, ran.output.splitlines())) < 2_000, name
        assert not list(tmp_path.rglob(PWNED)), name
        assert ran.peak < 400 << 20, (name, ran.peak)
        trials.outcome(name)
