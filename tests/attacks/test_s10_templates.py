"""S10: a template that wants to escape or to take too much ends with an error; text from events is never a template."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.lab.commands import Commands, CompletedCommand
from tests.lab.installation import Installation, installed
from tests.lab.outages import aws_alarm
from tests.lab.trials import Proof
from twokey.core.postmortems import Postmortem
from twokey.demo import notifications
from twokey.demo.company import BUCKETS
from twokey.demo.emulators import Ministack
from twokey.settings import data_folder

from .conftest import QUICK

PWNED = "pwned-by-template"
SECRET = "what-lies-outside-of-the-folder"
# 62615533 and 7333 stand nowhere by chance
HOSTILE = "{{ 7919*7907 }} {% set a = 1 %}{% include '/etc/passwd' %} {# gone #} ${{ incident.id }} {{ cycler.__init__ }}"
KEPT = ("{{ 7919*7907 }}", "{% set a = 1 %}", "{# gone #}", "${{ incident.id }}", "{{ cycler.__init__ }}")
EVALUATED = ("62615533", "/bin/bash", "root:x:0")
POSTMORTEM = "postmortem.en.internal.md.j2"
REPORT = "report.responsibility.html.j2"
RUN = f".os.system('touch {PWNED}')"

# Each stands on the third line of a template; `steps` and `x` are nothing that matters.
ESCAPES: dict[str, str] = {
    "subclasses": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "class by brackets": "{{ ''['__class__']['__base__'] }}",
    "globals": "{{ cycler.__init__.__globals__" + RUN + " }}",
    "joiner": "{{ joiner.__init__.__globals__" + RUN + " }}",
    "namespace": "{{ namespace.__init__.__globals__" + RUN + " }}",
    "lipsum": "{{ lipsum.__globals__" + RUN + " }}",
    "dict": "{{ dict.__class__ }}",
    "range": "{{ range.__self__._sandbox }}",
    "request": "{{ request.application.__globals__ }}",
    "config": "{{ config.items() }}",
    "self": "{{ self._TemplateReference__context }}",
    "undefined's own": "{{ nobody.__init__.__globals__" + RUN + " }}",
    "attr filter": "{{ ''|attr('__class__')|attr('__mro__') }}",
    "attr by pieces": "{{ ''|attr('__cl' ~ 'ass__') }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(incident) }}",
    "format through attr": "{{ ('{0.__class__}'|attr('format'))(incident) }}",
    "format_map": "{{ '{x.__class__}'.format_map({'x': incident}) }}",
    "percent": "{{ '%(x)s' % {'x': 1} }}",
    "map": "{{ ['']|map(attribute='__class__')|list }}",
    "select": "{{ ['']|selectattr('__class__')|list }}",
    "group": "{{ ['']|groupby('__class__') }}",
    "macro": "{% macro m() %}{% endmacro %}{{ m.__init__.__globals__ }}",
    "loop": "{% for a in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "our own hooks": "{{ environment.counted }}{{ spend.__self__ }}",
    "list mutation": "{{ [1].append(2) }}",
    "data mutation": "{{ incident.update({'a': 1}) }}",
    "do": "{% do incident.clear() %}",
    "escaping off": "{% autoescape false %}{{ '<b>' }}{% endautoescape %}",
    "safe": "{{ '<b>'|safe }}",
    "import of a module": "{% import 'os' as os %}{{ os }}",
    "include of an absolute path": "{% include '/etc/passwd' %}",
    "include of a way up": "{% include '../secret.j2' %}",
    "include through a link": "{% include 'link.md.j2' %}",
    "include below": "{% include 'below/secret.j2' %}",
    "extends a way up": "{% extends '../secret.j2' %}",
    "import of a way up": "{% from '../secret.j2' import a %}",
    "include of several": "{% include ['../secret.j2', '/etc/passwd'] %}",
    "include of a directory": "{% include 'below' %}",
}
BOMBS: dict[str, str] = {
    "string": "{{ 'a' * 10**9 }}",
    "list": "{% for i in [1] * 1000000000 %}{% endfor %}",
    "power": "{{ 9**9**9 }}",
    "range": "{% for i in range(1000000000) %}{% endfor %}",
    "nested loops": "{% for a in range(1000) %}" * 4 + "{% endfor %}" * 4,
    "a long page": "{% for a in range(1000) %}{% for b in range(1000) %}"
    + "x" * 50
    + "{% endfor %}{% endfor %}",
    "doubling": "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "doubling a capture": "{% set a %}xxxxxxxxxxxxxxxx{% endset %}"
    + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40,
    "recursion of a macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "recursion, twice each": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "an include of itself": "{% include 'SELF' %}{% include 'SELF' %}",
    "extends itself": "{% extends 'SELF' %}",
    "deep brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "more loops than Python takes": "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
    "more conditions than Python takes": "{% if 1 %}" * 120 + "{% endif %}" * 120,
    "a number that is a name": "{% set a = 1e999 %}{{ a }}",
    "a number too long": "{{ " + "9" * 10_000 + " }}",
}


def link_to_pipe(place: Path) -> None:
    os.mkfifo(place.parent / "pipe.j2")
    os.symlink("pipe.j2", place)


# What lies where the template should: nothing is read, nothing waits.
FILES: dict[str, Callable[[Path], None]] = {
    "link out": lambda place: os.symlink(place.parents[1] / "secret.j2", place),
    "link to a device": lambda place: os.symlink("/dev/zero", place),
    "link to itself": lambda place: os.symlink(place, place),
    "directory": Path.mkdir,
    "pipe that nobody writes": os.mkfifo,
    "link to a pipe": link_to_pipe,
    "nothing": lambda place: None,
    "binary": lambda place: void(place.write_bytes(bytes(range(256)) * 64)),
    "UTF-16": lambda place: void(place.write_bytes("{{ 1 }}".encode("utf-16"))),
    "10 MB": lambda place: void(place.write_bytes(b"x" * (10 << 20))),
    "NUL and a hidden fault": lambda place: void(place.write_bytes(b"\0\x1b[31m{{ \xe2\x80\xae }}")),
}


def void(_: object) -> None:
    """Let a lambda be a statement."""


@dataclass
class Attacked:
    """An installation whose record is full of template syntax, and a shell with templates of the attacker."""

    world: Installation
    shell: Commands

    def run(self, templates: Path, *arguments: str) -> CompletedCommand:
        env = self.world.variables | {"TWOKEY_TEMPLATES_DIR": str(templates)}
        return self.shell.run(templates.parent, env, *arguments, within_s=60)

    def postmortem(self, templates: Path, *more: str) -> CompletedCommand:
        return self.run(
            templates, "postmortem", "draft", "INC-1", "--language", "en", *(more or ("--stdout",))
        )

    def report(self, templates: Path, *more: str) -> CompletedCommand:
        return self.run(templates, "report", "responsibility", "--format", "html", *more)


@pytest.fixture(scope="module")
def attacked(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A key and buckets are found, an alarm rings, people note something: all of it in braces."""
    with installed(tmp_path_factory.mktemp("world"), aws, settings=QUICK) as world, Commands() as shell:
        now = datetime.now(UTC)
        world.bot()
        bodies = []
        for body in notifications.findings(world.company.key_id, list(BUCKETS), now):
            event = json.loads(body)
            event["detail"]["title"] = event["detail"]["description"] = HOSTILE
            bodies.append(json.dumps(event))
        world.company.notify(bodies)
        world.until(lambda: world.card("INC-1"))
        alarm = aws_alarm(HOSTILE, "AWS/RDS", "eu-west-1", at=now - timedelta(minutes=50)).decode()
        world.company.notify([alarm])
        world.until(lambda: world.card("INC-2"))
        world.until(lambda: not world.queued())
        world.ana.command("/twokey", f"note INC-1 {HOSTILE}", world.security)
        world.until(lambda: "noted" in world.actions())
        world.quiet()
        world.bots[-1].kill()
        yield Attacked(world, shell)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A templates folder of the attacker, with something beside and below it that is not to be read."""
    folder = tmp_path / "templates"
    shutil.copytree(data_folder("templates"), folder)
    (tmp_path / "secret.j2").write_text(SECRET)
    (folder / "below").mkdir()
    (folder / "below" / "secret.j2").write_text(SECRET)
    os.symlink(tmp_path / "secret.j2", folder / "link.md.j2")
    return folder


def assert_refused(ran: CompletedCommand, name: str, place: Path, line: str = r"\d+") -> None:
    """The command ended by itself, named the template (and its line), printed no page and did nothing."""
    assert ran.code == 2, (name, ran)
    assert ran.out == "", (name, ran.out[:500])
    assert "Traceback" not in ran.err, (name, ran.err[-2000:])
    told = rf"Template {re.escape(place.name)}, line {line}: .|The template {re.escape(place.name)} does not exist"
    assert re.search(told, ran.err), (name, ran.err[:500])
    assert SECRET not in ran.err, (name, ran.err)
    assert not any(text in ran.err for text in EVALUATED), (name, ran.err)
    assert not [c for c in ran.err if not c.isprintable() and c != "\n"], (name, ran.err[:300])
    assert len(ran.err) < 2_000, (name, "a message repeats the template")
    assert not list(place.parents[1].rglob(PWNED)), name
    assert ran.peak < 400 << 20, (name, ran.peak)


@pytest.mark.parametrize("name", [POSTMORTEM, REPORT])
def test_an_escape_is_an_error_with_its_line_and_runs_nothing(
    attacked: Attacked, templates: Path, proof: Proof, name: str
) -> None:
    trials = proof("S10", "a template that wants to escape is an error with its line", ci=len(ESCAPES))
    make = attacked.postmortem if name == POSTMORTEM else attacked.report
    assert make(templates).code == 0
    before = len(attacked.world.audit())
    place = templates / name
    for (kind, source), _ in zip(ESCAPES.items(), trials, strict=True):
        place.write_text(f"one\ntwo\n{source}\n")
        assert_refused(make(templates), kind, place, "3")
        trials.outcome(name)
    assert len(attacked.world.audit()) == before


@pytest.mark.parametrize("name", [POSTMORTEM, REPORT])
def test_a_bomb_ends_with_the_sandboxs_error(
    attacked: Attacked, templates: Path, proof: Proof, name: str
) -> None:
    picked = list(BOMBS.items()) if name == POSTMORTEM else list(BOMBS.items())[::3]
    trials = proof("S10", "a bomb in a template ends with the sandbox's error", ci=len(picked))
    make = attacked.postmortem if name == POSTMORTEM else attacked.report
    place = templates / name
    for (kind, source), _ in zip(picked, trials, strict=True):
        place.write_text(source.replace("SELF", name))
        assert_refused(make(templates), kind, place)
        trials.outcome(name)


@pytest.mark.parametrize("name", [POSTMORTEM, REPORT])
def test_what_is_no_template_of_the_folder_is_named_and_nothing_waits(
    attacked: Attacked, templates: Path, proof: Proof, name: str
) -> None:
    trials = proof("S10", "links, pipes, folders and large or binary files are no templates", ci=len(FILES))
    make = attacked.postmortem if name == POSTMORTEM else attacked.report
    place = templates / name
    for (kind, put), _ in zip(FILES.items(), trials, strict=True):
        place.unlink() if not place.is_dir() or place.is_symlink() else place.rmdir()
        (templates / "pipe.j2").unlink(missing_ok=True)
        put(place)
        assert_refused(make(templates), kind, place)
        if not os.path.lexists(place):
            place.touch()
        trials.outcome(name)


def test_a_draft_or_a_report_that_fails_writes_nothing(
    attacked: Attacked, templates: Path, proof: Proof
) -> None:
    world = attacked.world
    trials = proof("S10", "a page that fails leaves nothing behind", ci=3)
    before = len(world.audit())
    for number, _ in enumerate(trials):
        place = templates / (POSTMORTEM, "postmortem.ja.public.md.j2", REPORT)[number]
        good = place.read_text()
        place.write_text(good + "\n{{ ''.__class__ }}")  # behind everything that is right
        page = templates.parent / "page.html"
        if number < 2:
            ran = attacked.run(templates, "postmortem", "draft", "INC-1")
        else:
            ran = attacked.report(templates, "--output", str(page))
        assert_refused(ran, place.name, place)
        assert not page.exists()
        place.write_text(good)
    assert not world.find(Postmortem)
    assert len(world.audit()) == before


def read_by_people(page: str) -> str:
    """Return a page's text as Markdown or HTML shows it."""
    return html.unescape(re.sub(r"\\([^A-Za-z0-9\s])", r"\1", page)).replace("`", "")


