"""Our evaluator of service control policies, against the IAM reference's rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.providers.aws import scp
from twokey.providers.aws.scp import Answer, Request, decide, parse

ALLOW_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
RESPONDER = "arn:aws:iam::222222222222:role/TwokeyResponder"
SOMEBODY = "arn:aws:iam::222222222222:role/lambda-ex"


def policy(**statement: Any) -> str:
    full = {"Effect": "Deny", "Action": "*", "Resource": "*", **statement}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{k: v for k, v in full.items() if v is not None}]}
    )


def answer(documents: list[str], request: Request, *, allow_all: bool = True) -> Answer:
    policies = {
        str(n): parse(text) for n, text in enumerate([*documents, *([ALLOW_ALL] if allow_all else [])])
    }
    return decide([("r-ab12", policies)], request).answer


QUARANTINE = policy(Condition={"ArnNotLike": {"aws:PrincipalArn": [RESPONDER]}})


def test_the_quarantine_denies_everybody_but_the_responder() -> None:
    for action in ("s3:DeleteBucket", "ec2:RunInstances", "iam:CreateUser", "sts:GetCallerIdentity"):
        assert answer([QUARANTINE], Request(action, SOMEBODY)) is Answer.DENIED
        assert answer([QUARANTINE], Request(action, RESPONDER)) is Answer.ALLOWED


def test_a_level_without_an_allow_denies() -> None:
    """An allow list is an allow list on every level of the path."""
    only_s3 = policy(Effect="Allow", Action="s3:*")
    levels = [
        ("r", {"a": parse(ALLOW_ALL)}),
        ("ou", {"b": parse(only_s3)}),
        ("acct", {"c": parse(ALLOW_ALL)}),
    ]
    assert decide(levels, Request("s3:GetObject", SOMEBODY)).answer is Answer.ALLOWED
    decision = decide(levels, Request("ec2:RunInstances", SOMEBODY))
    assert (decision.answer, decision.level) == (Answer.DENIED, "ou")
    assert decide([*levels, ("x", {})], Request("s3:GetObject", SOMEBODY)).answer is Answer.DENIED


def test_a_deny_on_any_level_wins() -> None:
    levels = [
        ("r", {"a": parse(ALLOW_ALL), "d": parse(policy(Sid="No", Action="s3:*"))}),
        ("acct", {"c": parse(ALLOW_ALL)}),
    ]
    decision = decide(levels, Request("s3:GetObject", SOMEBODY))
    assert (decision.answer, decision.level, decision.policy, decision.sid) == (Answer.DENIED, "r", "d", "No")


@pytest.mark.parametrize(
    ("statement", "action", "resource", "wanted"),
    [
        ({"Action": "s3:Delete*"}, "s3:DeleteBucket", "*", Answer.DENIED),
        ({"Action": "S3:DELETE*"}, "s3:deletebucket", "*", Answer.DENIED),
        ({"Action": ["ec2:*", "s3:DeleteBucke?"]}, "s3:DeleteBucket", "*", Answer.DENIED),
        ({"Action": "s3:DeleteBucke"}, "s3:DeleteBucket", "*", Answer.ALLOWED),
        ({"Action": "s3.DeleteBucket"}, "s3:DeleteBucket", "*", Answer.ALLOWED),
        ({"Action": None, "NotAction": "iam:*"}, "s3:DeleteBucket", "*", Answer.DENIED),
        ({"Action": None, "NotAction": ["s3:*"]}, "s3:DeleteBucket", "*", Answer.ALLOWED),
        ({"Resource": "arn:aws:s3:::a/*"}, "s3:GetObject", "arn:aws:s3:::a/b/c", Answer.DENIED),
        ({"Resource": "arn:aws:s3:::a/*"}, "s3:GetObject", "arn:aws:s3:::A/b", Answer.ALLOWED),
        ({"Resource": "arn:aws:s3:::a/*"}, "s3:GetObject", "*", Answer.UNKNOWN),
        (
            {"Resource": None, "NotResource": "arn:aws:s3:::a/*"},
            "s3:GetObject",
            "arn:aws:s3:::b/x",
            Answer.DENIED,
        ),
        (
            {"Resource": None, "NotResource": "arn:aws:s3:::a/*"},
            "s3:GetObject",
            "arn:aws:s3:::a/x",
            Answer.ALLOWED,
        ),
    ],
)
def test_actions_and_resources(statement: dict[str, Any], action: str, resource: str, wanted: Answer) -> None:
    assert answer([policy(**statement)], Request(action, SOMEBODY, resource)) is wanted


@pytest.mark.parametrize(
    ("condition", "context", "wanted"),
    [
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/lambda-*"}}, {}, Answer.DENIED),
        ({"ArnLike": {"AWS:principalARN": "arn:aws:iam::*:role/lambda-*"}}, {}, Answer.DENIED),
        ({"ArnLike": {"aws:PrincipalArn": "arn:*:role/lambda-ex"}}, {}, Answer.UNKNOWN),  # not an ARN
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:*:*:user/*"}}, {}, Answer.ALLOWED),  # part by part
        ({"ArnLike": {"aws:PrincipalArn": "*"}}, {}, Answer.DENIED),
        ({"ArnNotLike": {"aws:PrincipalArn": [RESPONDER, SOMEBODY]}}, {}, Answer.ALLOWED),
        ({"ArnNotEquals": {"aws:PrincipalArn": RESPONDER}}, {}, Answer.DENIED),
        ({"StringNotLike": {"aws:PrincipalArn": "*lambda*"}}, {}, Answer.ALLOWED),
        ({"StringNotEquals": {"aws:PrincipalAccount": "222222222222"}}, {}, Answer.ALLOWED),
        ({"StringEquals": {"aws:RequestedRegion": ["us-east-1"]}}, {"aws:RequestedRegion": "us-east-1"}, Answer.DENIED),
        ({"StringNotEquals": {"aws:RequestedRegion": ["us-east-1"]}}, {"aws:requestedregion": "eu-west-1"}, Answer.DENIED),
        ({"StringEqualsIgnoreCase": {"aws:x": "YES"}}, {"aws:x": "yes"}, Answer.DENIED),
        ({"Bool": {"aws:MultiFactorAuthPresent": False}}, {"aws:MultiFactorAuthPresent": "false"}, Answer.DENIED),
        ({"Null": {"aws:PrincipalArn": "true"}}, {}, Answer.ALLOWED),
        ({"Null": {"aws:PrincipalArn": "false"}}, {}, Answer.DENIED),
        ({"Null": {"aws:MultiFactorAuthPresent": "true"}}, {}, Answer.UNKNOWN),
        ({"NumericLessThan": {"aws:MultiFactorAuthAge": "300"}}, {"aws:MultiFactorAuthAge": "10"}, Answer.DENIED),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "10.1.2.3"}, Answer.DENIED),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "10.1.2.3"}, Answer.ALLOWED),
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}}, {"aws:TokenIssueTime": "2025-01-01T00:00:00Z"}, Answer.DENIED),
        # what cannot be decided is never a yes
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, {}, Answer.UNKNOWN),
        ({"StringEquals": {"aws:x": "${aws:username}"}}, {"aws:x": "y"}, Answer.UNKNOWN),
        ({"SomethingNew": {"aws:x": "y"}}, {"aws:x": "y"}, Answer.UNKNOWN),
        ({"NumericLessThan": {"aws:x": "a"}}, {"aws:x": "1"}, Answer.UNKNOWN),
        # all conditions must hold: one no is enough
        ({"SomethingNew": {"aws:x": "y"}, "ArnLike": {"aws:PrincipalArn": RESPONDER}}, {}, Answer.ALLOWED),
    ],
)  # fmt: skip
def test_conditions(condition: dict[str, Any], context: dict[str, str], wanted: Answer) -> None:
    assert answer([policy(Condition=condition)], Request("s3:GetObject", SOMEBODY, context=context)) is wanted


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "aws.scp.not_json"),
        ("[]", "aws.scp.not_json"),
        ('{"Statement":[]}', "aws.scp.version"),
        ('{"Version":"2012-10-17","Statement":[]}', "aws.scp.no_statement"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*"}]}', "aws.scp.one_of"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"deny","Action":"*","Resource":"*"}]}', "aws.scp.effect"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","NotAction":"x:y","Resource":"*"}]}', "aws.scp.one_of"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Principal":"*"}]}', "aws.scp.unknown_element"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":[],"Resource":"*"}]}', "aws.scp.not_texts"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":[]}]}', "aws.scp.condition"),
    ],
)  # fmt: skip
def test_what_organizations_would_refuse_is_found_first(text: str, code: str) -> None:
    assert scp.problems(text)[0].code == code


def test_a_policy_over_the_limit_and_an_unknown_operator_are_problems() -> None:
    assert scp.problems(policy(Sid="x" * 6000))[0].code == "aws.scp.too_large"
    assert (
        scp.problems(policy(Condition={"ForAllPeople:StringEquals": {"a": "b"}}))[0].code
        == "aws.scp.unknown_operator"
    )
    assert scp.problems(policy(Condition={"ForAnyValue:StringLikeIfExists": {"a": "b"}})) == ()


def test_the_preview_says_what_is_denied_and_who_is_spared() -> None:
    statements = parse(QUARANTINE)
    assert scp.exempted(statements) == (RESPONDER,)
    assert scp.denied_actions(statements) == ("*",)
    assert scp.denied_actions(parse(policy(Action=None, NotAction=["sts:*"]))) == ("* - sts:*",)


@given(st.text(max_size=60))
def test_any_text_is_a_policy_or_a_reason_and_never_a_crash(text: str) -> None:
    assert isinstance(scp.problems(text), tuple)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_match_as_fnmatch_does(pattern: str, value: str) -> None:
    from fnmatch import fnmatchcase

    assert scp.like(pattern, value) == fnmatchcase(value, pattern)
