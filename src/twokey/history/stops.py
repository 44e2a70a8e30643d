"""Stops as the trail tells of them: what went on although acting was stopped, and what one person lifted."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.history.handed_out import Entry, History, Violation

ALL = "all"


class _Places:
    """Where acting is stopped after each entry, and who asks for it to go on."""

    def __init__(self) -> None:
        self.switched: set[str] = set()
        self.broken: set[str] = set()
        self.asking: dict[str, str] = {}

    def is_switched(self, account: str) -> bool:
        return not self.switched.isdisjoint((ALL, account))

    def holds_back(self, account: str, contains: bool) -> bool:
        return self.is_switched(account) or (contains and not self.broken.isdisjoint((ALL, account)))

    def stop(self, places: set[str], where: str) -> None:
        places.add(where)
        self.asking.pop(where, None)

    def lift(self, where: str) -> str:
        """Let it go on, and return who had asked for that."""
        self.switched.discard(where)
        self.broken.discard(where)
        return self.asking.pop(where, "")


def stops(history: History) -> Iterator[Violation]:
    """Nothing is approved, begins or is written where acting is stopped, and two people let it go on."""
    places = _Places()
    account_of = {e["plan"]: str(e["data"].get("account", "")) for e in history.of("run.started")}
    intended_under_a_stop = set[tuple[str, str]]()
    for entry in history.entries:
        where, plan = str(entry["data"].get("where", "")), entry["plan"]
        step = (plan, str(entry["data"].get("step", "")))
        account = account_of.get(plan, "")
        match entry["action"]:
            case "acting.stopped":
                places.stop(places.switched, where)
            case "breaker.opened":
                places.stop(places.broken, where)
            case "acting.lift_asked" | "breaker.lift_asked":
                places.asking[where] = entry["actor"]
            case "acting.lifted" | "breaker.lifted":
                if places.lift(where) in ("", entry["actor"]):
                    yield Violation("stopped", entry["seq"], f"{where} was lifted by one person")
            case "approved" | "glass.broken" if plan in account_of and places.is_switched(account):
                yield _went_on(entry, "a key was turned on")
            case "run.started" if places.holds_back(account, bool(entry["data"].get("contains", True))):
                yield _went_on(entry, "a run began of")
            case "step.started":
                # An intent alone is none: the switch may be pulled between it and the call, which then is not made.
                intended_under_a_stop.discard(step)
                if places.is_switched(account):
                    intended_under_a_stop.add(step)
            case "step.done" if step in intended_under_a_stop and places.is_switched(account):
                yield _went_on(entry, "a write was made by")


def _went_on(entry: Entry, what: str) -> Violation:
    return Violation("stopped", entry["seq"], f"{what} {entry['plan']} where acting was stopped")
