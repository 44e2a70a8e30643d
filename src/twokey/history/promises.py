"""The promises, each as one pure question to what was handed out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta

from twokey.history.effects import SLACK_OF_CLOCKS, effects
from twokey.history.handed_out import Entry, History, PlanTrail, Violation, moment
from twokey.history.signatures import signed
from twokey.history.stops import stops

PROMISES = {
    "chain": "every entry follows from the one before",
    "nothing-dropped": "every notification that was received was sorted, or kept and shown as unreadable",
    "two-people": "an effect has two people behind it, and a critical one three",
    "one-key-a-person": "one person turns one key on a plan",
    "proposer": "the proposer's key counts only where it may, and never for a critical plan",
    "signed": "a key that must be a signature is one, by a passkey of its person, over what ran",
    "same-digest": "what was confirmed, and nothing else, is what ran",
    "in-time": "no key is turned after a plan's time is over",
    "no-is-no": "no key is turned, and nothing runs, after a plan has ended",
    "intent-first": "a write is on record before it is made",
    "effect-once": "every step takes effect at most once",
    "effect-has-a-plan": "nothing takes effect that no plan intended",
    "everything-said": "what people were promised to be told, they were told",
    "chat-has-it": "what is recorded as said stands in the chat",
    "glass": "a run on one key is for no critical plan, and is confirmed by another within a day, or marked",
    "stopped": "where acting is stopped nothing is approved, begins or is written, and two people let it go on",
}
DAY = timedelta(hours=24)

# After these no key counts any more; the first three may still come before a plan's first write.
_NO = ("refused", "withdrawn", "expired", "voided")
_OVER = (*_NO, "failed", "run.done")
# Every entry of these owes its incident's thread a message.
_OWES_MESSAGE = frozenset(
    [
        "proposed", "approved", "glass.broken", "confirmed", "refused", "withdrawn", "expired", "voided", "failed",
        "decision.asked", "run.continued", "run.held", "run.shown_differs", "run.started", "run.done", "step.failed",
        "acknowledged", "assigned", "noted", "severity.changed", "moved", "time.corrected",
        "containment.drifted", "containment.unseen", "containment.back", "containment.review_due",
        "containment.owned", "containment.review_set",
        "postmortem.drafted", "postmortem.revised", "postmortem.published",
    ]
)  # fmt: skip


def judge(history: History) -> list[Violation]:
    """Return every promise that was broken."""
    return [violation for rule in _RULES for violation in rule(history)]


def chain(history: History) -> Iterator[Violation]:
    """Prove the trail as an auditor would: from the lines alone."""
    previous, seen = "0" * 64, history.head is None
    for number, (line, entry) in enumerate(zip(history.lines, history.entries, strict=True), 1):
        digest = str(entry.get("hash", ""))
        covered = line.replace(f',"hash":"{digest}"', "", 1)
        if entry["seq"] != number or entry["previous"] != previous:
            yield Violation("chain", number, "does not follow from the one before")
            return
        if hashlib.sha256(covered.encode()).hexdigest() != digest:
            yield Violation("chain", number, "was changed")
            return
        previous = digest
        posted = history.head
        seen = seen or (posted is not None and posted[0] == number and digest.startswith(posted[1]))
    if not seen:
        yield Violation("chain", len(history.lines), f"the posted head {history.head} is not in this trail")


def nothing_dropped(history: History) -> Iterator[Violation]:
    """Every notification came to one of its two ends."""
    ended = {entry["data"].get("raw") for entry in history.of("sorted", "unreadable")}
    for entry in history.of("received"):
        if entry["data"].get("raw") not in ended:
            yield Violation(
                "nothing-dropped", entry["seq"], f"{entry['data'].get('raw')} was never sorted nor shown"
            )


def people(history: History) -> Iterator[Violation]:
    """Count the people behind every plan that ran, as they stood when it began."""
    for plan in history.plans():
        began = next(iter(plan.of("run.started", "run.resumed", "step.started")), None)
        asked = plan.asked
        keys = [entry for entry in plan.of("approved") if entry["data"].get("digest") == plan.digest]
        everybody = [entry["actor"] for entry in plan.of("approved")]
        for entry in plan.of("approved"):
            if everybody.count(entry["actor"]) > 1:
                yield Violation("one-key-a-person", entry["seq"], f"{entry['actor']} twice on {plan.id}")
        if began is None or asked is None or asked["action"] == "glass.broken":
            continue
        approvers = {k["actor"] for k in keys if k["seq"] < began["seq"] and is_person(k["actor"])}
        proposer = {asked["actor"]}
        own = proposer if asked["data"].get("proposer_counts") and not plan.is_critical else set()
        needed = max(2, int(asked["data"].get("needed", 2)))
        behind = (approvers - proposer) | own
        if len(behind) >= needed and approvers - proposer:
            continue
        with_proposer = approvers | proposer
        broken = "proposer" if len(with_proposer) >= needed else "two-people"
        yield Violation(broken, began["seq"], f"{plan.id} ran with {sorted(behind)}, and needs {needed}")


def is_person(actor: str) -> bool:
    """Say whether an actor is somebody on the roster."""
    return bool(actor) and actor != "unknown" and not actor.startswith("system:")


def digests(history: History) -> Iterator[Violation]:
    """Compare what was asked for, what every key was turned on, and what ran."""
    for plan in history.plans():
        for entry in plan.of("approved", "run.started", "run.resumed"):
            if entry["data"].get("digest") != plan.digest:
                yield Violation("same-digest", entry["seq"], f"{plan.id}: {entry['action']} is for another")


def endings(history: History) -> Iterator[Violation]:
    """Look for keys and steps behind the end of a plan."""
    for plan in history.plans():
        until = plan.asked["data"].get("expires_at") if plan.asked else None
        is_proposal = plan.asked is not None and plan.asked["action"] == "proposed"
        no = min((entry["seq"] for entry in plan.of(*_NO)), default=None)
        over = min((entry["seq"] for entry in plan.of(*_OVER)), default=None)
        for entry in plan.of("approved"):
            if is_proposal and until and moment(entry["at"]) >= moment(until):
                yield Violation("in-time", entry["seq"], f"{plan.id} had ended at {until}")
            if over is not None and entry["seq"] > over:
                yield Violation("no-is-no", entry["seq"], f"a key on {plan.id} after its end")
        for entry in plan.of("run.started", "run.resumed", "step.started", "step.done"):
            if no is not None and entry["seq"] > no:
                yield Violation("no-is-no", entry["seq"], f"{plan.id} went on after its end")


def messages(history: History) -> Iterator[Violation]:
    """Look for the message that each entry owed, and for each message in the chat's own log."""
    sent = history.of("notice.sent")
    if not sent and history.chat is None:
        return
    sent_notices = {entry["data"].get("notice") for entry in sent}
    for entry in history.entries:
        owed = _owed(entry)
        if owed and owed not in sent_notices:
            yield Violation("everything-said", entry["seq"], f"{owed} ({entry['action']}) was never sent")
    if history.chat is None:
        return
    stands = {call.get("ts") for call in history.chat if call.get("ok")}
    for entry in sent:
        if entry["data"].get("ts") not in stands:
            yield Violation(
                "chat-has-it", entry["seq"], f"{entry['data'].get('notice')}: the chat has no such"
            )