REFERENCES: dict[str, str] = {
    "sum": "${{ 7919*7907 }}",
    "class": "${{ ''.__class__.__mro__ }}",
    "call": "${{ params.account_id.upper() }}",
    "own": "${{ params.__class__ }}",
    "brackets": "${{ params['account_id'] }}",
    "filter": "${{ params.account_id | attr('__class__') }}",
    "globals": "${{ cycler.__init__.__globals__%(run)s }}",
    "environment": "${{ env.HOME }}",
    "settings": "${{ config.aws.role_name }}",
    "secrets": "${{ secrets.SLACK_BOT_TOKEN }}",
    "a fact that is none": "${{ incident.title }}",
    "in a reference": "${{ params.${{ params.account_id }} }}",
    "not closed": "${{ params.account_id",
    "a step to come": "${{ steps.self.outputs.x }}",
    "lines": "${{ params.account_id\\n}}${{ a b }}",
}
DOCUMENTS: dict[str, Callable[[Path], None]] = {
    "../../secret.j2": lambda place: None,
    "/etc/passwd": lambda place: None,
    "s3/../../../secret.j2": lambda place: None,
    "s3/link.json": lambda place: os.symlink(place.parents[3] / "secret.j2", place),
    "s3/device.json": lambda place: os.symlink("/dev/zero", place),
    "s3/pipe.json": os.mkfifo,
    "s3": lambda place: None,
    "s3/binary.json": lambda place: void(place.write_bytes(bytes(range(256)) * 64)),
    "s3/large.json": lambda place: void(place.write_bytes(b" " * (10 << 20))),
    "s3/template.json": lambda place: void(place.write_text("{{ 7919*7907 }}")),
    "${{ params.account_id }}": lambda place: None,
    "{{ 7919*7907 }}": lambda place: None,
}


