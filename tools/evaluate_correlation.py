"""How well correlation finds the provider's outages of record: precision, recall, and how long it takes.

    python tools/evaluate_correlation.py WINDOWS.csv [--seed N]

WINDOWS.csv has one outage a line: incident, provider, service, region, announced_utc, start_utc, end_utc, ... Around
each, alarms of ours are made up: some during it, some of another service, place or time. All of it goes through the
real readers, rules and flow in the order of arrival, and what is "provider, correlated" at the end is counted.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median

sys.path.append(str(Path(__file__).resolve().parents[1]))  # `tests.lab` is of the checkout, not installed

from tests.lab.intake_harness import IntakeHarness
from tests.lab.outages import SUBSCRIPTION, aws_alarm, aws_post, azure_health, azure_post
from twokey.core.audit import AuditEntry
from twokey.testing.clocks import SettableClock

# What the status page calls a service -> where CloudWatch keeps its metrics; the others send no alarms.
NAMESPACES = {
    "apigateway": "ApiGateway",
    "autoscaling": "AutoScaling",
    "athena": "Athena",
    "awsiot": "IoT",
    "batch": "Batch",
    "certificatemanager": "CertificateManager",
    "cloudfront": "CloudFront",
    "cloudwatch": "CloudWatch",
    "cognito": "Cognito",
    "codebuild": "CodeBuild",
    "directconnect": "DirectConnect",
    "dynamodb": "DynamoDB",
    "ec2": "EC2",
    "ecr": "ECR",
    "ecs": "ECS",
    "eks": "EKS",
    "elasticache": "ElastiCache",
    "elasticbeanstalk": "ElasticBeanstalk",
    "elasticfilesystem": "EFS",
    "elasticsearch": "ES",
    "elb": "ApplicationELB",
    "emr": "ElasticMapReduce",
    "events": "Events",
    "firehose": "Firehose",
    "kinesis": "Kinesis",
    "lambda": "Lambda",
    "rds": "RDS",
    "redshift": "Redshift",
    "route53": "Route53",
    "s3": "S3",
    "s3-us-standard": "S3",
    "sns": "SNS",
    "sqs": "SQS",
    "storagegateway": "StorageGateway",
    "workspaces": "WorkSpaces",
}
AWS_REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-northeast-1", "ap-southeast-2")
SITE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Web/sites"
CHUNK = timedelta(days=21)  # the outages of so long share one record


@dataclass(frozen=True)
class Window:
    """One outage of record."""

    name: str
    provider: str
    service: str
    region: str
    announced: datetime
    start: datetime
    end: datetime | None

    def holds(self, service: str, region: str, at: datetime) -> bool:
        """Say whether an alarm of this service, place and time belongs to the outage."""
        here = self.region.lower() in ("global", region.lower())
        end = self.end or self.announced + timedelta(hours=2)
        return self.service == service and here and self.start <= at <= max(end, self.start)


@dataclass(frozen=True)
class Alarm:
    """One alarm of ours, and whether the provider's outage is truly behind it."""

    name: str
    provider: str
    service: str
    region: str
    at: datetime
    is_providers: bool
    why: str

    def body(self) -> tuple[str, bytes]:
        """Return the notification, and the door it comes by."""
        if self.provider == "azure":
            return "azure.webhook:x", azure_health(f"{SITE}/{self.name}", self.region, at=self.at)
        return "aws.sqs:x", aws_alarm(self.name, f"AWS/{NAMESPACES[self.service]}", self.region, at=self.at)


@dataclass
class Tally:
    """What came out."""

    outcomes: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)  # minutes from the alarm to the provider's side

    def figures(self) -> dict[str, object]:
        """Return the figures of the page."""
        right, wrong = self.outcomes["found"], self.outcomes["wrongly tied"]
        missed = self.outcomes["missed"]
        late = [delay for delay in self.delays if delay > 1.5]
        return {
            "alarms": sum(self.outcomes.values()),
            "of the provider": right + missed,
            "precision": round(right / max(right + wrong, 1), 3),
            "recall": round(right / max(right + missed, 1), 3),
            "recall at once": round((right - len(late)) / max(right + missed, 1), 3),
            "median minutes until tied": round(median(self.delays or [0]), 1),
            "90th percentile minutes until tied": round(
                sorted(self.delays or [0])[int(len(self.delays) * 0.9)], 1
            ),
            "wrongly tied": dict(sorted(self.by_kind.items())),
        }


