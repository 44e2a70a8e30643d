"""Whatever a run asks a cloud, the cloud is told for which run; and nobody else asks in its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from twokey.core.errors import Json
from twokey.core.executions import Execution
from twokey.ports import ACTING_FOR, ActingFor
from twokey.testing.world import World


class Listening:
    """An action or a check that notes for whom it is called."""

    def __init__(self, part: Any, heard: list[ActingFor | None]) -> None:
        self._part, self._heard = part, heard

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name not in ("preview", "capture", "apply", "find", "holds"):
            return found

        def call(*given: Any) -> Any:
            self._heard.append(ACTING_FOR.get())
            return found(*given)

        return call


@pytest.fixture
def heard() -> list[ActingFor | None]:
    return []


@pytest.fixture
def world(heard: list[ActingFor | None]) -> World:
    made = World()
    cloud: Any = made.cloud
    cloud.actions = {name: Listening(part, heard) for name, part in cloud.actions.items()}
    cloud.checks = {name: Listening(part, heard) for name, part in cloud.checks.items()}
    return made


def test_every_call_of_a_run_is_made_in_its_name_and_no_call_of_a_preview(
    world: World, heard: list[ActingFor | None]
) -> None:
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    assert heard
    assert set(heard) == {None}
    heard.clear()
    world.works()
    assert world.plan(plan).state.value == "done"
    (started,) = [entry for entry in world.trail(plan) if entry.action == "run.started"]
    assert set(heard) == {ActingFor(plan.id, "INC-1", started.seq, started.hash)}
    heard.clear()
    world.previews("ana")
    assert set(heard) == {None}


def test_a_run_that_is_taken_up_again_keeps_its_name(world: World, heard: list[ActingFor | None]) -> None:
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    heard.clear()
    world.cloud.fault_on("apply aws.iam.put_user_policy", times=2)
    world.works_on()
    actions = world.actions(plan)
    assert "run.resumed" in actions
    assert len({one for one in heard if one}) == 1  # a look at it later is nobody's run
    with world.store.read() as look:
        run = look.get(Execution, plan.id)
    assert run is not None
    assert heard[0]
    assert (heard[0].seq, heard[0].hash) == (run.head_seq, run.head)


def test_a_run_that_ends_badly_leaves_no_name_behind(world: World) -> None:
    def stop(name: str) -> None:
        raise RuntimeError(name)

    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.stops_at(lambda name: stop(name) if "before-call" in name else None)
    with pytest.raises(RuntimeError, match="before-call"):
        world.executor.execute(plan.id)
    assert ACTING_FOR.get() is None


def test_the_state_before_a_write_is_on_the_trail(world: World) -> None:
    world.incident()
    plan = world.contains()
    prior: Mapping[str, Json] = {}
    for entry in world.trail(plan):
        if entry.action == "step.started":
            prior = {**prior, str(entry.data["step"]): entry.data["prior"]}
    assert prior == {name: dict(row.prior) for name, row in world.journal(plan).items() if name in prior}
    assert any(prior.values())
