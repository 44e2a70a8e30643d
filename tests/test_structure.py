"""The rooms of the flow and the chat: measured, no arrow back up, no circle."""

from __future__ import annotations

import pytest

from tools import structure


def arrows_of(**rooms: str) -> dict[str, frozenset[str]]:
    return {room: frozenset(others.split()) for room, others in rooms.items()}


def circles(**rooms: str) -> list[list[str]]:
    return structure.circles(arrows_of(**rooms))


def measured(**arrows: str) -> structure.Structure:
    found = arrows_of(**arrows)
    floors = [frozenset({"handlers"}), frozenset({"review", "intake"}), frozenset({"plans"})]
    return structure.Structure("twokey.flow", len(found), found, floors, structure.circles(found))


def test_no_room_of_the_flow_or_the_chat_imports_back_up_or_in_a_circle(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert structure.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(structure.MEASURED)
    assert all(line.endswith(" arrows, 0 back up, 0 circles") for line in lines)


def test_an_arrow_to_a_higher_floor_or_along_one_is_back_up() -> None:
    assert measured(handlers="review plans", review="plans", intake="", plans="").back_up == []
    up = measured(handlers="", review="intake", intake="", plans="handlers")
    assert up.back_up == [("plans", "handlers"), ("review", "intake")]


def test_a_circle_is_found_however_long_it_is() -> None:
    assert circles(a="b", b="c", c="a d", d="") == [["a", "b", "c"]]
    assert circles(a="b c", b="c", c="") == []


def test_a_package_without_a_contract_is_not_measured_as_good() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        structure.layers_of("twokey.nowhere", [])
