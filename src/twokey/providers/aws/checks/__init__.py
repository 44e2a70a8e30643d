"""Questions to AWS that must be answered yes: before a plan, before a step, and behind it."""

from __future__ import annotations

from twokey.ports import Check
from twokey.providers.aws.checks import buckets, keys, organization, policies
from twokey.providers.aws.checks.asking import AwsCheck, Question
from twokey.providers.aws.session import Calls

QUESTIONS: tuple[Question, ...] = (
    *organization.QUESTIONS,
    *policies.QUESTIONS,
    *keys.QUESTIONS,
    *buckets.QUESTIONS,
)


def every_check(calls: Calls) -> dict[str, Check]:
    """Return every check by its name."""
    return {question.name: AwsCheck(calls, question) for question in QUESTIONS}