@pytest.fixture
def runbooks(templates: Path) -> Path:
    """A folder with runbooks that the attacker may change."""
    folder = templates.parent / "runbooks"
    shutil.copytree(data_folder("runbooks"), folder)
    return folder


def test_a_runbook_looks_paths_up_and_evaluates_nothing(
    attacked: Attacked, templates: Path, runbooks: Path, proof: Proof
) -> None:
    place = runbooks / "aws.protect-buckets.yaml"
    good = place.read_text()
    wanted = '          account_id: "${{ params.account_id }}"'
    files = {
        name: good.replace(wanted, f'          account_id: "{text.replace("%(run)s", RUN)}"')
        for name, text in REFERENCES.items()
    }
    document = "template: s3/protect-bucket.json"
    for name, put in DOCUMENTS.items():
        put(runbooks / "documents" / name)
        files[name] = good.replace(document, f'template: "{name}"')
    trials = proof("S10", "a runbook that wants to evaluate or to leave its folder is named", ci=len(files))
    for (name, text), _ in zip(files.items(), trials, strict=True):
        place.write_text(text)
        ran = attacked.run(templates, "runbook", "check", str(place))
        assert ran.code == 2, (name, ran)
        assert re.search(rf"{re.escape(place.name)}:\d+", ran.output), (name, ran.output)
        assert "Traceback" not in ran.output, (name, ran.output[-2000:])
        assert not any(text in ran.output for text in (*EVALUATED, SECRET)), (name, ran.output)
        assert ran.peak < 400 << 20, (name, ran.peak)
        assert not list(templates.parent.rglob(PWNED)), name
        trials.outcome("reference" if name in REFERENCES else "document")


