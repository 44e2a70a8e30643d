"""A record from before readers gave typed answers: what lies in it is still correlated, contained and kept quiet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.intake_harness import IntakeHarness
from tests.lab.old_nouns import as_before
from tests.lab.outages import SUBSCRIPTION, aws_alarm, aws_post, azure_health
from twokey import app as wiring
from twokey.chat.slack.options import SlackOptions
from twokey.core.incidents import Incident, facts
from twokey.core.people import system
from twokey.core.responsibility import Label
from twokey.core.sightings import Sighting
from twokey.store import SqlStore, open_store
from twokey.store.nouns import to_text
from twokey.testing.builders import a_verdict, an_incident
from twokey.testing.clocks import SettableClock

T0 = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parents[1] / "fixtures"
VM = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Compute/virtualMachines/shop-1"


class OldDay:
    """A day of two halves: between them the program is brought up to date."""

    def __init__(self, url: str) -> None:
        self.url, self.clock = url, SettableClock(T0)
        self.store = open_store(url, self.clock, migrate=True)
        self.sorting = IntakeHarness(self.store, self.store.jobs(), clock=self.clock)

    def hears(self, minute: float, body: bytes, source: str = "aws.sqs:events") -> None:
        self.clock.set(T0 + timedelta(minutes=minute))
        self.sorting.arrives(source, body)
        self.sorting.works()

    def is_brought_up_to_date(self) -> None:
        """Leave the record as an earlier version would have, and open it as this one does."""
        make_old(self.store)
        self.store.close()
        self.store = open_store(self.url, self.clock, completions=wiring.completions())
        self.sorting = IntakeHarness(self.store, self.store.jobs(), clock=self.clock)

    def incident(self, family: str) -> Incident:
        return next(one for one in self.sorting.incidents() if one.family == family)


def make_old(store: SqlStore) -> None:
    """Write every noun again without its answers."""
    kinds: tuple[type[Any], ...] = (Incident, Sighting)
    with store.change() as tx:
        for kind in kinds:
            for noun in tx.find(kind):
                assert "has_answers" not in to_text(as_before(noun))
                tx.put(as_before(noun))
        tx.append(system("test"), "made.old")


@pytest.fixture
def day(tmp_path: Path) -> Iterator[OldDay]:
    made = OldDay(f"sqlite:///{tmp_path}/record.db")
    yield made
    made.store.close()


def alarm(minute: float) -> bytes:
    return aws_alarm("shop-5xx", "AWS/ApplicationELB", "us-east-1", at=T0 + timedelta(minutes=minute))


def post(minute: float) -> bytes:
    return aws_post("e1", "ELB", "us-east-1", start=T0, said=T0 + timedelta(minutes=minute))


def test_an_old_alarm_is_explained_by_a_new_word_of_the_provider(day: OldDay) -> None:
    day.hears(10, alarm(10))
    day.is_brought_up_to_date()
    day.hears(76, post(76))
    assert day.incident("other").verdict.label is Label.PROVIDER_OUTAGE
    assert day.incident("other").verdict.fields["services"] == ["elb"]


def test_a_new_alarm_is_explained_by_an_old_word_of_the_provider(day: OldDay) -> None:
    day.hears(5, post(5))
    day.is_brought_up_to_date()
    day.hears(10, alarm(10))
    assert day.incident("other").verdict.label is Label.PROVIDER_OUTAGE


def test_an_old_flapping_machine_is_still_one_matter(day: OldDay) -> None:
    day.hears(1, azure_health(VM, "japaneast", at=T0 + timedelta(minutes=1)), "azure.webhook:main")
    day.is_brought_up_to_date()
    day.hears(9, azure_health(VM, "japaneast", at=T0 + timedelta(minutes=9)), "azure.webhook:main")
    assert [one.signals for one in day.sorting.incidents()] == [2]


def test_the_buckets_of_an_old_finding_are_offered_together_with_those_of_a_new_one(day: OldDay) -> None:
    first = (FIXTURES / "aws" / "guardduty-s3-deletion.json").read_bytes()
    day.hears(1, first)
    before = facts(day.sorting.incidents()[0])
    day.is_brought_up_to_date()
    assert before["buckets"]
    assert facts(day.sorting.incidents()[0]) == before
    day.hears(9, first.replace(b"example-orders", b"example-others").replace(b"T02:18", b"T04:18"))
    (incident,) = day.sorting.incidents()
    assert facts(incident)["buckets"] == sorted({*before["buckets"], "example-others"})


@pytest.mark.parametrize("family", ["guardduty", "securityhub"])
def test_an_old_finding_that_no_rule_knew_still_goes_to_the_responders(tmp_path: Path, family: str) -> None:
    store = open_store(f"sqlite:///{tmp_path}/r.db", SettableClock(), completions=wiring.completions())
    unread = an_incident(family=family, verdict=a_verdict(Label.UNKNOWN))
    with store.change() as tx:
        tx.put(as_before(unread))
        tx.append(system("test"), "opened")
    with store.read() as look:
        (incident,) = look.find(Incident)
    store.close()
    assert not as_before(unread).is_security
    options = SlackOptions("xoxb-1", "T1", "C-ALL", security_channel="C-SEC")
    assert options.channel_for(is_security=incident.is_security) == "C-SEC"


def test_what_does_not_change_is_not_written_anew(day: OldDay) -> None:
    day.hears(10, alarm(10))
    make_old(day.store)
    with day.store.read() as look:
        (old,) = look.find(Incident)
    day.is_brought_up_to_date()
    assert day.incident("other").has_answers
    day.store.close()
    day.store = open_store(day.url, day.clock)
    with day.store.read() as look:
        assert look.find(Incident) == [old]
