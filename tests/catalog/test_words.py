"""Every fault has words in both languages, and the words name what the fault names."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [*sorted((ROOT / "src/twokey/catalog").glob("*.py")), ROOT / "src/twokey/core/documents.py", ROOT / "src/twokey/stepup.py"]  # fmt: skip
CODE = re.compile(r'"((?:yaml|schema|runbook|lock|roster|document|stepup|refused)\.[a-z0-9_]+)"')
NEAR = re.compile(r'(?:unknown|_known)\([^"]*"([a-z0-9.]+_[a-z0-9_]+)"')


def _words(language: str) -> dict[str, str]:
    with (ROOT / f"src/twokey/locale/{language}/catalog.po").open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file) if entry.id}


def _codes() -> set[str]:
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in SOURCES if not path.name.startswith("rules")
    )
    near = {f"{code}_near" for code in NEAR.findall(text)} | {
        "schema.unknown_key_near",
        "schema.not_one_of_near",
    }
    return set(CODE.findall(text)) | near


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_code_that_is_raised_has_words(language: str) -> None:
    assert _codes() - _words(language).keys() == set()


def test_both_languages_have_the_same_codes_and_tell_the_same_facts() -> None:
    english, japanese = _words("en"), _words("ja")
    assert english.keys() == japanese.keys()
    for code, text in english.items():
        named = [
            {name for _, name, _, _ in Formatter().parse(words) if name} for words in (text, japanese[code])
        ]
        assert named[0] == named[1], code
