"""Ten thousand notifications, shuffled and half of them repeated, end as if each had come once and in order.

They are the recorded samples beside the project, and copies of them that happened to other accounts. Once they are
handed to the first stretch, and once to a running bot by its doors, sixteen at a time.
"""

from __future__ import annotations

import http.client
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.lab.intake_harness import IntakeHarness
from twokey import app as wiring
from twokey.core.errors import Invalid
from twokey.core.incidents import Incident
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification, RawState, Signal
from twokey.demo.bot import Bot
from twokey.demo.slack import FakeSlack
from twokey.store import open_store
from twokey.testing.clocks import START, SettableClock, SystemClock

CORPUS = Path(__file__).parents[2] / "../shared/corpus"
BATCH = 100
SECRET = "a-door-for-samples-0123456789-abcdefgh"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the recorded samples are not beside the project")

Delivery = tuple[str, bytes]


def samples() -> list[Delivery]:
    """Return every recorded file with the door that it would come by.

    Some are variants that their authors made by changing an event and not its id: of those the first stands, for
    nothing could say which of two that call themselves the same came first.
    """
    found: list[Delivery] = []
    known: dict[str, Signal] = {}
    readers = wiring.normalisers()
    for file in sorted(CORPUS.rglob("*.json")):
        provider = "azure" if file.relative_to(CORPUS).parts[0].startswith("azure") else "aws"
        source, body = f"{provider}.file:samples", file.read_bytes()
        raw = RawNotification("raw", source, body, START)
        try:
            signals = readers[provider].normalise(raw)
        except Invalid:
            signals = ()
        if all(known.setdefault(one.id, one) == one for one in signals):
            found.append((source, body))
    return found


def elsewhere(body: bytes, number: int) -> bytes:
    """Return the same notification as it would have come about another account or subscription."""

    def other(found: re.Match[bytes]) -> bytes:
        digits = found.group()
        if len(digits) == 12:
            return f"{(int(digits) + number * 7919) % 10**12:012}".encode()
        return digits[:-6] + f"{(int(digits[-6:], 16) + number) % 16**6:06x}".encode()

    pattern = rb"(?<![0-9a-zA-Z])[0-9]{12}(?![0-9a-zA-Z])|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    return re.sub(pattern, other, body)


def ten_thousand(count: int) -> list[Delivery]:
    """Return so many different notifications."""
    once, made = samples(), list[Delivery]()
    number = 0
    while len(made) < count:
        made += [(source, elsewhere(body, number) if number else body) for source, body in once]
        number += 1
    return made[:count]


def outcome(sightings: Iterable[Sighting], opened: Iterable[Incident]) -> Counter[Any]:
    """Return the incidents as what they took in and what was said of them, whatever their numbers are."""
    known: dict[str, list[Sighting]] = {}
    for seen in sightings:
        known.setdefault(seen.incident_id, []).append(seen)
    incidents: dict[str, Incident] = {one.id: one for one in opened}
    ends: Counter[Any] = Counter()
    for name, together in known.items():
        inside = frozenset(one.id for one in together)
        one = incidents.get(name)
        said = (one.verdict.label, one.signals, one.provider_resolved, one.severity) if one else None
        ends[(inside, said)] += 1
    return ends


def runs(sorting: IntakeHarness, deliveries: list[Delivery]) -> Counter[Any]:
    for start in range(0, len(deliveries), BATCH):
        for source, body in deliveries[start : start + BATCH]:
            sorting.arrives(source, body)
    sorting.works()
    return outcome(sorting.sightings(), sorting.incidents())


@pytest.fixture(params=["sqlite", "postgres"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], IntakeHarness]]:
    """Return a maker of empty records on a database."""
    opened: list[Any] = []

    def make() -> IntakeHarness:
        url = f"sqlite:///{tmp_path}/{len(opened)}.db"
        if request.param == "postgres":
            url = request.getfixturevalue("postgres").migrated()
        clock = SettableClock()
        store = open_store(url, clock, migrate=request.param == "sqlite")
        opened.append(store)
        return IntakeHarness(store, store.jobs(), clock=clock)

    yield make
    for store in opened:
        store.close()


