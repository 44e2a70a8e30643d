"""What the cloud was asked and what was changed in it, with faults that happen on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

from twokey.core.errors import Json
from twokey.testing.clouds.company import State, a_company
from twokey.testing.clouds.faults import denied, die, throttled

Inputs: TypeAlias = Mapping[str, Json]
Outputs: TypeAlias = dict[str, Json]


class ScriptedCloud:
    """A cloud's `state`, what it was asked (`calls`), and what was changed (`effects`).

    Faults are scripted and used up: `throttle(2)` lets the next two calls fail, `fault_at(7)` the seventh
    from now, `fault_on("apply aws.iam.update_access_key")` the next of that name. A call's name is its operation
    (preview | capture | apply | find | holds) and the action or check.
    """

    def __init__(self, state: State | None = None) -> None:
        self.state = state or a_company()
        self.calls: list[str] = []
        self.effects: list[tuple[str, Outputs, str]] = []
        self.lock = threading.RLock()
        self._at: list[tuple[int, Callable[[], None]]] = []
        self._on: list[tuple[str, Callable[[], None]]] = []
        self._after: list[tuple[str, Callable[[], None]]] = []

    def throttle(self, times: int = 1) -> None:
        """Let the next calls be turned away."""
        for number in range(1, times + 1):
            self.fault_at(number)

    def fault_at(self, number: int, fault: Callable[[], None] | None = None) -> None:
        """Let the so-manieth call from now on be turned away, or have something happen before it."""
        self._at.append((len(self.calls) + number, fault or throttled))

    def fault_on(self, call: str, fault: Callable[[], None] | None = None, times: int = 1) -> None:
        """Let the next call of that name be turned away, or have something happen before it."""
        self._on.extend([(call, fault or throttled)] * times)

    def refuse_on(self, call: str, times: int = 1) -> None:
        """Let the next call of that name be denied for good."""
        self.fault_on(call, denied, times)

    def slow_on(self, call: str, seconds: float, sleep: Callable[[float], object]) -> None:
        """Let the next call of that name take its time."""
        self.fault_on(call, lambda: _ignore(sleep(seconds)))

    def die_after_effect(self, action: str) -> None:
        """Let the process die when the action's next effect took place: the answer is lost."""
        self._after.append((action, die))

    def lose_answer(self, action: str) -> None:
        """Let the answer of the action's next effect be lost on its way, the process living on."""
        self._after.append((action, throttled))

    def done(self, action: str = "") -> list[Outputs]:
        """Return the inputs of every effect of an action, or of all."""
        return [inputs for name, inputs, _ in self.effects if action in ("", name)]

    def asked(self, operation: str, name: str) -> None:
        """Take note of a call, and do what was scripted for it."""
        with self.lock:
            call = f"{operation} {name}"
            self.calls.append(call)
            due = [pair for pair in self._at if pair[0] == len(self.calls)]
            self._at = [pair for pair in self._at if pair not in due]
            named = next((pair for pair in self._on if pair[0] == call), None)
            if named:
                self._on.remove(named)
        for _, fault in (*due, *((named,) if named else ())):
            fault()

    def changed(self, action: str, inputs: Inputs, key: str) -> None:
        """Take note of an effect that took place just now, and do what was scripted for then."""
        with self.lock:
            self.effects.append((action, dict(inputs), key))
            named = next((pair for pair in self._after if pair[0] == action), None)
            if named:
                self._after.remove(named)
        if named:
            named[1]()


def _ignore(_: object) -> None:
    return None
