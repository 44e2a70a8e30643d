"""B16: the chat is away for a while. How soon after it came back is everything said, and how often was it tried?"""

from __future__ import annotations

import time

import events
import measure
import programs
from measure import AbsentError, Figures, Outcome, Size, Skipped, at_most, compared

MESSAGES = 30
FAULTS = {"429": "429 with Retry-After 1", "503": "503", "dead": "a dead socket"}


def waited(sink: programs.Sink, fault: str, seconds: float, posts: tuple[str, list[bytes]]) -> Figures:
    """Let messages be owed while the chat is away; return when all had come, and the tries meanwhile."""
    url, bodies = posts
    sink.reset()
    sink.fault(fault, seconds)
    back = time.monotonic_ns() + int(seconds * 1e9)
    with programs.folder() as home:
        programs.post(url, bodies, home)
    came = sink.until(len(bodies), seconds + 120)
    said = {mark: at for at, _, marks, _, status in reversed(came) if status == 200 for mark in marks}
    if len(said) < len(bodies):
        raise RuntimeError(f"{len(bodies) - len(said)} messages never came")
    tries = sum(1 for at, _, _, _, status in came if status != 200 and at < back)
    repeats = sum(
        len(marks) for _, method, marks, _, status in came if status == 200 and method != "chat.update"
    )
    last = (max(said.values()) - back) / 1e9
    return {"last": max(0.0, last), "tries": tries / seconds, "repeats": repeats - len(said)}


def ours(sink: programs.Sink, fault: str, seconds: float) -> Figures:
    """Measure the bot, Slack's limit of one message a second lifted."""
    with programs.folder() as home, programs.bot(home, sink, slack_per_second="1000") as bot:
        bodies = programs.lines([events.outage(number) for number in range(MESSAGES)])
        return waited(sink, fault, seconds, (bot.door, bodies))


def alertmanager(sink: programs.Sink, fault: str, seconds: float) -> Figures:
    """Measure Alertmanager, one group each, with a group interval of 10 s (its default is 5 minutes)."""
    with programs.folder() as home, programs.Alertmanager(home, sink) as peer:
        bodies = [programs.alert(events.outage(n), events.mark(n), str(n)) for n in range(MESSAGES)]
        return waited(sink, fault, seconds, (peer.url, bodies))


def run(size: Size) -> Outcome:
    """Measure each fault in turns."""
    outcome: Outcome = []
    kinds = {"429": 5.0, "503": 5.0} | ({} if size.is_short else {"dead": 30.0})
    has_peer = True
    try:
        programs.program("prometheus-alertmanager")
    except AbsentError as absent:
        has_peer = False
        outcome.append(Skipped("B16", "Alertmanager", str(absent)))
    with programs.Sink() as sink:
        for kind, seconds in kinds.items():
            sides = {"twokey": lambda kind=kind, seconds=seconds: ours(sink, kind, seconds)}
            if has_peer and not size.is_short:
                sides["Alertmanager"] = lambda kind=kind, seconds=seconds: alertmanager(sink, kind, seconds)
            rounds = Size(size.is_short, 1 if size.is_short else min(3, size.rounds))
            figures = measure.interleaved(rounds, sides)
            what = f"chat away with {FAULTS[kind]} for {seconds:.0f} s: "
            goal = at_most(3 if kind != "dead" else 13)
            outcome += [
                compared("B16", what + f"{MESSAGES} messages said", "s after", figures, "last", goal=goal),
                compared("B16", what + "tries", "/s", figures, "tries", goal=at_most(1.5)),
            ]
            if "Alertmanager" in figures:
                figures["Alertmanager"] = [
                    {name: max(value, 0.01) for name, value in one.items()} for one in figures["Alertmanager"]
                ]
                outcome.append(
                    compared("B16", what + "all said", "s after", figures, "last", peer="Alertmanager")
                )
    return outcome


if __name__ == "__main__":
    measure.main(run, __doc__)
