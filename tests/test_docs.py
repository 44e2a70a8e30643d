"""The pages say what the code does: blocks are run, names are compared, links lead somewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from twokey import app as wiring
from twokey import settings
from twokey.chat.slack.inbound import commands as chat_commands
from twokey.cli import app as commands
from twokey.core.runbooks import PlanState
from twokey.demo.bot import Bot
from twokey.demo.slack import FakeSlack
from twokey.store.kinds import KINDS

ROOT = Path(__file__).resolve().parents[1]
VERBS = chat_commands.VERBS
ALIASES = [alias for verb in VERBS.values() for alias in verb.aliases]
SOURCE = ROOT / "src" / "twokey"
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"))]
)


def page(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


@cache
def reference() -> str:
    """Return every reference page in one."""
    return "\n".join(path.read_text("utf-8") for path in sorted(REFERENCE.glob("*.md")))


def in_code(name: str, text: str) -> bool:
    """Say whether a page names this exactly, in code: `aws.x` does not stand for `aws.xy`."""
    return re.search(rf"`(?:[^`\n]*[^\w.`-])?{re.escape(name)}(?:[^\w.`-][^`\n]*)?`", text) is not None


# blocks that are run


@dataclass
class Block:
    """A shell block of a page, with the lines that must be seen and the exit code of its last command."""

    line: int
    text: str
    exit: int = 0
    seen: list[str] = field(default_factory=list)


def fences(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line number, info and text of every fenced block; inside a list the indent is taken off."""
    begun: tuple[int, str, str] | None = None
    kept: list[str] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if begun is None:
            if opened := re.match(r"( *)```(.*)$", line):
                begun, kept = (number, opened[1], opened[2].strip()), []
        elif line.strip() == "```":
            yield begun[0], begun[2], "\n".join(kept)
            begun = None
        else:
            kept.append(line.removeprefix(begun[1]))
    assert begun is None, f"{path}:{begun and begun[0]}: a block that is never closed"


def blocks_of(path: Path) -> list[Block]:
    blocks: list[Block] = []
    for line, info, text in fences(path):
        words = info.split()
        if words[:2] == ["sh", "run"]:
            blocks.append(Block(line, text, int(dict(w.split("=") for w in words[2:]).get("exit", 0))))
        elif words == ["text", "seen"]:
            assert blocks, f"{path}:{line}: seen, but nothing was run"
            blocks[-1].seen += text.splitlines()
    return blocks


RUN = [path for path in PAGES if blocks_of(path)]


