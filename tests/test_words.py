"""Everything that people read has words in both languages, and the compiled catalogues are up to date."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "twokey"
LOCALE = SOURCE / "locale"
RAISED = re.compile(
    r"""\b(?:Refused|Invalid|NotFound|Unavailable|Conflict|RetryAfter|Tampered|LostLease|TwokeyError|message)\(\s*
        (?:\d[\d.]*\s*,\s*)?["']([a-z0-9_]+(?:\.[a-z0-9_]+)+)["']""",
    re.VERBOSE,
)


def codes_in_the_source() -> set[str]:
    texts = (path.read_text() for path in SOURCE.rglob("*.py") if not {"testing", "demo"} & set(path.parts))
    return {code for text in texts for code in RAISED.findall(text)}


def words(language: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((LOCALE / language).glob("*.po")):
        with path.open("rb") as file:
            found |= {entry.id: entry.string for entry in read_po(file) if entry.id}
    return found


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_code_that_is_raised_has_words(language: str) -> None:
    missing = sorted(codes_in_the_source() - words(language).keys())
    assert not missing


def test_both_languages_have_the_same_codes_with_the_same_parameters() -> None:
    english, japanese = words("en"), words("ja")
    assert english.keys() == japanese.keys()
    placeholder = re.compile(r"\{(\w+)\}")
    different = [
        code
        for code in english
        if set(placeholder.findall(english[code])) != set(placeholder.findall(japanese[code]))
    ]
    assert not different


def test_no_words_are_empty() -> None:
    for language in ("en", "ja"):
        assert not [code for code, text in words(language).items() if not text.strip()]


def test_the_compiled_catalogues_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "compile_words.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
