"""S4: what runs is what people confirmed. One thing changed between their click and the run, whatever it is and
wherever it stands, and nothing is written to the cloud: the keys are void, and people are told to propose it anew."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from tests.lab.installation import Installation
from tests.lab.trials import Proof
from twokey.core.runbooks import Plan, confirmed_content, digest_of
from twokey.demo.company import REGION, SHOP
from twokey.store.nouns import from_text

from .doors import keys, said
from .staging import another_choice, approve, database, held_back, variant

MEDIUM = "aws.protect-buckets-medium"
SPARE = "shop-spare"
BATCH = 40  # so many plans wait for one incident's lock at a time
Path = tuple[Any, ...]


@pytest.fixture(scope="module")
def staged(shared: Installation) -> Installation:
    """The world with a runbook for which one click of an approver is enough."""
    variant(shared, "medium")
    return shared


def approved(world: Installation, buckets: str = "") -> str:
    """Let Ana propose and Ben approve a plan; return its id."""
    card = world.propose(MEDIUM, buckets=buckets or another_choice(world))
    assert not world.fill(world.ben, world.modal(world.ben, card), typed=SHOP).errors
    return world.plan_id(card)


def settled(world: Installation, plan_ids: list[str]) -> None:
    """Wait until the runs of these plans are over, whatever came of them."""
    names = [f"execute:{plan_id}" for plan_id in plan_ids]

    def over() -> bool:
        with database(world) as hand:
            states = dict(hand.execute("SELECT id, state FROM job"))
        return all(states[name] in ("done", "parked") for name in names)

    world.until(over, 120)


def stored(hand: Any, table: str, id: str) -> Any:
    """Return the body of a row."""
    return json.loads(hand.execute(f"SELECT body FROM {table} WHERE id = ?", (id,)).fetchone()[0])


def rewrite(hand: Any, table: str, id: str, body: Any) -> None:
    """Put another body into a row, past the program."""
    done = hand.execute(f"UPDATE {table} SET body = ? WHERE id = ?", (json.dumps(body), id))
    assert done.rowcount == 1


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """Return the way to everything in a document."""
    if here:
        yield here
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from paths(inner, (*here, name))


def others(value: Any, random: Random) -> Iterator[Any]:
    """Return other values in place of this one, likely ones first."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + random.choice((1, 2, 1000))
        yield 0
    elif isinstance(value, str):
        yield "shop-logs" if value.startswith("shop-") and value != "shop-logs" else value + "x"
        yield from (
            "2026-01-01T00:00:00+00:00",
            "low",
            "critical",
            "done",
            "running",
            "read",
            "delete",
            "continue",
        )
    elif isinstance(value, list):
        yield [*value, *copy.deepcopy(value[:1] or ["x"])]
        yield []
    elif isinstance(value, dict):
        yield {**value, "x": "y"}
        yield dict(list(value.items())[1:])
    else:
        yield from ("x", {"code": "x", "params": {}}, "2026-01-01T00:00:00+00:00", 1)


def mutated(document: Any, path: Path, kind: type[Any], random: Random) -> Any:
    """Return the document with something else in one place, such that the program can still read it; None if it cannot."""
    whole = from_text(kind, json.dumps(document))
    old = document
    for name in path:
        old = old[name]
    for value in others(old, random):
        made = copy.deepcopy(document)
        place = made
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        try:
            if from_text(kind, json.dumps(made)) != whole:
                return made
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return None


def confirmed(document: Any) -> Any:
    return confirmed_content(from_text(Plan, json.dumps(document)))


def told(world: Installation, plan_id: str) -> str:
    """Return what the thread was told of a plan that did not run."""
    short = look_at(world, plan_id).short
    about = [message for message in world.thread() if short in message.text or short in str(message.blocks)]
    return " ".join(" ".join(map(world.slack.show, about)).split())


def look_at(world: Installation, plan_id: str) -> Plan:
    with world.record.read() as look:
        plan = look.get(Plan, plan_id)
    assert plan is not None
    return plan


def never_ran(world: Installation, plan_id: str) -> None:
    """The plan is void, says why and what to do now, and takes no more keys."""
    plan = look_at(world, plan_id)
    assert plan.state.value == "voided", (plan.state, plan.reason)
    assert plan.reason is not None
    assert [entry.data["code"] for entry in said(world, plan_id, "voided")] == [plan.reason.code]
    assert not said(world, plan_id, "step.started")