def run_page(path: Path, folder: Path, blocks: list[Block], before: str = "") -> dict[str, str]:
    """Run a page's blocks in one shell, in an empty folder inside what looks like a checkout."""
    checkout, programs = folder / "checkout", folder / "bin"
    here = checkout / "here"
    here.mkdir(parents=True)
    programs.mkdir()
    for name in ("docs", "runbooks", "rules", "deploy"):
        (checkout / name).symlink_to(ROOT / name)
    for name, arguments in (("twokey", "-m twokey"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    script = [before, "trap 'echo \"@@failed $? $BASH_COMMAND\"' ERR"]
    for number, block in enumerate(blocks):
        script += [f"echo '@@block {number}'", block.text]
    script.append("echo '@@end'; env -0 > ../environment")
    path_variable = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    environment = {"PATH": path_variable, "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONUTF8": "1"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=here,
        env=environment,
        capture_output=True,
        timeout=240,
        check=False,
    )
    said, faults = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    assert "@@end" in said, f"{path.name}: the shell ended early\n{said[-2000:]}\n{faults[-2000:]}"
    parts = re.split(r"^@@block \d+\n", said.partition("@@end")[0], flags=re.MULTILINE)[1:]
    for block, part in zip(blocks, parts, strict=True):
        judge(path, block, part, faults)
    pairs = (pair.partition("=") for pair in (checkout / "environment").read_text().split("\0"))
    return {name: value for name, _, value in pairs if name}


def judge(path: Path, block: Block, said: str, faults: str) -> None:
    place = f"{path.relative_to(ROOT)}:{block.line}"
    failed = re.findall(r"^@@failed (\d+) (.*)$", said, re.MULTILINE)
    wanted = [(str(block.exit), failed[-1][1])] if block.exit and failed else []
    assert failed == wanted, f"{place}: {failed} in\n{block.text}\n{said}\n{faults[-3000:]}"
    assert bool(block.exit) is bool(failed), f"{place}: exit code {block.exit} was promised"
    lines = iter([line.rstrip() for line in said.splitlines()])
    for wanted_line in block.seen:
        pattern = re.compile(".*".join(re.escape(part) for part in wanted_line.rstrip().split("…")))
        assert any(pattern.fullmatch(line) for line in lines), (
            f"{place}: not seen: {wanted_line!r} in\n{said}"
        )


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.stem)
def test_the_blocks_of_a_page_do_what_the_page_says(path: Path, tmp_path: Path) -> None:
    """A page that is followed in an empty folder works, line by line."""
    before = ""
    if path.stem == "operate":  # the page is about a record that is there
        before = "export TWOKEY_DATABASE_URL=sqlite:///record.db; "
        before += "twokey replay ../docs/tutorial/findings.jsonl > /dev/null"
    run_page(path, tmp_path, blocks_of(path), before)


def test_the_tutorials_incidents_appear_in_slack_when_the_bot_is_served(tmp_path: Path) -> None:
    """Part 8 of the tutorial, with a fake Slack in the place of the reader's own."""
    tutorial = DOCS / "tutorial" / "first-incident.md"
    wanted = ("export TWOKEY_DATABASE_URL", "twokey replay", "cat > roster.yaml")
    blocks = [block for block in blocks_of(tutorial) if any(text in block.text for text in wanted)]
    variables = run_page(tutorial, tmp_path, blocks)
    folder = tmp_path / "checkout" / "here"
    with FakeSlack() as slack:
        jane = slack.add_user("jane", user_id="U0JANE", email="jane@shop.example")
        public = slack.add_channel("incidents", members=[jane])
        private = slack.add_channel("security-incidents", is_private=True, members=[jane])
        roster = (folder / "roster.yaml").read_text("utf-8").replace("T0ACME", slack.team_id)
        (folder / "roster.yaml").write_text(roster, "utf-8")
        own = {name: value for name, value in variables.items() if name.startswith("TWOKEY_")}
        own |= {
            "TWOKEY_SLACK_API_URL": slack.api_url,
            "TWOKEY_REHEARSAL": "1",
            "TWOKEY_SLACK_BOT_TOKEN": slack.bot_token,
            "TWOKEY_SLACK_APP_TOKEN": slack.app_token,
            "TWOKEY_SLACK_TEAM": slack.team_id,
            "TWOKEY_SLACK_CHANNEL": public.id,
            "TWOKEY_SLACK_SECURITY_CHANNEL": private.id,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with Bot(folder, own).start():
            slack.wait_connected(timeout=30)

            def shown(channel: Any) -> str:
                return "\n".join(str(slack.show(message)) for message in slack.messages(channel))

            slack.wait_for(lambda: "INC-1" in shown(private) and "INC-2" in shown(public), 30)
            jane.command("/twokey", "contain INC-2", public)

            def answer() -> str:
                view = slack.view_of(jane)
                return str(slack.show(view)) if view is not None else ""

            slack.wait_for(lambda: "INC-2 is the provider's" in answer(), 30)


# what the reference must name


def default_of(name: str, value: Any) -> str:
    if name.endswith("_DIR") and name != "TWOKEY_POSTMORTEMS_DIR":
        return f"the shipped `{value.name}`"
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{value}`" if str(value) else ""


def rows_of(text: str) -> dict[str, list[str]]:
    """Return a page's table rows by the name in code in their first cell."""
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if cells and (name := re.fullmatch(r"`([^`]+)`", cells[0])):
            rows[name[1]] = cells[1:]
    return rows


def test_every_setting_is_in_the_reference_with_its_default() -> None:
    rows = rows_of(page("settings.md"))
    expected = {name: default_of(name, value) for name, value in settings.variables().items()}
    found = {name: cells[0] for name, cells in rows.items() if name.startswith("TWOKEY_")}
    assert found == expected


def test_every_secret_setting_is_marked() -> None:
    rows = rows_of(page("settings.md"))
    for name, default in settings.variables().items():
        if isinstance(default, settings.Secret):
            assert rows[name][2] == "secret", name


def test_what_a_runbook_may_take_from_the_settings_is_named() -> None:
    filled = settings.load({"TWOKEY_AWS_QUARANTINE_PARENT_OU": "ou"}).config
    rows = rows_of(page("settings.md"))
    for cloud, names in filled.items():
        assert isinstance(names, dict)
        assert all(f"config.{cloud}.{name}" in rows for name in names)


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = set(settings.variables())
    wrong = []
    for path in [*PAGES, *sorted((ROOT / "deploy").rglob("*"))]:
        if path.is_file():
            named = set(re.findall(r"\bTWOKEY_[A-Z0-9_]*[A-Z0-9]\b", path.read_text("utf-8", "replace")))
            wrong += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(named - known)]
    assert wrong in ([], ["docs/reference/settings.md: TWOKEY_SLACK_CHANEL"])  # its example of a mistake


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from leaves(child, (*words, name))
    else:
        yield " ".join(words), command


def test_every_command_is_in_the_reference_with_its_options() -> None:
    sections = dict(
        re.findall(r"^### twokey ([^\n]+)\n(.*?)(?=^##|\Z)", page("command-line.md"), re.M | re.S)
    )
    found = dict(leaves(typer.main.get_command(commands)))
    assert sections.keys() == found.keys()
    for name, command in found.items():
        wanted, optional = set[str](), set[str]()
        for param in command.params:
            if param.param_type_name == "option":
                (optional if "--help" in param.opts else wanted).update([*param.opts, *param.secondary_opts])
        told = {
            option
            for row in re.findall(r"^\| (`-[^|]*) \|", sections[name], re.M)
            for option in re.findall(r"`([^`]+)`", row)
        }
        assert told == wanted, name


def test_every_command_that_a_page_types_exists() -> None:
    found = dict(leaves(typer.main.get_command(commands)))
    first_words = {name.split()[0] for name in found}
    wrong = []
    for path in PAGES:
        in_blocks = "\n".join(text for _, _, text in fences(path))
        in_lines = "\n".join(re.findall(r"`([^`\n]+)`", path.read_text("utf-8")))
        for typed in re.findall(
            r"^(?:\$ |[A-Z_]+=\S+ )*twokey((?: [a-z][a-z-]*)+)", f"{in_blocks}\n{in_lines}", re.M
        ):
            words = typed.split()
            is_group = words[0] in first_words and len(words) == 1
            if not is_group and words[0] not in found and " ".join(words[:2]) not in found:
                wrong.append(f"{path.relative_to(ROOT)}: twokey{typed}")
    assert not wrong


def test_every_action_check_and_parameter_type_is_in_the_reference() -> None:
    missing = []
    for cloud, brought in wiring.declarations().items():
        text = page(f"{cloud}-actions.md")
        names = [*brought.actions, *brought.checks, *brought.parameter_types]
        missing += [name for name in names if not in_code(name, text)]
    assert not missing


def runbook_keys() -> set[str]:
    """Return every key that a reader of runbook files asks for."""
    keys: set[str] = set()
    for path in [*SOURCE.glob("catalog/runbook*.py"), SOURCE / "catalog" / "approval_profiles.py"]:
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            target.id: node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value.value, str)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "fields"
            ):
                for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        keys.update(argument.value.split())
                    elif isinstance(argument, ast.Name):
                        keys.update(constants.get(argument.id, "").split())
    return keys


def test_every_runbook_key_is_in_the_reference() -> None:
    keys, text = runbook_keys(), page("runbook-schema.md")
    assert {"apiVersion", "blast_radius", "for_each", "or_skip", "min_approvals"} <= keys
    assert not [key for key in sorted(keys) if not in_code(key, text)]


def test_every_shipped_rule_is_in_the_reference_as_it_is() -> None:
    from twokey.catalog.rules import load_rules

    text = page("shipped-rules.md")
    for rule in load_rules(settings.Settings().rules_dir).rules:
        opens = "yes" if rule.opens else "no"
        row = f"| `{rule.id}` | {rule.label.value} | {opens} | {rule.reason} |"
        assert row in text.splitlines(), f"docs/reference/shipped-rules.md wants: {row}"


def test_no_rule_is_in_the_reference_that_is_not_shipped() -> None:
    from twokey.catalog.rules import load_rules

    shipped = {rule.id for rule in load_rules(settings.Settings().rules_dir).rules}
    assert set(rows_of(page("shipped-rules.md"))) == shipped


def test_every_shipped_runbook_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert not [p.stem for p in (ROOT / "runbooks").glob("*.yaml") if f"`{p.stem}`" not in readme]


# audit actions

# Calls that hand an audit action on, by the name of what is called: each has one text among its arguments.
_TAKES_ACTION = {"append", "move", "write", "_write", "log", "_log", "on_record", "_on_record", "_change"}
_ACTION = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


def strings_in(node: ast.expr, constants: dict[str, str]) -> set[str]:
    """Return the texts that an expression may be; a part that only a run knows is a `*`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return strings_in(node.body, constants) | strings_in(node.orelse, constants)
    if isinstance(node, ast.JoinedStr):
        parts = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
            else:
                inner = part.value if isinstance(part, ast.FormattedValue) else part
                parts.append(constants.get(inner.id, "*") if isinstance(inner, ast.Name) else "*")
        return {"".join(parts)}
    return set()


def audit_actions() -> set[str]:
    """Return every action that the source can write into the trail."""
    found: set[str] = set()
    changes: set[str] = set()
    files = [
        *(SOURCE / "flow").rglob("*.py"),
        *(SOURCE / "chat").rglob("*.py"),
        *(SOURCE / "store").glob("*.py"),
    ]
    for path in files:
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if name == "append_all":  # [(actor, action, about, data)]
                texts = [
                    item for item in ast.walk(node) if isinstance(item, ast.Tuple) and len(item.elts) == 4
                ]
                for item in texts:
                    found |= strings_in(item.elts[1], constants)
            elif name in _TAKES_ACTION:
                if name == "append" and not (
                    isinstance(owner, ast.Name) and owner.id in ("tx", "transaction")
                ):
                    continue  # a list's
                said = {text for argument in node.args for text in strings_in(argument, constants)}
                (changes if name == "_change" else found).update(said)
    changes = {action for action in changes if _ACTION.fullmatch(action)}
    found |= changes | {f"{action}.refused" for action in changes}
    found |= {"acknowledged.again", "classified.again"}
    # A plan's end is written as its state: by people in flow/plans, by the run in flow/execution/outcomes.
    found |= {
        state.value
        for state in PlanState
        if state not in (PlanState.RUNNING, PlanState.ASKING, PlanState.DONE)
    }
    found |= {"run.continued"}
    return {action for action in found if _ACTION.fullmatch(action)} - {"approved.again"}


def test_the_source_is_read_for_audit_actions() -> None:
    """The look-up itself: what every run writes must be among what it finds."""
    known = {
        "received",
        "opened",
        "joined",
        "proposed",
        "approved",
        "approval.refused",
        "step.started",
        "run.done",
    }
    known |= {
        "acknowledged",
        "moved.refused",
        "postmortem.published",
        "notice.sent",
        "heard",
        "voided",
        "glass.broken",
    }
    assert known <= audit_actions()


def test_every_audit_action_is_in_the_reference_and_no_other() -> None:
    first_cells = re.findall(r"^\| (`[^|]+) \|", page("audit-actions.md"), re.M)
    told = {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}
    assert told == audit_actions()


# words


def test_every_verb_and_its_aliases_are_in_the_reference() -> None:
    text = page("commands.md")
    assert not [word for word in (*VERBS, *ALIASES) if not in_code(word, text)]


def test_every_stored_noun_is_in_the_glossary_or_on_the_map() -> None:
    glossary = set(re.findall(r"\*\*(\w[\w-]*)\*\*", (DOCS / "glossary.md").read_text("utf-8")))
    on_the_map = set(rows_of(page("architecture-map.md")))
    assert not [noun.__name__ for noun in KINDS if noun.__name__ not in glossary | on_the_map]


def test_every_port_is_in_the_reference() -> None:
    tree = ast.parse((SOURCE / "ports.py").read_text("utf-8"))
    ports = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    ports |= {
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and len(node.targets[0].id) > 1
    }
    rows = rows_of(page("ports.md"))
    assert ports == {name for name in rows if name in ports}
    assert {name for name in rows if name[0].isupper()} == ports


def test_every_module_is_on_the_map() -> None:
    text = page("architecture-map.md")
    modules = {
        path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    wanted = modules - {"__init__", "__main__", "__pycache__", "locale", "_data"}
    assert not [name for name in sorted(wanted) if not re.search(rf"`[^`]*\b{name}\b[^`]*`", text)]


# all pages


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made where such pages are read."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def links(path: Path) -> Iterator[str]:
    text = re.sub(r"^( *)```.*?^\1```", "", path.read_text("utf-8"), flags=re.M | re.S)
    yield from re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(path: Path) -> None:
    broken = []
    for link in links(path):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        leads_nowhere = not target.exists() or not target.is_relative_to(ROOT)
        if leads_nowhere or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_path_of_somebodys_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.findall(r"(?<![\w.-])/(?:work|tmp|home|root|Users|mnt)/[\w.-]*", text)
    assert not re.findall(r"[A-Z]:\\\\", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_has_one_title_and_no_pictograms(path: Path) -> None:
    text = path.read_text("utf-8")
    outside = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.M | re.S)
    assert len(re.findall(r"^# ", outside, re.M)) == 1
    assert not re.findall("[\U0001f300-\U0001faff☀-➿]", text.replace("✎", "").replace("✔", ""))


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set(), [ROOT / "README.md", DOCS / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md" or not path.exists():
            continue
        reached.add(path)
        waiting += [
            (path.parent / link.partition("#")[0]).resolve() for link in links(path) if "://" not in link
        ]
    decisions = set((DOCS / "decisions").glob("*.md"))
    assert not sorted(str(path.relative_to(ROOT)) for path in set(PAGES) - reached - decisions)


def test_the_readmes_two_commands_are_in_the_makefile() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    typed = re.findall(r"^make (\w+)", readme, re.M)
    assert typed[:2] == ["demo", "test"]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    pages = "\n".join(path.read_text("utf-8") for path in PAGES)
    assert set(re.findall(r"^make (\w+)", pages, re.M)) <= targets


def test_the_changelog_has_the_version_of_the_program() -> None:
    from twokey import __version__

    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", changelog, re.M)
    assert released
    assert released[0][0] == __version__
    kinds = set(re.findall(r"^### (.+)$", changelog, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_a_json_example_in_a_page_is_json() -> None:
    for path in PAGES:
        for line, info, text in fences(path):
            if info == "json":
                try:
                    json.loads(text)
                except ValueError as fault:
                    raise AssertionError(f"{path.relative_to(ROOT)}:{line}: {fault}") from fault


def test_the_page_of_promises_shows_the_suites_own_figures() -> None:
    done = subprocess.run(
        [sys.executable, "tools/trust_page.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_attack_and_fault_that_is_tried_has_its_promise_on_the_page() -> None:
    page = (DOCS / "why" / "trust.md").read_text("utf-8")
    named = re.compile(r"test_([rs])0*(\d+)_")
    tried = {
        f"{match[1].upper()}{match[2]}"
        for folder in ("attacks", "faults")
        for path in (ROOT / "tests" / folder).glob("test_*.py")
        if (match := named.match(path.name))
    }
    assert len(tried) > 15
    shown = set(re.findall(r"^### ([RS]\d+) ", page, re.M))
    assert tried <= shown
    assert shown == set(re.findall(r"^<!-- tried: ([RS]\d+) -->$", page, re.M))
