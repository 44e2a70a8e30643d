"""Other people's text: nothing in it hides, and a name that was nearly right is found."""

import re
import string
import sys
import unicodedata

import pytest

from twokey.core.texts import _folded, nearest, visible, visible_lines


def test_everything_that_cannot_be_seen_is_made_visible():
    """Compared with Unicode's own tables; what is not assigned yet may stay."""
    for number in range(sys.maxunicode + 1):
        char = chr(number)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            assert visible(char) == f"\u27e8U+{number:04X}\u27e9"


@pytest.mark.parametrize("char", "\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\ufe0f")
def test_letters_that_show_nothing_are_made_visible(char):
    assert visible(f"a{char}b") == f"a\u27e8U+{ord(char):04X}\u27e9b"


def test_what_people_read_stays_as_it_is():
    assert visible("🔥 ok é ü 漢字\u3000。") == "🔥 ok é ü 漢字\u3000。"


def test_line_breaks_may_stay_and_a_tab_is_a_space_there():
    assert visible_lines("a\r\nb\n\tc\rd") == "a\nb\n c\u27e8U+000D\u27e9d"


@pytest.mark.parametrize(
    ("given", "meant"), [("aprove", "approve"), ("approve", "approve"), ("zzz", ""), ("", "")]
)
def test_the_name_that_was_probably_meant_is_found(given, meant):
    assert nearest(given, ("approve", "refuse")) == meant


def test_asked_for_the_nearest_at_all_costs_there_always_is_one():
    assert nearest("z" * 100_000, ("approve", "refuse"), alike=0.0)


def test_folded_text_has_every_letter_that_a_pattern_sees():
    """For every character that there is, compared with what a letter matches when it ignores case."""
    for number in range(sys.maxunicode + 1):
        char = chr(number)
        if re.fullmatch("[a-z]", char, re.I):
            seen = [letter for letter in string.ascii_lowercase if re.fullmatch(letter, char, re.I)]
            assert seen == [_folded(char)[0]], hex(number)
