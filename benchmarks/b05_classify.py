"""B5: from a notification's bytes to its class, with 10 and with 5,000 rules, on one core."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import events
import measure
import programs
from measure import Figures, Outcome, Size, Skipped, at_least, compared, timed
from twokey import app
from twokey.catalog.rules import Rules, load_rules
from twokey.core.signals import RawNotification, raw_id

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVENTS = 300


def rule(number: int) -> dict[str, Any]:
    """Return one of many rules: family, type, account and severity must fit."""
    kind = events.TYPES[number % len(events.TYPES)]
    return {
        "id": f"bench.{number}",
        "label": "customer-security",
        "reason": "A rule of the benchmark.",
        "match": {
            "signal": {
                "family": ["guardduty"],
                "type": [kind],
                "account": [events.account(number // len(events.TYPES))],
                "severity": [{"numeric": [">=", 4]}],
            }
        },
    }


def rules(home: Path, count: int) -> Rules:
    """Load that many rules as the program does."""
    folder = home / str(count)
    folder.mkdir()
    for start in range(0, count, 1000):
        some = [rule(number) for number in range(start, min(start + 1000, count))]
        found = {"apiVersion": "twokey.dev/v1", "kind": "Rules", "rules": some}
        (folder / f"{start}.yaml").write_text(json.dumps(found))  # JSON is YAML
    readers = app.normalisers()
    return load_rules(folder, payload=lambda signal, raw: readers[raw.provider].payload(signal, raw))


def classified(known: Rules, raws: list[RawNotification]) -> int:
    """Read and judge every notification; return how many some rule knew."""
    reader = app.normalisers()["aws"]
    found = 0
    for raw in raws:
        for signal in reader.normalise(raw):
            found += known.verdict(signal, raw).rule != "none"
    return found


def expected(count: int) -> int:
    """Count what the rules should find."""
    pairs = {
        (one["match"]["signal"]["type"][0], one["match"]["signal"]["account"][0])
        for one in map(rule, range(count))
    }
    found = 0
    for number in range(EVENTS):
        event = events.finding(number)
        found += (event["detail"]["type"], event["account"]) in pairs and event["detail"]["severity"] >= 4
    return found


def rate(known: Rules, raws: list[RawNotification], times: int, right: int) -> Figures:
    """Return notifications a second, having checked that they were judged rightly."""
    seconds = timed(lambda: [_checked(known, raws, right) for _ in range(times)])
    return {"rate": times * len(raws) / seconds}


def _checked(known: Rules, raws: list[RawNotification], right: int) -> None:
    if (found := classified(known, raws)) != right:
        raise RuntimeError(f"{found} were known, {right} should be")


def run(size: Size) -> Outcome:
    """Measure in turns."""
    bodies = [json.dumps(events.finding(number)).encode() for number in range(EVENTS)]
    raws = [RawNotification(raw_id("aws.sqs:q", body), "aws.sqs:q", body, NOW) for body in bodies]
    times = size.of(10, 2)
    outcome: Outcome = []
    with programs.folder() as home:
        few, thousand, many = (rules(home, count) for count in (10, 1000, 5000))
        right = {count: expected(count) for count in (10, 1000, 5000)}
        sides = {
            "10": lambda: rate(few, raws, times, right[10]),
            "5000": lambda: rate(many, raws, times, right[5000]),
            "1000": lambda: rate(thousand, raws, times, right[1000]),
        }
        peers = {"c7n filters": "c7n", "CEL (Rust)": "cel"}
        for name, engine in peers.items():
            try:
                programs.peers_python()
                sides[name] = lambda engine=engine: programs.peer("rules_peer.py", engine, 1000)
            except measure.AbsentError as absent:
                outcome.append(Skipped("B5", name, str(absent)))
        figures = measure.interleaved(size, sides)
    goals = {"goal": at_least(15_000), "stretch": at_least(40_000)}
    outcome.append(compared("B5", "bytes to class, 5,000 rules", "/s", figures, "rate", ours="5000", **goals))
    outcome.append(
        compared(
            "B5", "5,000 rules : 10 rules", "/s", figures, "rate", ours="5000", peer="10", goal=at_least(0.7)
        )
    )
    for name in peers:
        if name in figures:
            least = at_least(100) if name == "c7n filters" else None
            outcome.append(
                compared(
                    "B5",
                    "bytes to class, 1,000 rules",
                    "/s",
                    figures,
                    "rate",
                    ours="1000",
                    peer=name,
                    goal=least,
                )
            )
    outcome.append(Skipped("B5", "event-ruler", "no jar is shipped by Debian or PyPI"))
    return outcome


if __name__ == "__main__":
    measure.main(run, __doc__)
