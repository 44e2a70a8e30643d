"""S37: whoever answers for Slack, AWS or Entra says who is who and what was done: another address is a rehearsal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.lab.trials import Proof
from twokey.app.doctor import examine
from twokey.app.running import slack_options
from twokey.chat.slack.options import Flows
from twokey.chat.slack.views.render import MessageRenderer
from twokey.core.errors import Invalid
from twokey.settings import Settings, load
from twokey.testing.world import World

SLACK, AWS, ENTRA, ARM = (
    "TWOKEY_SLACK_API_URL",
    "TWOKEY_AWS_ENDPOINT_URL",
    "TWOKEY_AZURE_AUTHORITY",
    "TWOKEY_AZURE_ENDPOINT_URL",
)
FALSE = [
    (SLACK, "https://slack.example/api/"),
    (SLACK, "http://slack.com/api/"),
    (SLACK, "https://slack.com@evil.example/api/"),
    (SLACK, "https://slack.com:8443/api/"),
    (SLACK, "https://slack.com.evil.example/api/"),
    (SLACK, ""),
    (AWS, "http://127.0.0.1:4566"),
    (AWS, "http://sts.eu-west-1.amazonaws.com"),
    (AWS, "https://amazonaws.com.evil.example"),
    (AWS, "https://evilamazonaws.com"),
    # what any customer of AWS can put up, under AWS's own name and with its certificate
    (AWS, "https://abc123.execute-api.eu-west-1.amazonaws.com"),
    (AWS, "https://evil.s3.eu-west-1.amazonaws.com"),
    (AWS, "https://s3.eu-west-1.amazonaws.com/evil"),
    (AWS, "https://ec2-203-0-113-7.eu-west-1.compute.amazonaws.com"),
    (AWS, "https://[::1"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
    ("AWS_ENDPOINT_URL_STS", "https://sts.evil.example"),
    (ENTRA, "https://login.example"),
    (ENTRA, "http://login.microsoftonline.com"),
    ("AZURE_AUTHORITY_HOST", "login.example"),
    (ARM, "https://management.azure.com.evil.example"),
]
TRUE = [
    (SLACK, "https://slack.com/api/"),
    (SLACK, "https://slack-gov.com/api/"),
    (AWS, "https://sts.eu-west-1.amazonaws.com"),
    (AWS, "https://iam.us-gov.amazonaws.com/"),
    (AWS, "https://sts.cn-north-1.amazonaws.com.cn"),
    ("AWS_ENDPOINT_URL_STS", "https://vpce-0a1b-2c.sts.eu-west-1.vpce.amazonaws.com"),
    (ENTRA, "https://login.microsoftonline.us"),
    (ENTRA, "https://login.chinacloudapi.cn/"),
    ("AZURE_AUTHORITY_HOST", "login.microsoftonline.com"),
    (ARM, "https://management.usgovcloudapi.net"),
]


def test_s37_an_address_that_is_not_the_services_own_stops_every_command(proof: Proof) -> None:
    trials = proof("S37", "an address that is not the service's own stops the start", ci=len(FALSE))
    for (name, address), _ in zip(FALSE, trials, strict=True):
        with pytest.raises(Invalid, match=r"TWOKEY_REHEARSAL=1") as refused:
            load({name: address})
        assert name in refused.value.message.params["faults"]
        assert load({name: address, "TWOKEY_REHEARSAL": "1"}).elsewhere.keys() == {name}
        trials.outcome("refused")


@pytest.mark.parametrize(("name", "address"), TRUE)
def test_s37_the_services_own_addresses_need_no_word(name: str, address: str) -> None:
    assert load({name: address}).elsewhere == {}


def test_s37_what_is_shown_of_an_address_holds_no_secret() -> None:
    secret = {SLACK: "https://user:hunter2@slack.example/api/?token=hunter2"}
    assert load({**secret, "TWOKEY_REHEARSAL": "yes"}).elsewhere == {SLACK: "slack.example"}
    with pytest.raises(Invalid) as refused:
        load(secret)
    assert "hunter2" not in str(refused.value)


def rehearsed(**given: str) -> Settings:
    return load(
        {SLACK: "http://127.0.0.1:9/api/", AWS: "http://127.0.0.1:4566", "TWOKEY_REHEARSAL": "1"} | given
    )


def test_s37_every_card_of_a_rehearsal_says_so(proof: Proof) -> None:
    for _ in (trials := proof("S37", "every card of a rehearsal says that it is one, and where")):
        world = World()
        world.incident()
        plan = world.proposes("ana")
        flows = Flows(world.intake, world.response, world.containment, None, world.watch)  # type: ignore[arg-type]
        options = replace(slack_options(rehearsed()), team="T1", channel="C1")
        real = replace(slack_options(load({})), team="T1", channel="C1")
        for told, said in ((options, True), (real, False)):
            renderer = MessageRenderer(flows, world.rosters, told)
            cards: list[Any] = [renderer.card_of(world.incidents()[0])[1], renderer.approval(plan.id)[1]]
            for card in cards:
                assert ("Rehearsal" in str(card[1])) is said
                assert ("127.0.0.1:9" in str(card[1]) and "127.0.0.1:4566" in str(card[1])) is said
        trials.outcome("said", len(cards))


def test_s37_the_doctor_is_red_in_a_rehearsal(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = [one for one in examine(rehearsed()) if one.part == "addresses"]
    assert not found.ok
    assert "TWOKEY_SLACK_API_URL = 127.0.0.1:9" in found.says
    (found,) = [one for one in examine(load({})) if one.part == "addresses"]
    assert found.ok
    (found,) = [one for one in examine(load({"TWOKEY_REHEARSAL": "1"})) if one.part == "addresses"]
    assert "take it away" in found.says
