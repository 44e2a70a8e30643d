"""Files in a folder: whole or not at all, never outside, and nothing that a person wrote is lost."""

import os

import pytest

from twokey.core.errors import Invalid, Refused, TwokeyError, Unavailable
from twokey.publish.folder import PostmortemFolder, file_name
from twokey.testing.builders import a_postmortem


def test_internal_and_public_pages_go_to_different_folders(tmp_path):
    folder = PostmortemFolder(tmp_path)
    inside = folder.publish(a_postmortem("en", "internal", text="in"))
    outside = folder.publish(a_postmortem("ja", "public", text="out"))
    assert inside == str(tmp_path / "internal" / "INC-12.en.internal.md")
    assert outside == str(tmp_path / "public" / "INC-12.ja.public.md")
    assert (tmp_path / "public" / "INC-12.ja.public.md").read_text() == "out"
    assert sorted(path.name for path in (tmp_path / "public").iterdir()) == ["INC-12.ja.public.md"]


def test_publishing_twice_is_once(tmp_path):
    folder = PostmortemFolder(tmp_path)
    place = folder.publish(a_postmortem())
    os.utime(place, ns=(1, 1))
    assert folder.publish(a_postmortem()) == place
    assert os.stat(place).st_mtime_ns == 1
    assert not (tmp_path / "internal" / "earlier").exists()


def test_a_replaced_page_is_kept(tmp_path):
    folder = PostmortemFolder(tmp_path)
    place = tmp_path / "internal" / "INC-12.en.internal.md"
    folder.publish(a_postmortem(text="one"))
    place.write_text("one, with a person's words")
    folder.publish(a_postmortem(text="two"))
    assert place.read_text() == "two"
    assert [path.read_text() for path in (place.parent / "earlier").iterdir()] == [
        "one, with a person's words"
    ]


@pytest.mark.parametrize(
    "id",
    [
        "../INC-1",
        "INC-1/../../x",
        "/etc/passwd",
        "INC-1\0",
        "INC",
        "",
        "..",
        "INC-1\n",
        "INC-1.en",
        "Ｉ-1",
        "-1",
    ],
)
def test_an_id_never_becomes_a_path(tmp_path, id):
    with pytest.raises(Invalid):
        PostmortemFolder(tmp_path / "out").publish(a_postmortem(incident_id=id))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes", [{"language": "../en"}, {"audience": "../public"}, {"audience": "secret"}]
)
def test_a_language_or_audience_never_becomes_a_path(changes):
    with pytest.raises(Invalid):
        file_name(a_postmortem(**changes))


def test_a_link_that_leads_elsewhere_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "out" / "public")
    with pytest.raises(Refused):
        PostmortemFolder(tmp_path / "out").publish(a_postmortem(audience="public"))
    (tmp_path / "out" / "internal").mkdir()
    os.symlink(tmp_path / "elsewhere" / "x", tmp_path / "out" / "internal" / "INC-12.en.internal.md")
    with pytest.raises(Refused):
        PostmortemFolder(tmp_path / "out").publish(a_postmortem())
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_left_behind(tmp_path):
    (tmp_path / "internal").write_text("a file is in the way")
    with pytest.raises(TwokeyError) as raised:
        PostmortemFolder(tmp_path).publish(a_postmortem())
    assert isinstance(raised.value, Unavailable)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["internal"]