def test_s04_each_field_of_the_stored_plan_changed_between_the_click_and_the_run(
    staged: Installation, proof: Proof
) -> None:
    """The fields are not listed here: they are whatever the stored document has."""
    world = staged
    with held_back(world):
        first = approved(world)
        with database(world) as hand:
            document = stored(hand, "plan", first)
    settled(world, [first])
    assert world.state(first) == "done", "the stage is right: unchanged, it runs"
    ways = list(paths(document))
    every_field = [way for way in ways if len(way) == 1]
    deeper = [way for way in ways if len(way) > 1]
    trials = proof(
        "S4",
        "one field of the stored plan changed between click and run: no write, keys void",
        ci=len(every_field) + 7,
        release=len(ways),
    )
    chosen = [
        *every_field,
        *Random(trials.seed).sample(deeper, min(len(deeper), trials.wanted - len(every_field))),
    ]
    turns = iter(trials)
    for start in range(0, len(chosen), BATCH):
        _change_each(world, [(way, next(turns)) for way in chosen[start : start + BATCH]], trials)
    with contextlib.suppress(StopIteration):
        next(turns)


def _change_each(world: Installation, ways: list[tuple[Path, Random]], trials: Any) -> None:
    plans: dict[str, tuple[Path, Any, Any]] = {}
    world.proxy.calls.clear()
    with held_back(world):
        for way, random in ways:
            plan_id = approved(world)
            with database(world) as hand:
                before = stored(hand, "plan", plan_id)
                after = _changed(before, way, random)
                if after is None:
                    trials.outcome("no other value could be read there")
                    after = before
                rewrite(hand, "plan", plan_id, after)
            plans[plan_id] = (way, before, after)
    settled(world, list(plans))
    allowed = set[str]()
    for plan_id, (way, before, after) in plans.items():
        with database(world) as hand:
            now = hand.execute("SELECT body FROM plan WHERE id = ?", (plan_id,)).fetchone()[0]
        state = json.loads(now)["state"]
        started = said(world, plan_id, "step.started")
        if confirmed(before) != confirmed(after) or before["digest"] != after["digest"]:
            never_ran(world, plan_id)
            trials.outcome("void")
        elif started:
            # who asked, when, and notes are not what people confirmed: what runs is the same to the letter
            assert confirmed(json.loads(now)) == confirmed(before), way
            ran = {step.data["inputs"]["bucket"] for step in started}
            assert ran <= set(before["params"]["buckets"]), way
            allowed |= ran
            trials.outcome("not part of what is confirmed: ran as confirmed")
        else:
            assert state != "done" or way[0] == "state", way
            trials.outcome("not part of what is confirmed: did not run")
    written = {call.path.strip("/").partition("?")[0] for call in world.proxy.operations("PutBucketPolicy")}
    assert written <= allowed
    assert set(world.writes()) <= {"PutBucketPolicy"}


def _changed(document: Any, way: Path, random: Random) -> Any:
    with contextlib.suppress(KeyError, IndexError):  # another plan may have fewer steps
        return mutated(document, way, Plan, random)
    return None


def test_s04_each_field_of_the_stored_keys_changed_between_the_click_and_the_run(
    staged: Installation, proof: Proof
) -> None:
    world = staged
    world.proxy.calls.clear()
    changes: dict[str, Callable[[Random], Any]] = {
        "digest": lambda random: f"{random.getrandbits(256):064x}",
        "person_id": lambda random: random.choice(("p-nobody", "P-BEN", "p-ben ", "p-ana")),
        "role": lambda random: random.choice(("proposer", "break-glass", "confirmation")),
        "at": lambda random: f"20{random.randrange(10, 25)}-01-01T00:00:00+00:00",
    }
    trials = proof(
        "S4",
        "a stored key changed between click and run: no write, keys void",
        ci=len(changes) + 1,
        release=40,
    )
    plans = []
    with held_back(world):
        for random in trials:
            plans.append(plan_id := approved(world))
            name = [*changes, "plan_id"][trials.done % (len(changes) + 1)]
            with database(world) as hand:
                both = [stored(hand, "approval", f"{plan_id}:{person}") for person in ("p-ben", "p-ana")]
                key = both[0]
                if name == "plan_id":
                    yesterday = f"plan-of-yesterday-{trials.number}"
                    hand.execute("UPDATE approval SET plan_id = ? WHERE id = ?", (yesterday, key["id"]))
                    continue
                assert name in key
                for one in both if name == "at" else both[:1]:
                    rewrite(hand, "approval", one["id"], {**one, name: changes[name](random)})
    settled(world, plans)
    for plan_id in plans:
        never_ran(world, plan_id)
        trials.outcome("void")
    assert not world.writes()


def test_s04_a_forged_plan_whose_digests_were_all_made_to_fit(staged: Installation, proof: Proof) -> None:
    """Somebody who writes to the database also knows SHA-256. The keys are another digest's; and if those are
    forged too, the plan is not what the approved runbook makes of the cloud as it is."""
    world = staged
    world.proxy.calls.clear()
    trials = proof("S4", "a forged plan with digests that fit: no write, keys void", ci=4, release=20)
    plans = []
    with held_back(world):
        for random in trials:
            plans.append(plan_id := approved(world))
            with database(world) as hand:
                forged = stored(hand, "plan", plan_id)
                for step in forged["steps"]:
                    step["inputs"]["bucket"] = random.choice(("shop-backups", "terraform-state"))
                forged["digest"] = digest_of(from_text(Plan, json.dumps(forged)))
                rewrite(hand, "plan", plan_id, forged)
                hand.execute("UPDATE plan SET digest = ? WHERE id = ?", (forged["digest"], plan_id))
                if trials.done % 2:
                    for person in ("p-ana", "p-ben"):
                        key = stored(hand, "approval", f"{plan_id}:{person}")
                        rewrite(hand, "approval", key["id"], {**key, "digest": forged["digest"]})
    settled(world, plans)
    for plan_id in plans:
        never_ran(world, plan_id)
        trials.outcome("void")
    assert not world.writes()


