"""S7: whatever an event says, wherever it says it, is dead text on every surface: Slack, pages, log, terminal, files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
import yaml

from tests.lab.commands import Commands
from tests.lab.installation import Installation, installed
from tests.lab.trials import Proof
from twokey.core.incidents import Incident
from twokey.core.notices import Notice, NoticeState
from twokey.core.signals import RawNotification, RawState
from twokey.demo import notifications
from twokey.demo.company import BUCKETS, SHOP
from twokey.demo.emulators import Ministack
from twokey.demo.slack.limits import text_length

from .conftest import QUICK
from .hostile import (
    FAMILIES,
    PAYLOADS,
    assert_dead,
    at_every_place,
    at_one_place,
    event,
    hidden_in,
    places,
    texts_of,
)

MARK = "ZQFINDINGZQ"
MOST = 12_000  # characters of one message


@dataclass
class Attacked:
    """A bot that has taken in everything, and a shell beside it."""

    world: Installation
    shell: Commands
    events: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    def twokey(self, *arguments: str) -> Any:
        return self.shell.run(self.world.folder, self.world.variables, *arguments)

    def incidents(self) -> list[Incident]:
        return [one for one in self.world.find(Incident) if one.id != "INC-1"]


def first_finding(world: Installation) -> list[str]:
    """The demo's burst about a real key and real buckets, with an attacker's words in every free text."""
    from datetime import UTC, datetime

    bodies = []
    every = " ".join(text for name, text in PAYLOADS.items() if "long" not in name and name != "surrogate")
    for body in notifications.findings(world.company.key_id, list(BUCKETS), datetime.now(UTC))[:7]:
        made = json.loads(body)
        detail = made["detail"]
        detail["title"] = f"{MARK} {every}"
        detail["description"] = f"{MARK} {every}"
        detail["service"]["additionalInfo"]["value"] = f"{MARK} {every}"
        for bucket in detail["resource"].get("s3BucketDetails", []):
            bucket["tags"] = [{"key": MARK, "value": every}]
        bodies.append(json.dumps(made))
    return bodies


@pytest.fixture(scope="module")
def attacked(
    aws: Ministack, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Attacked]:
    release = pytestconfig.getoption("--proof") == "release"
    random = Random(pytestconfig.getoption("--proof-seed"))
    settings = QUICK | {"TWOKEY_SLACK_PER_SECOND": "200"}
    with installed(tmp_path_factory.mktemp("world"), aws, settings=settings) as world, Commands() as shell:
        world.bot()
        world.company.notify(first_finding(world))
        world.until(lambda: world.card("INC-1"))
        made: dict[str, list[Any]] = {"aws": [], "azure": []}
        for family, cloud in FAMILIES.items():
            turns = range(len(PAYLOADS)) if release else random.sample(range(len(PAYLOADS)), 3)
            made[cloud] += [at_every_place(family, turn, random) for turn in turns]
            every = list(places(event(family)))
            for at in every if release else random.sample(every, min(3, len(every))):
                made[cloud].append(at_one_place(family, at, random.choice(list(PAYLOADS.values())), random))
        long = event("guardduty-crypto-mining")
        long["detail"]["title"] = "<!channel> " * 100_000  # a megabyte, which only a file can bring
        long["detail"]["description"] = "\u202e" * 300_000
        made["aws"].append(long)
        for cloud, events in made.items():
            file = world.folder / f"{cloud}.json"
            file.write_text(json.dumps(events))
            ran = shell.run(
                world.folder, world.variables, "replay", str(file), "--provider", cloud, "--no-sort"
            )
            assert ran.code == 0, ran
        azure = [body for body in made["azure"][::7] if len(json.dumps(body)) < 900_000]
        for body in azure:  # and through the door itself
            body["via"] = "door"
            assert world.webhook(json.dumps(body).encode()) == 202
        world.company.notify(
            [json.dumps(body) for body in made["aws"][::9] if len(json.dumps(body)) < 200_000]
        )
        world.until(lambda: not world.queued(), 120)
        quiet(world)
        yield Attacked(world, shell, sum(map(len, made.values())))


def quiet(world: Installation) -> None:
    """Wait until nothing is owed; looking at megabytes of events all the time would slow the bot down.

    An end on Event Grid waits some minutes for a beginning that may still come: that is not waited for here.
    """

    def is_quiet() -> bool:
        new = [raw for raw in world.find(RawNotification) if raw.state is RawState.NEW]
        owed = [one for one in world.find(Notice) if one.state in (NoticeState.PENDING, NoticeState.SENDING)]
        return not owed and all(b"ResourceNotifications" in raw.body for raw in new)

    world.slack.wait_for(is_quiet, 300, every=1.0)


def everything_shown(world: Installation) -> Iterator[tuple[Any, Any]]:
    """Yield whatever the bot has put into Slack: messages, what one person sees, modals, homes."""
    slack = world.slack
    for channel in list(slack.state.channels.values()):
        for message in channel.messages:
            if message.user == slack.bot_user_id:
                yield message, message.blocks
    for message in slack.state.ephemerals:
        yield message, message.blocks
    for view in slack.state.views.values():
        yield view, view.body


def assert_slack_is_dead(attacked: Attacked) -> int:
    count = 0
    world = attacked.world
    for shown, content in everything_shown(world):
        for kind, text in texts_of(content):
            assert_dead(kind, text)
        plain = str(getattr(shown, "text", ""))
        assert not hidden_in(plain), plain[:300]
        assert text_length(content) <= MOST, text_length(content)
        assert len(plain) <= 4_000, len(plain)
        count += 1
    world.harmless()
    # a modal may be closed before its answer comes; everything else Slack would not take is a fault
    calls = [call for call in world.slack.calls() if not call.method.startswith("views.")]
    views = [call for call in world.slack.calls("views.update") if call.error != "not_found"]
    declined = [call for call in (*calls, *views) if call.error not in (None, "ratelimited")]
    assert not declined, [(call.method, call.error) for call in declined[:5]]
    assert not [notice for notice in world.find(Notice) if notice.state is NoticeState.FAILED]
    return count


def test_every_card_and_thread_is_dead_text_within_slacks_limits(attacked: Attacked, proof: Proof) -> None:
    world = attacked.world
    trials = proof("S7", "an event's text is dead on cards and in threads", ci=0)
    assert len(attacked.incidents()) >= 20
    headers = [
        json.dumps(blocks[0]) for _, blocks in everything_shown(world) if isinstance(blocks, list) and blocks
    ]
    for incident in attacked.incidents():
        assert any(f"{incident.id} " in header for header in headers), incident.id
    trials.outcome("messages looked at", assert_slack_is_dead(attacked))
    trials.outcome("incidents", len(attacked.incidents()))
    trials.count(attacked.events)


def test_every_private_answer_and_modal_is_dead_text(attacked: Attacked, proof: Proof) -> None:
    world = attacked.world
    trials = proof("S7", "an event's text is dead in private answers and modals", ci=0)
    ana = world.ana
    picked = attacked.incidents()
    for number, incident in enumerate(picked):
        before = len(world.slack.ephemerals(ana))
        ana.command("/twokey", f"{('show', 'audit')[number % 2]} {incident.id}", world.security)
        world.until(lambda before=before: len(world.slack.ephemerals(ana)) > before)
        trials.count(1)
    for name, payload in PAYLOADS.items():
        text = payload[:2_000].encode("utf-8", "replace").decode()
        incident = picked[len(name) % len(picked)]
        for command in (f"note {incident.id} {text}", text, f"show {text}", f"contain {incident.id} {text}"):
            ana.command("/twokey", command, world.security)
        ana.mention(world.security, f"show {text}")
        trials.count(5)
    for incident in [one for one in picked if one.provider == "aws"][:6]:
        ana.command("/twokey", f"contain {incident.id}", world.security)
        view = world.until(lambda: world.slack.view_of(ana))
        ana.close(view)
    quiet(world)
    trials.outcome("messages looked at", assert_slack_is_dead(attacked))


def test_what_is_approved_shows_the_plans_ids_and_nothing_of_the_finding(
    attacked: Attacked, proof: Proof
) -> None:
    world = attacked.world
    trials = proof("S7", "the approval card shows the plan, and no text of the finding", ci=1)
    for _ in trials:
        assert MARK in world.slack.show(world.card("INC-1"), 4000)  # the card tells what was found
        preview = world.preview("aws.protect-buckets")
        assert MARK not in json.dumps(preview.body)
        world.ana.close(preview)
        card = world.propose()
        modal = world.modal(world.ben, card)
        for content in (world.drawn[card.ts], world.fresh(card).blocks, modal.body, card.text):
            assert MARK not in json.dumps(content)
        shown = json.dumps(world.drawn[card.ts]) + json.dumps(modal.body)
        assert SHOP in shown
        assert all(bucket in shown for bucket in BUCKETS)
        trials.outcome("preview, card and modal", 3)
        world.ben.close(modal)
    assert_slack_is_dead(attacked)


def test_every_page_is_dead_text_in_both_languages_and_for_both_audiences(
    attacked: Attacked, proof: Proof
) -> None:
    world = attacked.world
    trials = proof("S7", "an event's text is dead in post-mortems", ci=0)
    picked = [one for one in attacked.incidents() if "!channel" in one.title or "evil" in one.title][:4]
    picked += [one for one in attacked.incidents() if one.provider == "azure"][:2]
    picked += [one for one in attacked.incidents() if len(one.title) > 5_000][:1]
    assert len(picked) >= 5
    notes = "".join(text for name, text in PAYLOADS.items() if name not in ("long", "surrogate"))[:2_500]
    for incident in picked:
        world.ana.command("/twokey", f"note {incident.id} {notes}", world.security)
    quiet(world)
    for incident in picked:
        for language in ("en", "ja"):
            for audience in ("internal", "public"):
                ran = attacked.twokey(
                    "postmortem",
                    "draft",
                    incident.id,
                    "--stdout",
                    "--language",
                    language,
                    "--audience",
                    audience,
                )
                assert ran.code == 0, ran
                assert_page_is_dead(ran.out)
                trials.count(1)
                trials.outcome(f"{language} {audience}")


def assert_page_is_dead(text: str) -> None:
    """Markdown in which nothing of an attacker's is a link, an image, HTML, a heading or hidden."""
    assert not hidden_in(text), hidden_in(text)[:5]
    assert len(text) < 500_000
    assert "62615533" not in text, "a template in an event was evaluated"
    if text.startswith("---\n"):
        _, front, text = text.split("---\n", 2)
        yaml.safe_load(front)
    text = re.sub(r"(`+)[^\n]*?\1", "", text)  # inside of code nothing is read
    assert not re.search(r"(?<!\\)<[A-Za-z/!@#]", text), re.search(r"(?<!\\)<[A-Za-z/!@#].{0,80}", text)
    assert not re.search(r"(?<!\\)\]\((?!#)[^)]*evil", text)
    assert not re.search(r"(?<!\\)!\[", text)
    assert "\n# Heading" not in text
    assert "\nforged" not in text


