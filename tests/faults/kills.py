"""What is done to runs: cut off at a crash point or inside a write; and what must hold whatever the moment was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

from tests.lab.bots import FaultyBot
from twokey import app as wiring
from twokey.core.errors import RetryAfter
from twokey.core.runbooks import Effect, Plan, PlanState, Runbook
from twokey.demo.bot import CRASHED
from twokey.flow.crashpoints import At
from twokey.flow.planning.planner import Planner
from twokey.history.effects import operations_of
from twokey.settings import load

from .scenes import Scene


def _writes(runbook: Runbook) -> dict[str, str]:
    """Return the writing steps of a runbook, each with the cloud's name for the call."""
    return {
        f"{step.id}[1]" if step.for_each else step.id: (
            "PATCH" if runbook.provider == "azure" else operations_of(step.action)[0]
        )
        for step in runbook.steps
        if step.effect is not Effect.READ
    }


# Every shipped runbook: a new one is killed at its crash points without being named here.
RUNS = {runbook.id: _writes(runbook) for runbook in wiring.build_library(load({})).approved()}
# How often a release goes through all of a runbook's crash points; what differs on Postgres is the store alone.
ROUNDS = {"sqlite": 25, "postgres": 5}
WRITES = [(runbook, step) for runbook, writes in RUNS.items() for step in writes]
Scenes = Callable[..., Scene]


def fresh(scenes: Scenes, database: str, runbook: str, **more: Any) -> Scene:
    return scenes(database, provider=runbook.partition(".")[0], **more)


def params_of(scene: Scene, runbook: str) -> dict[str, Any]:
    return {"buckets": scene.buckets[:1]} if runbook == "aws.protect-buckets" else {}


def approved(scene: Scene, runbook: str) -> Plan:
    return scene.approved(runbook, **params_of(scene, runbook))


def once_each(runbook: str) -> dict[str, int]:
    return dict.fromkeys(RUNS[runbook].values(), 1)


def is_whole(scene: Scene, plan: Plan, runbook: str) -> None:
    """The run is done, every effect is there once, and the trail proves itself."""
    assert scene.ends(plan).state is PlanState.DONE, scene.app.containment.plan(plan.id).reason
    assert scene.effects(*RUNS[runbook].values()) == once_each(runbook)
    scene.app.store.verify()


def goes_on(scene: Scene, plan: Plan, runbook: str) -> None:
    """Another worker takes the run over and ends it."""
    scene.lease_runs_out()
    worker = scene.worker()
    is_whole(scene, plan, runbook)
    worker.kill()


def kill_at(scene: Scene, plan: Plan, runbook: str, point: str, count: int) -> None:
    """kill -9 where the code comes to this crash point for the `count`th time."""
    dying = scene.worker(dies_at=point, count=count)
    assert dying.wait_dead(200) == CRASHED, dying.tail()
    goes_on(scene, plan, runbook)
    # At the first point nothing was begun, at the last nothing was left to do.
    assert ("run.resumed" in scene.actions()) is (point not in (At.CLAIM, At.FINISHED))


def kill_inside(scene: Scene, plan: Plan, runbook: str, step: str) -> None:
    """kill -9 when the cloud has done it and its answer is on the way."""
    operation = RUNS[runbook][step]
    victims: list[FaultyBot] = []
    dead: list[FaultyBot] = []

    def kill_once(call: Any) -> bool:
        name = getattr(call, "operation", call.method)
        if name != operation or getattr(call, "status", 200) >= 300 or not victims:
            return True
        dead.append(victims.pop())
        dead[0].kill()
        return False

    for hooks in (scene.proxy.after, scene.arm.after):
        hooks.append(kill_once)
    dying = scene.worker()
    victims.append(dying)
    assert dying.wait_dead(200) == CRASHED, dying.tail()
    scene.until(lambda: dead)
    goes_on(scene, plan, runbook)
    assert {"run.resumed", "step.found_done"} <= set(scene.actions())


# A walk: what a run passes and touches, in order


