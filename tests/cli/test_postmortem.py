"""`twokey postmortem` from the shell: drafts, revisions and publications of a real review over a memory store."""

import os
import pwd
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from twokey.app import disclosure
from twokey.cli.postmortem import app
from twokey.core.errors import NotFound, Refused
from twokey.core.people import system
from twokey.flow.review.drafts import Review
from twokey.publish.folder import Folder
from twokey.publish.publishers import Publishers
from twokey.publish.render import Renderer
from twokey.testing.builders import a_roster, an_incident, at
from twokey.testing.clocks import SettableClock
from twokey.testing.memory import MemoryStore

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


@pytest.fixture
def review(tmp_path, monkeypatch):
    clock = SettableClock(at(120))
    store = MemoryStore(clock)
    made = Review(
        store,
        clock,
        SimpleNamespace(current=a_roster),
        Publishers(Renderer(TEMPLATES, disclosure(), zone="Asia/Tokyo"), [Folder(tmp_path / "out")]),
    )
    with store.change() as tx:
        tx.add(an_incident())
        tx.append(system("intake"), "opened", incident_id="INC-12")
    # The whole program needs a database and the clouds; these commands need only the review of it.
    monkeypatch.setitem(
        sys.modules, "twokey.app", SimpleNamespace(build=lambda _: SimpleNamespace(review=made))
    )
    for name in [name for name in os.environ if name.startswith("TWOKEY_")]:
        monkeypatch.delenv(name)
    return made


def run(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_draft_stores_every_version_and_names_them(review):
    assert run("draft", "inc-12").stdout.splitlines() == [
        "INC-12/en/internal  drafted",
        "INC-12/en/public  drafted",
        "INC-12/ja/internal  drafted",
        "INC-12/ja/public  drafted",
    ]
    operator = pwd.getpwuid(os.getuid()).pw_name
    with review.store.read() as look:
        assert look.audit()[-1].actor.id == f"system:cli:{operator}"


def test_draft_to_standard_output_prints_one_version_and_stores_nothing(review):
    page = run("draft", "12", "--language", "ja", "--audience", "public", "--stdout").stdout
    assert "# インシデント報告 INC-12" in page
    assert review.drafts("12") == []


def test_a_version_is_shown_revised_and_published(review, tmp_path):
    run("draft", "12")
    assert run("show", "12").stdout.startswith("---\n")
    (tmp_path / "mine.md").write_text("# Ours\n")
    assert (
        run("revise", "12", "--file", str(tmp_path / "mine.md"), "--language", "ja").stdout
        == "INC-12/ja/internal  revised\n"
    )
    assert run("draft", "12").stdout.splitlines()[2] == "INC-12/ja/internal  revised, left as it is"
    place = tmp_path / "out" / "internal" / "INC-12.ja.internal.md"
    assert run("publish", "12", "--language", "ja").stdout == f"INC-12/ja/internal  {place}\n"
    assert place.read_text() == "# Ours\n"


def test_nothing_is_published_outside_unless_it_was_said(review, tmp_path):
    run("draft", "12")
    run("publish", "12")
    assert not (tmp_path / "out" / "public").exists()
    run("publish", "12", "--audience", "public")
    assert (tmp_path / "out" / "public" / "INC-12.en.public.md").is_file()


def test_a_public_text_with_a_name_in_it_is_refused_with_its_line(review, tmp_path):
    run("draft", "12")
    (tmp_path / "mine.md").write_text("# Ours\n\nWrite to ceo@acme.example\n")
    run("revise", "12", "--file", str(tmp_path / "mine.md"), "--audience", "public")
    with pytest.raises(Refused) as raised:
        run("publish", "12", "--audience", "public")
    assert raised.value.message.params["found"] == "e-mail (line 3)"


def test_every_fault_is_named_and_a_correction_mends_it(review):
    run("correct", "12", "acked", "2026-11-21T11:00:00+00:00", "--reason", "typed by mistake")
    run("draft", "12")
    refused = run("publish", "12")
    assert refused.exit_code == 2
    assert "acked" in refused.output
    shown = run("correct", "12", "acked", "2026-11-21T21:00:00+09:00", "--reason", "as the pager says").stdout
    assert shown.startswith("INC-12  acked = 2026-11-21T21:00:00+09:00")
    run("draft", "12")
    assert run("publish", "12").exit_code == 0


def test_what_does_not_exist_is_said(review):
    with pytest.raises(NotFound):
        run("draft", "99")
    with pytest.raises(NotFound):
        run("show", "12")
    with pytest.raises(NotFound):
        run("publish", "12", "--language", "fr")
