"""The incident's card: what it says, and in whose language."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from twokey.chat.slack.views.cards import incident_card
from twokey.chat.slack.views.text import Words
from twokey.testing.builders import a_verdict, an_incident
from twokey.words import word

RULE = "aws.health.risk"


def card(language: str, reason: str) -> str:
    verdict = replace(a_verdict(), rule=RULE, reason=reason)
    blocks = incident_card(an_incident(verdict=verdict), lambda person: person, Words(language))
    return json.dumps(blocks, ensure_ascii=False)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_reason_of_a_shipped_rule_is_in_the_readers_language(language: str) -> None:
    assert word(f"rule.{RULE}", language) in card(language, word(f"rule.{RULE}"))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_rule_of_ones_own_that_took_a_shipped_name_says_its_own_reason(language: str) -> None:
    assert "Our contract says so" in card(language, "Our contract says so")