@dataclass
class Walk:
    """The crash points that were passed, and between them what reached the outside."""

    trace: list[tuple[str, str]] = field(default_factory=list)  # ("point" | "change" | "call", its name)

    def point(self, name: str) -> None:
        self.trace.append(("point", str(name)))

    @property
    def points(self) -> list[tuple[str, int]]:
        """Every passing of a crash point: its name, and the how manieth time it is."""
        seen: Counter[str] = Counter()
        passings = []
        for kind, name in self.trace:
            if kind == "point":
                seen[name] += 1
                passings.append((name, seen[name]))
        return passings


def walked(scene: Scene, runbook: str) -> tuple[Walk, Plan]:
    """Run a plan here, undisturbed or not, and note what is passed and touched."""
    plan = approved(scene, runbook)
    walk = Walk()
    executor = scene.app.executor
    planner = executor.planner
    clouds: Any = {name: _Cloud(cloud, walk) for name, cloud in planner.clouds.items()}
    watched = replace(
        executor,
        store=cast(Any, _Store(scene.app.store, walk)),
        planner=Planner(clouds, planner.config),
        checkpoint=walk.point,
    )
    with suppress(RetryAfter):  # the engine would run it again after a while
        watched.execute(plan.id)
    return walk, scene.app.containment.plan(plan.id)


class _Store:
    """Notes every change that was kept, by its audit actions."""

    def __init__(self, store: Any, walk: Walk) -> None:
        self._store, self._walk = store, walk

    def read(self) -> Any:
        return self._store.read()

    @contextmanager
    def change(self, *, patient: bool = False) -> Iterator[Any]:
        with self._store.change(patient=patient) as tx:
            told: list[str] = []
            append = tx.append

            def noted(actor: Any, action: str, **about: Any) -> Any:
                told.append(action)
                return append(actor, action, **about)

            tx.append = noted
            yield tx
        self._walk.trace.append(("change", "+".join(told)))


class _Cloud:
    """Notes every call of an action that writes, also one that fails."""

    def __init__(self, cloud: Any, walk: Walk) -> None:
        self.name, self.checks, self.parameter_types = cloud.name, cloud.checks, cloud.parameter_types
        self.scope_parameters = cloud.scope_parameters
        self.actions = {name: _Action(action, walk) for name, action in cloud.actions.items()}


class _Action:
    def __init__(self, action: Any, walk: Walk) -> None:
        self._action, self._walk = action, walk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._action, name)

    def apply(self, target: Any, inputs: Any, key: str) -> Any:
        if self._action.effect.is_write:
            self._walk.trace.append(("call", self._action.name))
        return self._action.apply(target, inputs, key)


def uncovered(trace: list[tuple[str, str]]) -> list[str]:
    """Name every two things that reach the outside with no crash point between them."""
    found = []
    last = "the beginning"
    for kind, name in trace:
        if kind == "point":
            last = ""
        else:
            if last:
                found.append(f"no crash point between {last} and {kind} {name}")
            last = f"{kind} {name}"
    return found


# The kills of one runbook, counted


def killed_at_every_point(scenes: Scenes, proof: Any, database: str, runbook: str) -> None:
    """Every crash point that a run passes, one world each; a release goes round many times."""
    walk, plan = walked(fresh(scenes, database, runbook), runbook)
    points = walk.points
    if database == "postgres" and not proof.is_release:
        # What lies around a step that only reads differs in no way from one database to another.
        reads = tuple(f"{step.id}:" for step in plan.steps if not step.effect.is_write)
        points = [point for point in points if not point[0].startswith(reads)]
    promise = f"a run that is cut off at any crash point ends with every effect once ({database})"
    trials = proof("R2", promise, ci=len(points), release=ROUNDS[database] * len(points))
    for _ in trials:
        point, count = points[trials.number % len(points)]
        scene = fresh(scenes, database, runbook)
        kill_at(scene, approved(scene, runbook), runbook, point, count)
    trials.outcome("crash points", len(points))


def killed_inside_every_write(scenes: Scenes, proof: Any, database: str, runbook: str) -> None:
    """The cloud has done it, the answer is on its way, and the worker is gone."""
    steps = list(RUNS[runbook])
    promise = f"a call whose answer nobody heard is read back and never repeated ({database})"
    trials = proof("R2", promise, ci=len(steps), release=ROUNDS[database] * len(steps))
    for _ in trials:
        scene = fresh(scenes, database, runbook)
        kill_inside(scene, approved(scene, runbook), runbook, steps[trials.number % len(steps)])
