"""What must be seen of a plan: nothing is dropped when warnings are gathered and targets are cut into pages."""

from dataclasses import replace

import pytest

from twokey.core.approvals import Showing, require_shown, shown_as
from twokey.core.errors import Message, Refused, message
from twokey.core.runbooks import Touch
from twokey.core.showings import MOST_CHARACTERS, PER_PAGE, alike, pages, require_showable
from twokey.testing.builders import a_person, a_plan, at

BEN = a_person("d-ben", "Ben")


def lifecycle(bucket: str, count: int = 1) -> Message:
    return message("aws.s3.lifecycle_goes_on", bucket=bucket, count=count)


def test_the_same_sentence_about_many_things_is_said_once_and_names_them_all():
    (one,) = alike([lifecycle("a"), lifecycle("b"), lifecycle("c")])
    assert (one.message, one.others) == (lifecycle("a"), ("b", "c"))


def test_sentences_that_differ_in_more_stay_apart():
    said = [lifecycle("a", 1), lifecycle("b", 2), lifecycle("c", 1), message("aws.s3.unprotects", bucket="a")]
    gathered = alike(said)
    assert [(one.message, one.others) for one in gathered] == [
        (lifecycle("a", 1), ("c",)),
        (lifecycle("b", 2), ()),
        (message("aws.s3.unprotects", bucket="a"), ()),
    ]


def test_a_sentence_without_parameters_is_kept():
    assert [one.message.code for one in alike([message("aws.scp.limits")])] == ["aws.scp.limits"]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 50, 101])
def test_every_warning_and_target_is_on_exactly_one_page(count):
    touches = tuple(Touch("bucket", f"b{number}") for number in range(count))
    warnings = tuple(lifecycle(f"b{number}", number) for number in range(count))
    made = pages(a_plan(touches=touches, warnings=warnings))
    assert len(made) == max(1, -(-count // PER_PAGE))
    assert [touch for page in made for touch in page.touches] == list(touches)
    said = [one for page in made for warned in page.warnings for one in (warned.message, *warned.others)]
    assert len(said) == count


def test_a_plan_of_what_is_too_long_or_too_large_is_refused():
    for plan, code in (
        (a_plan(touches=(Touch("bucket", "x" * MOST_CHARACTERS, "y"),)), "refused.too_long_to_show"),
        (a_plan(params={"text": "x" * 1_000_000}), "refused.too_large_to_show"),
    ):
        with pytest.raises(Refused, match=code):
            require_showable(plan)
    require_showable(a_plan())


def test_only_ones_own_showing_of_this_plan_in_this_view_counts():
    plan = a_plan()
    right = Showing("s", plan.id, "d-ben", plan.digest, at(0), "V1", (1,))
    assert require_shown(plan, BEN, [right], "V1") is right
    assert require_shown(plan, BEN, [right], "") is right
    for wrong in (
        replace(right, person_id="d-cho"),
        replace(right, plan_id="plan-2"),
        replace(right, digest="0" * 64),
        replace(right, view="V2"),
    ):
        with pytest.raises(Refused, match=r"refused\.not_shown "):
            require_shown(plan, BEN, [wrong], "V1")
    with pytest.raises(Refused, match=r"refused\.not_shown_whole"):
        require_shown(plan, BEN, [replace(right, opened=())], "V1")


def test_a_preview_is_shown_under_its_digest():
    assert shown_as(a_plan(id="plan-7")) == "plan-7"
    assert shown_as(a_plan(id="", digest="ab")) == "preview:ab"