def windows(file: Path) -> list[Window]:
    """Read the outages of record that an alarm of ours can see."""
    found = []
    for row in csv.DictReader(file.read_text().splitlines()):
        if row["provider"] == "aws" and row["service"] not in NAMESPACES:
            continue
        if row["provider"] == "azure" and row["service"] != "App Service":
            continue
        announced = _moment(row["announced_utc"])
        assert announced is not None, row
        start, end = _moment(row["start_utc"]) or announced, _moment(row["end_utc"])
        name = f"{row['incident']}-{row['region'].replace(' ', '')}"
        found.append(Window(name, row["provider"], row["service"], row["region"], announced, start, end))
    return sorted(found, key=lambda one: one.start)


def _moment(text: str) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if text else None


def alarms(known: list[Window], random: Random) -> list[Alarm]:
    """Make up alarms around every outage: during it, and beside it in service, place and time."""
    made: list[Alarm] = []
    for number, one in enumerate(known):
        end = one.end or one.announced + timedelta(hours=2)
        length = max((end - one.start).total_seconds(), 60)
        during = one.start + timedelta(seconds=random.uniform(0, length))
        region = one.region if one.region.lower() != "global" else "us-east-1"
        names = sorted(NAMESPACES) if one.provider == "aws" else []
        places = AWS_REGIONS if one.provider == "aws" else ("Test Region 1",)
        tries = [
            ("during it", one.service, region, during),
            ("after it", one.service, region, end + timedelta(minutes=random.uniform(0, 360))),
            ("before it", one.service, region, one.start - timedelta(minutes=random.uniform(0, 360))),
            ("elsewhere", one.service, random.choice(places), during),
            *([("another service", random.choice(names), region, during)] if names else []),
        ]
        for kind, service, place, at in tries:
            truly = any(w.provider == one.provider and w.holds(service, place, at) for w in known)
            why = "during it" if truly else kind
            made.append(Alarm(f"a{number}-{len(made)}", one.provider, service, place, at, truly, why))
    return made


def evaluate(known: list[Window], ours: list[Alarm]) -> Tally:
    """Let everything arrive in its order, and count."""
    tally = Tally()
    first = min(one.start for one in known)
    last = max(one.at for one in ours) + CHUNK
    since = first - CHUNK
    while since < last:
        here = [one for one in known if since <= one.start < since + CHUNK]
        mine = [one for one in ours if since <= one.at < since + CHUNK]
        # an outage that began in the time before may still go on
        before = [one for one in known if since - timedelta(days=2) <= one.start < since]
        if mine:
            _run(before + here, mine, tally)
        since += CHUNK
    return tally


def _run(known: list[Window], ours: list[Alarm], tally: Tally) -> None:
    clock = SettableClock(min(one.start for one in known) if known else ours[0].at)
    sorting = IntakeHarness(clock=clock)
    posts = [post for one in known for post in _posts(one)]
    rings = [(one.at + timedelta(minutes=1), *one.body()) for one in ours]
    for at, source, body in sorted([*posts, *rings], key=lambda arrival: arrival[0]):
        clock.set(at)
        sorting.arrives(source, body)
        sorting.works()
    with sorting.store.read() as look:
        tied = _when_tied(look.audit(limit=1_000_000))
    titles = {}
    for incident in sorting.incidents():
        for one in ours:
            named = any(one.name == r.id.rpartition("/")[2].rpartition(":")[2] for r in incident.resources)
            if named or f" {one.name}" in f" {incident.title} ".replace(":", " "):
                titles[one.name] = incident.id
    for one in ours:
        moment = tied.get(titles[one.name])
        if one.is_providers:
            tally.outcomes["found" if moment else "missed"] += 1
        else:
            tally.outcomes["wrongly tied" if moment else "left alone"] += 1
            if moment:
                tally.by_kind[one.why] += 1
        if moment and one.is_providers:
            tally.delays.append((moment - one.at).total_seconds() / 60)


def _when_tied(trail: Iterable[AuditEntry]) -> dict[str, datetime]:
    return {entry.incident_id: entry.at for entry in trail if entry.action == "correlated"}


def _posts(one: Window) -> list[tuple[datetime, str, bytes]]:
    """Return the provider's first word, and the one that says it is over."""
    over = max(one.end or one.announced + timedelta(hours=2), one.announced + timedelta(minutes=1))
    said = [(one.announced, None), (over, one.end or over)]
    if one.provider == "azure":
        place = {one.service: [one.region]}
        bodies = [azure_post(one.name, place, start=one.start, said=at, end=end) for at, end in said]
        return [(at, "azure.webhook:x", body) for (at, _), body in zip(said, bodies, strict=True)]
    service = one.service
    bodies = [aws_post(one.name, service, one.region, start=one.start, said=at, end=end) for at, end in said]
    return [(at, "aws.sqs:x", body) for (at, _), body in zip(said, bodies, strict=True)]


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("windows", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    known = windows(given.windows)
    tally = evaluate(known, alarms(known, Random(given.seed)))
    print(json.dumps({"outages": len(known), **tally.figures()}, indent=2))


if __name__ == "__main__":
    main()