# What else can be different: the files that people own, and the cloud


@contextlib.contextmanager
def file(world: Installation, name: str, change: Callable[[str], str] | None) -> Iterator[None]:
    """Let a file beside the runbooks say something else, or not be there."""
    place = world.runbooks / name
    before = place.read_text()
    if change is None:
        place.unlink()
    else:
        assert change(before) != before
        place.write_text(change(before))
    try:
        yield
    finally:
        place.write_text(before)


@contextlib.contextmanager
def new_version(world: Installation) -> Iterator[None]:
    """Let the runbook be edited and approved again, as it should be: it is another one all the same."""
    kept = world.folder / "kept"
    shutil.copytree(world.runbooks, kept)
    place = world.runbooks / f"{MEDIUM}.yaml"
    place.write_text(place.read_text().replace("within: 30s", "within: 31s"))
    approve(world, MEDIUM)
    try:
        yield
    finally:
        shutil.rmtree(world.runbooks)
        kept.rename(world.runbooks)


@contextlib.contextmanager
def cloud(
    world: Installation, change: Callable[[Any, str], Any], back: Callable[[Any, str], Any]
) -> Iterator[None]:
    """Let something be different in the cloud."""
    s3 = world.company.client("s3", SHOP)
    change(s3, SPARE)
    try:
        yield
    finally:
        back(s3, SPARE)


def _create(s3: Any, bucket: str) -> None:
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})


def _policy(s3: Any, bucket: str) -> None:
    statement = {
        "Sid": "TwokeyProtect",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )


def _line_of(text: str) -> str:
    return "".join(row for row in text.splitlines(keepends=True) if MEDIUM not in row)


RUNBOOK, LOCK, DOCUMENT = f"{MEDIUM}.yaml", "approved.lock", "documents/s3/protect-bucket.json"
CHANGES: dict[str, Callable[[Installation], contextlib.AbstractContextManager[None]]] = {
    "the runbook's limit": lambda w: file(w, RUNBOOK, lambda t: t.replace("buckets: 50", "buckets: 5000")),
    "the runbook's risk": lambda w: file(w, RUNBOOK, lambda t: t.replace("risk: medium", "risk: low")),
    "a retry in the runbook's steps": lambda w: file(
        w, RUNBOOK, lambda t: t.replace("attempts: 3", "attempts: 4")
    ),
    "the runbook is gone": lambda w: file(w, RUNBOOK, None),
    "the runbook is no YAML": lambda w: file(w, RUNBOOK, lambda _: "{"),
    "the runbook, approved again": new_version,
    "the lock names another digest": lambda w: file(w, LOCK, lambda t: t.replace("0", "1")),
    "the lock does not name it": lambda w: file(w, LOCK, _line_of),
    "the lock is gone": lambda w: file(w, LOCK, None),
    "the policy document": lambda w: file(w, DOCUMENT, lambda t: t.replace("DeleteBucket", "DeleteBuckets")),
    "a statement of our name in the bucket's policy": lambda w: cloud(
        w, _policy, lambda s3, b: s3.delete_bucket_policy(Bucket=b)
    ),
    # A tag that is set now voids nothing any more, and waits for the cloud's log to tell of it: S27.
    "the bucket is gone": lambda w: cloud(
        w,
        lambda s3, bucket: s3.delete_bucket(Bucket=bucket),
        _create,
    ),
}


def test_s04_files_and_cloud_changed_between_the_click_and_the_run(
    staged: Installation, proof: Proof
) -> None:
    world = staged
    _create(world.company.client("s3", SHOP), SPARE)
    trials = proof(
        "S4", "a file or the cloud changed between click and run: no write, keys void", ci=1, release=5
    )
    for _ in trials:
        for name, change in CHANGES.items():
            with contextlib.ExitStack() as until_the_end:
                with held_back(world):
                    plan_id = approved(world, SPARE)
                    world.proxy.calls.clear()
                    until_the_end.enter_context(change(world))
                settled(world, [plan_id])
                assert world.state(plan_id) == "voided", name
                never_ran(world, plan_id)
                assert not world.writes(), name
            trials.outcome("void")
        trials.count(len(CHANGES) - 1)
    world.until(lambda: "Propose it anew" in told(world, plan_id))
    # Nothing of this stays in the way of the new plan that is asked for.
    again = approved(world, SPARE)
    world.ends(again, "done")
    assert keys(world, again) == ["p-ana", "p-ben"]
    world.proven()