def test_the_log_of_the_bot_is_one_event_a_line(attacked: Attacked) -> None:
    text = attacked.world.log()
    assert not hidden_in(text), hidden_in(text)[:5]
    for line in text.splitlines():
        assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: ", line), line[:300]
    assert "Traceback" not in text, text[-3000:]


def test_the_terminal_shows_nothing_that_hides(attacked: Attacked, proof: Proof) -> None:
    random = Random(7)
    trials = proof("S7", "an event's text is dead in the terminal", ci=0)
    shown = [
        attacked.twokey("incidents", "list", "all"),
        attacked.twokey("incidents", "list", "all", "--json"),
    ]
    for incident in attacked.incidents()[::5]:
        shown += [attacked.twokey("incidents", "show", incident.id, *more) for more in ((), ("--json",))]
    for cloud in ("aws", "azure"):
        file = attacked.world.folder / f"{cloud}.json"
        shown += [attacked.twokey("classify", str(file)), attacked.twokey("classify", str(file), "--json")]
    single = attacked.world.folder / "one.json"
    for family in list(FAMILIES)[::6]:
        single.write_text(json.dumps(at_every_place(family, 3, random)))
        shown.append(attacked.twokey("rules", "explain", str(single)))
    for ran in shown:
        assert ran.code in (0, 2), ran
        assert "Traceback" not in ran.err, ran.err[-2000:]
        assert not hidden_in(ran.output), (hidden_in(ran.output)[:5], ran.output[:300])
        trials.count(1)