def test_template_syntax_in_a_plans_parameters_is_refused_or_stays_text(
    attacked: Attacked, templates: Path, runbooks: Path, proof: Proof
) -> None:
    world = attacked.world
    syntax = ["{{ 7919*7907 }}", "${{ incident.id }}", "${{ config.aws.external_id }}", "{% set a = 1 %}"]
    names = ["account_id", "buckets", "responder_role_name"]
    trials = proof(
        "S10", "template syntax in a plan's parameters is refused, or text", ci=len(syntax) * len(names) + 2
    )
    each = iter(trials)
    before = len(world.audit())
    for name in names:
        for text, _ in zip(syntax, each, strict=False):
            ran = attacked.run(templates, "runbook", "plan", "INC-1", "aws.protect-buckets", f"{name}={text}")
            assert ran.code == 2, (name, text, ran)
            assert ran.out == "", (name, text, ran)
            assert "Traceback" not in ran.err, ran.err[-2000:]
            assert not any(found in ran.output for found in EVALUATED), ran.output
            trials.outcome("refused")
    # what a runbook's author writes in braces stays as it was written, too
    place = runbooks / "aws.protect-buckets.yaml"
    title = "Protect buckets from deletion until the incident is over"
    written = "Protect {{ 7919*7907 }} {% set a = 1 %} {0.__class__} %(x)s"
    place.write_text(place.read_text().replace(title, f'"{written}"'))
    env = world.variables | {"TWOKEY_RUNBOOKS_DIR": str(runbooks)}
    for name in ("tester", "reviewer"):
        done = attacked.shell.run(
            templates.parent, env, "runbook", "approve", "aws.protect-buckets", "--by", name
        )
        assert done.code == 0, done
    for more, _ in zip(((), ("--json",)), each, strict=True):
        ran = attacked.shell.run(
            templates.parent, env, "runbook", "plan", "INC-1", "aws.protect-buckets", *more
        )
        assert ran.code == 0, ran
        assert written in ran.out, ran.out[:2000]
        assert not any(found in ran.output for found in EVALUATED), ran.output
        trials.outcome("text")
    assert len(world.audit()) == before


def test_template_syntax_in_findings_and_notes_is_shown_and_not_evaluated(
    attacked: Attacked, templates: Path, proof: Proof
) -> None:
    trials = proof("S10", "template syntax in findings and notes comes out as it was written", ci=6)
    versions = [("postmortem", one, other) for one in ("en", "ja") for other in ("internal", "public")]
    versions += [("report", "en", ""), ("report", "ja", "")]
    for (kind, language, audience), _ in zip(versions, trials, strict=True):
        if kind == "report":
            ran = attacked.report(templates, "--language", language)
        else:
            ran = attacked.postmortem(templates, "--stdout", "--language", language, "--audience", audience)
        assert ran.code == 0, ran
        assert not any(text in ran.out for text in EVALUATED), (language, audience)
        if audience == "public":
            assert "7919" not in ran.out  # nothing of a finding's words is in there
        else:
            shown = read_by_people(ran.out)
            assert all(text in shown for text in KEPT), (language, [t for t in KEPT if t not in shown])
        if kind == "postmortem":  # what reads the page next may look for braces as well
            assert not re.search(r"\{[{%#]", ran.out.replace("`", "")), language
        trials.outcome(f"{kind} {language} {audience}".strip())
