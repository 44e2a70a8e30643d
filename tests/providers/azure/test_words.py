"""Every code of Azure and the web door has words in both languages, with the same parameters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

SRC = Path(__file__).resolve().parents[3] / "src" / "twokey"
PARTS = {
    "azure": [
        path
        for path in (SRC / "providers" / "azure").rglob("*.py")
        if not path.is_relative_to(SRC / "providers" / "azure" / "normalise")
    ],
    "web": list((SRC / "web").rglob("*.py")),
}
_CODE = re.compile(
    r"(?:message|Refused|Invalid|NotFound|Unavailable)\(\s*\"((?:azure|web)\.[a-z0-9_.]+)\"(.*?)\)\n",
    re.DOTALL,
)


def words(part: str, language: str) -> dict[str, str]:
    with (SRC / "locale" / language / f"{part}.po").open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file) if entry.id}


def codes(part: str) -> set[str]:
    return {match[1] for path in PARTS[part] for match in _CODE.finditer(path.read_text())}


@pytest.mark.parametrize("part", ["azure", "web"])
def test_codes_and_words_are_the_same_set(part: str) -> None:
    used = codes(part)
    assert len(used) > 5
    assert used <= set(words(part, "en"))
    assert set(words(part, "en")) == set(words(part, "ja"))


@pytest.mark.parametrize("part", ["azure", "web"])
def test_both_languages_tell_the_same_facts(part: str) -> None:
    english, japanese = words(part, "en"), words(part, "ja")
    for code, text in english.items():
        assert text
        assert japanese[code].endswith("。")
        assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", japanese[code])), code
