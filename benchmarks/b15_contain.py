"""B15: what one approved containment costs beyond its calls to AWS, moto answering those in the same process.

Ours is `aws.protect-buckets` from the preview over two keys to the verified end, durable at every step; the peer's
is Cloud Custodian isolating an instance and notifying.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import measure
import programs
from measure import AbsentError, Figures, Outcome, Size, Skipped, at_most, compared

VICTIM, REGION, ROLE = "222222222222", "us-east-1", "TwokeyResponder"
RUNBOOK = "aws.protect-buckets"


class Calls:
    """The time that was spent in calls to AWS."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count while the block lasts, whichever client of boto3 calls."""
        from botocore.client import BaseClient

        plain = BaseClient._make_api_call

        def timed_call(client: Any, *given: Any) -> Any:
            begin = time.perf_counter()
            try:
                return plain(client, *given)
            finally:
                self.seconds += time.perf_counter() - begin

        BaseClient._make_api_call = timed_call
        try:
            yield
        finally:
            BaseClient._make_api_call = plain


@contextmanager
def company() -> Iterator[Any]:
    """Give an S3 client of another account, with moto in place of AWS."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": REGION}
    import boto3
    from moto import mock_aws

    with mock_aws():
        assumed = boto3.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{VICTIM}:role/{ROLE}", RoleSessionName="benchmark"
        )["Credentials"]
        yield boto3.client(
            "s3",
            aws_access_key_id=assumed["AccessKeyId"],
            aws_secret_access_key=assumed["SecretAccessKey"],
            aws_session_token=assumed["SessionToken"],
        )


class Installation:
    """The whole program in this process, without its doors."""

    def __init__(self, home: Any, buckets: Any) -> None:
        from twokey import app, settings
        from twokey.testing.people import FixedStepUp

        variables = programs.settings(home, None, clouds="aws", aws_region=REGION, aws_role_name=ROLE)
        loaded = settings.load({name: one for name, one in variables.items() if name.startswith("TWOKEY_")})
        self.app = app.build(loaded)
        self.containment = replace(self.app.containment, step_up=FixedStepUp())
        self._buckets = buckets
        self._number = 0

    def prepare(self) -> tuple[str, str]:
        """Make a bucket, and an incident about it; return the incident and the bucket."""
        import events
        from twokey.core.incidents import Incident
        from twokey.core.signals import RawNotification, raw_id

        self._number += 1
        bucket = f"benchmark-{self._number}"
        self._buckets.create_bucket(Bucket=bucket)
        found = [{"name": bucket, "arn": f"arn:aws:s3:::{bucket}", "type": "Destination"}]
        event = events.finding(
            self._number,
            type="Impact:S3/AnomalousBehavior.Delete",
            accountId=VICTIM,
            region=REGION,
            severity=8,
        )
        event["account"], event["region"] = VICTIM, REGION
        event["detail"]["resource"] = {"resourceType": "S3Bucket", "s3BucketDetails": found}
        body = json.dumps(event).encode()
        source = "aws.sqs:benchmark"
        self.app.intake.receive([RawNotification(raw_id(source, body), source, body, self.app.clock.now())])
        self.app.engine.drain()
        with self.app.store.read() as look:
            return look.find(Incident, newest_first=True, limit=1)[0].id, bucket

    def contain(self, incident: str) -> str:
        """Propose, turn the second key, run; return the plan's end."""
        from twokey.core.people import ChatAccount, ChatIdentity
        from twokey.testing.showings import shown_whole

        ana, ben = (
            ChatIdentity(ChatAccount(programs.TEAM, user), channel=programs.CHANNEL)
            for user in ("U0ANA", "U0BEN")
        )
        flow = self.containment
        seen = shown_whole(flow, flow.preview(incident, RUNBOOK, ana), ana)
        code = f"{self._number:05d}7"
        plan = flow.propose(seen, ana, code=code)
        shown_whole(flow, plan, ben)
        flow.approve(plan.id, ben, digest=plan.digest, typed=plan.typed_target, code=code)
        self.app.engine.drain()
        return flow.plan(plan.id).state.value


def ours(installation: Installation, calls: Calls, count: int) -> Figures:
    """Contain several incidents, one after the other."""
    total = own = 0.0
    for _ in range(count):
        incident, bucket = installation.prepare()
        calls.seconds = 0.0
        begin = time.perf_counter()
        state = installation.contain(incident)
        took = time.perf_counter() - begin
        if state != "done" or bucket not in installation._buckets.get_bucket_policy(Bucket=bucket)["Policy"]:
            raise RuntimeError(f"the containment ended as {state}")
        total, own = total + took, own + took - calls.seconds
    return {"total": total / count * 1e3, "own": own / count * 1e3}


def run(size: Size) -> Outcome:
    """Measure in turns."""
    count, calls = size.of(10, 3), Calls()
    outcome: Outcome = []
    with programs.folder() as home, company() as buckets, calls.counted():
        installation = Installation(home, buckets)
        ours(installation, calls, 2)  # clients are made once
        sides = {"twokey": lambda: ours(installation, calls, count)}
        try:
            programs.peers_python()
            sides["Cloud Custodian"] = lambda: programs.peer("c7n_peer.py", count)
        except AbsentError as absent:
            outcome.append(Skipped("B15", "Cloud Custodian", str(absent)))
        figures = measure.interleaved(size, sides)
        installation.app.store.close()
    what = "one containment beyond its calls to AWS"
    if "Cloud Custodian" in figures:
        outcome.append(compared("B15", what, "ms", figures, "own", peer="Cloud Custodian", goal=at_most(0.4)))
    outcome.append(compared("B15", what, "ms", figures, "own", goal=at_most(80), stretch=at_most(30)))
    outcome.append(compared("B15", "one containment with its calls (moto)", "ms", figures, "total"))
    return outcome


if __name__ == "__main__":
    measure.main(run, __doc__)