def test_every_text_field_with_every_payload_is_judged_and_printed_dead(
    attacked: Attacked, proof: Proof
) -> None:
    """The widest of all: each place of each family with each payload, through `twokey classify`."""
    every = [(f, at, name) for f in FAMILIES for at in places(event(f)) for name in PAYLOADS]
    trials = proof(
        "S7", "every field with every payload is judged and printed dead", ci=1_500, release=len(every)
    )
    file, lines = attacked.world.folder / "fields.json", []
    for number, random in enumerate(trials):
        family, at, name = every[number] if trials.wanted == len(every) else random.choice(every)
        lines.append(json.dumps(at_one_place(family, at, PAYLOADS[name], random)))
        trials.outcome(name)
    file.write_text("\n".join(lines))
    ran = attacked.twokey("classify", str(file), "--json")
    assert "Traceback" not in ran.err, ran.err[-2000:]
    assert ran.code in (0, 2), ran.err[-500:]
    assert not hidden_in(ran.output), hidden_in(ran.output)[:5]
    judged = [json.loads(line) for line in ran.out.splitlines()]  # one event is one line, whatever it says
    assert len(judged) > 0.8 * len(lines)
    plain = attacked.twokey("classify", str(file))
    assert not hidden_in(plain.output), hidden_in(plain.output)[:5]
