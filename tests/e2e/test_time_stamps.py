"""A running bot has its trail stamped, and what is handed out about a run is verified elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import tsa
from tests.lab.installation import Installation

pytestmark = pytest.mark.skipif(tsa.OPENSSL is None, reason="needs openssl, which signs the stamps")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_run_is_stamped_handed_out_and_verified_elsewhere(
    worlds: Callable[..., Installation], tmp_path: Path, database: str
) -> None:
    with tsa.authority(tmp_path / "tsa") as authority:
        stamped = {"TWOKEY_TSA_URL": authority.url, "TWOKEY_TSA_CA": str(authority.root)}
        world = worlds(database)
        world.bot()
        world.attack(buckets=("shop-orders",))
        card = world.propose(buckets="shop-images")
        world.key(world.ben, card)
        world.ends(world.plan_id(card), "done")
        world.quiet()
        world.bots[-1].stop()
        assert world.twokey("audit", "evidence", "INC-1").returncode == 0, "also without a stamp"
        world.variables |= stamped
        world.bot()  # it looks whether a stamp is due when it starts, and every minute
        world.until(lambda: "head.stamped" in world.actions())
        assert world.readiness()["ready"]
        world.quiet()
        doctor = [json.loads(line) for line in world.twokey("doctor", "--json").stdout.splitlines()]
        (says,) = [one["says"] for one in doctor if one["part"] == "time stamps" and one["ok"]]
        assert says.startswith("the last one is of ")
        out = tmp_path / "INC-1.zip"
        made = world.twokey("audit", "evidence", "INC-1", "--out", str(out))
        assert made.returncode == 0, made.stdout + made.stderr
        assert world.twokey("audit", "stamps").returncode == 0
    world.proven()
    with zipfile.ZipFile(out) as pack:
        pack.extract("verify.py", tmp_path)
    command = [sys.executable, "-I", "-S", "verify.py", str(out)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{world.plan_id(card)} " in done.stdout