def test_ten_thousand_in_any_order_with_repeats_end_alike(
    records: Callable[[], IntakeHarness], proof: Any
) -> None:
    trials = proof(
        "R3", "10,000 notifications shuffled with half of them repeated end as in order", ci=1, release=5
    )
    for random in trials:
        size = 6_700 if proof.is_release else 500
        in_order = ten_thousand(size)
        mixed = in_order + random.sample(in_order, size // 2)
        random.shuffle(mixed)
        trials.outcome("notifications", len(mixed))
        assert runs(records(), mixed) == runs(records(), in_order)


class Doors:
    """A running bot with one door for each provider, and those who post to it."""

    def __init__(self, folder: Path, slack: FakeSlack, url: str) -> None:
        folder.mkdir()
        self.url = url
        roster = folder / "roster.yaml"
        roster.write_text("people: []\n")
        variables = {
            "TWOKEY_DATABASE_URL": url,
            "TWOKEY_ROSTER_FILE": str(roster),
            "TWOKEY_SLACK_API_URL": slack.api_url,
            "TWOKEY_REHEARSAL": "1",
            "TWOKEY_SLACK_BOT_TOKEN": slack.bot_token,
            "TWOKEY_SLACK_SIGNING_SECRET": slack.signing_secret,
            "TWOKEY_SLACK_TEAM": slack.team_id,
            "TWOKEY_SLACK_CHANNEL": slack.add_channel("incidents").id,
            "TWOKEY_AZURE_WEBHOOKS": f"samples={SECRET}",
            "TWOKEY_AZURE_ANNOTATION_WAIT_S": "0",
            "TWOKEY_AWS_EVENT_KEYS": f"samples={SECRET}",
        }
        self.bot = Bot(folder, variables)

    def post(self, deliveries: list[Delivery], senders: int) -> None:
        """Post everything, by so many senders at once; each waits for its answer, as clouds do."""
        with ThreadPoolExecutor(senders) as pool:
            shares = [deliveries[start::senders] for start in range(senders)]
            for answers in pool.map(self._post, shares):
                assert set(answers) <= {200, 202}, Counter(answers)

    def _post(self, deliveries: list[Delivery]) -> list[int]:
        answers = []
        with closing(http.client.HTTPConnection("127.0.0.1", self.bot.port, timeout=60)) as link:
            for source, body in deliveries:
                path = f"/azure/{SECRET}" if source.startswith("azure") else "/aws/events"
                link.request("POST", path, body, {"Content-Type": "application/json", "x-api-key": SECRET})
                with link.getresponse() as answer:
                    answer.read()
                    answers.append(answer.status)
        return answers

    def ends(self) -> Counter[Any]:
        """Wait until everything is sorted, and return what became of it."""
        with closing(open_store(self.url, SystemClock())) as store:
            end = time.monotonic() + 1800
            while True:
                with store.read() as look:
                    left = look.count(RawNotification, state=RawState.NEW)
                    if not left:
                        return outcome(look.find(Sighting, limit=100_000), look.find(Incident, limit=100_000))
                assert time.monotonic() < end, f"{left} are not sorted\n{self.bot.tail()}"
                time.sleep(0.2)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_ten_thousand_by_the_doors_of_a_running_bot_end_alike(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, proof: Any
) -> None:
    promise = (
        f"10,000 notifications by a running bot's doors, shuffled, half repeated: as in order ({database})"
    )
    trials = proof("R3", promise, ci=1, release=1)

    def run(name: str, slack: FakeSlack, deliveries: list[Delivery], senders: int) -> Counter[Any]:
        folder = tmp_path / name
        url = f"sqlite:///{folder}/twokey.db"
        if database == "postgres":
            url = request.getfixturevalue("postgres").migrated()
        doors = Doors(folder, slack, url)
        with doors.bot.start(ready_within=120):
            doors.post(deliveries, senders)
            return doors.ends()

    for number, random in enumerate(trials):
        size = 6_700 if proof.is_release else 400
        in_order = ten_thousand(size)
        mixed = in_order + random.sample(in_order, size // 2)
        random.shuffle(mixed)
        trials.outcome("notifications", len(mixed))
        with FakeSlack() as slack:
            expected = run(f"in-order-{number}", slack, in_order, senders=1)
            assert run(f"mixed-{number}", slack, mixed, senders=16) == expected
