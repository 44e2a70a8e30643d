"""Everything that AWS actions say to people has words in both languages, with the same parameters."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.pofile import read_po

SOURCE = Path(__file__).parents[3] / "src" / "twokey"
_CODE = re.compile(r'"(aws\.(?:org|key|iam|s3|scp|sqs|cloudtrail|check|[a-z0-9_]+)(?:\.[a-z0-9_]+)?)"')


def catalogue(language: str) -> dict[str, str]:
    with (SOURCE / "locale" / language / "aws.po").open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file) if entry.id}


def said() -> set[str]:
    """Return every code that is raised or noted: the names of actions, checks and types are not said."""
    from twokey.providers.aws import AwsOptions, provider
    from twokey.testing.clocks import SettableClock

    cloud = provider(AwsOptions(), SettableClock())
    names = {*cloud.actions, *cloud.checks, *cloud.parameter_types}
    found: set[str] = set()
    for path in (SOURCE / "providers" / "aws").rglob("*.py"):
        if "normalise" not in str(path):
            found |= set(_CODE.findall(path.read_text()))
    return {
        code for code in found - names if code.rstrip("?") not in names and not code.startswith("aws.sqs:")
    }


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_code_has_words(language: str) -> None:
    missing = said() - set(catalogue(language)) - {"aws.bucket_names"}
    assert not missing


def test_both_languages_name_the_same_parameters() -> None:
    en, ja = catalogue("en"), catalogue("ja")
    assert set(en) == set(ja)
    for code in en:
        fields = [{name for _, name, _, _ in Formatter().parse(words[code]) if name} for words in (en, ja)]
        assert fields[0] == fields[1], code