def _owed(entry: Entry) -> str:
    if entry["action"] == "opened":
        return f"card:{entry['incident']}"
    if entry["action"] == "unreadable":
        return f"unreadable:{entry['data'].get('raw')}"
    owes_message = entry["action"] in _OWES_MESSAGE and entry["incident"]
    return f"thread:{entry['incident']}:{entry['seq']}" if owes_message else ""


def glass(history: History) -> Iterator[Violation]:
    """Every run on one key has its second person within a day, or is marked; it is for no critical plan."""
    if not history.entries:
        return
    last = max(moment(entry["at"]) for entry in history.entries)
    for plan in history.plans():
        for broken in plan.of("glass.broken"):
            due = moment(broken["at"]) + DAY
            confirmed = plan.of("confirmed")
            marked = [m for m in plan.of("confirmation.checked") if moment(m["at"]) >= due - SLACK_OF_CLOCKS]
            if plan.is_critical:
                yield Violation("glass", broken["seq"], f"{plan.id} is critical")
            if any(c["actor"] == broken["actor"] or not is_person(c["actor"]) for c in confirmed):
                yield Violation("glass", broken["seq"], f"{plan.id} was confirmed by nobody else")
            in_time = any(moment(c["at"]) <= due for c in confirmed)
            if not in_time and not marked and last > due + timedelta(hours=1):
                yield Violation(
                    "glass", broken["seq"], f"{plan.id} was neither confirmed nor marked by {due}"
                )
            yield from _closed_unconfirmed(history, plan, broken, confirmed)


def _closed_unconfirmed(
    history: History, plan: PlanTrail, broken: Entry, confirmed: list[Entry]
) -> Iterator[Violation]:
    first = min((entry["seq"] for entry in confirmed), default=None)
    for moved in history.of("moved"):
        if moved["incident"] != broken["incident"] or moved["seq"] < broken["seq"]:
            continue
        if moved["data"].get("state") in ("closed", "cancelled") and (first is None or first > moved["seq"]):
            yield Violation("glass", moved["seq"], f"closed while {plan.id} was not confirmed")


_RULES: tuple[Callable[[History], Iterator[Violation]], ...] = (
    chain,
    nothing_dropped,
    people,
    signed,
    digests,
    endings,
    effects,
    messages,
    glass,
    stops,
)
