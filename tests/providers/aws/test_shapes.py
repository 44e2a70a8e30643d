"""What the documented AWS shapes say about resources, principals and repeats, and what a request means."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twokey.core.signals import RawNotification, Signal, SignalStatus, raw_id
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.aws.normalise.policy_documents import (
    allows_everybody,
    allows_everything,
    outsiders,
)
from twokey.providers.aws.normalise.requests import meaning

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "aws"
ACCOUNT = "111122223333"
KEY = "AKIAIOSFODNN7EXAMPLE"


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def signals(document: Any, own_roles: tuple[str, ...] = ("TwokeyResponder",)) -> tuple[Signal, ...]:
    body = json.dumps(document).encode()
    raw = RawNotification(raw_id("aws.sqs", body), "aws.sqs", body, datetime(2026, 11, 20, tzinfo=UTC))
    return AwsNormaliser(own_roles).normalise(raw)


def only(name: str) -> Signal:
    (signal,) = signals(fixture(name))
    return signal


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("guardduty-s3-object", {"S3Bucket", "S3Object"}),
        ("guardduty-eks-cluster", {"EKSCluster", "KubernetesWorkload", "AccessKey"}),
        ("guardduty-ecs-cluster", {"ECSCluster", "ECSTask"}),
        ("guardduty-container", {"Container"}),
        ("guardduty-rds", {"RDSDBInstance"}),
        ("guardduty-rds-limitless", {"RDSLimitlessDB"}),
        ("guardduty-lambda", {"Lambda"}),
        ("guardduty-lambda-bare-pascal-case", {"Lambda"}),
        ("guardduty-snapshot", {"EBSSnapshot"}),
        ("guardduty-malware-scan-threats", {"S3Bucket", "S3Object"}),
        ("cloudtrail-key-for-another", {"AccessKey", "IAMUser"}),
        ("cloudtrail-scp-at-root", {"Target", "Policy"}),
    ],
)
def test_a_signal_names_every_kind_of_resource(name: str, kinds: set[str]) -> None:
    assert {found.type for found in only(name).resources} == kinds


def test_the_same_finding_in_pascal_case_is_the_same_finding() -> None:
    assert only("guardduty-lambda").id == only("guardduty-lambda-bare-pascal-case").id


def test_users_of_clusters_and_databases_are_never_taken_for_principals_of_aws() -> None:
    database = only("guardduty-rds")
    assert (database.facts["databaseUser"], database.principal.name) == ("report", "")
    cluster = only("guardduty-eks-cluster")
    assert cluster.facts["kubernetesUser"] == "system:serviceaccount:web:default"
    assert cluster.principal.name == "eks-node"


def test_an_archived_finding_is_news_of_the_same_matter() -> None:
    event = fixture("guardduty-lambda")
    (open_,) = signals(event)
    event["detail"]["service"]["archived"] = "true"
    (archived,) = signals(event)
    assert archived.subject == open_.subject
    assert archived.id != open_.id
    assert archived.status is SignalStatus.RESOLVED


def test_a_security_hub_v2_finding_of_guardduty_names_the_finding_and_the_key() -> None:
    hub, direct = only("securityhub-v2-guardduty"), only("guardduty-s3-deletion")
    assert hub.facts["same_as"] == direct.subject
    assert hub.principal.access_key_id == direct.principal.access_key_id == KEY


def test_pages_are_one_matter_and_two_messages_and_a_backup_copy_is_neither() -> None:
    first, second = only("health-retirement-page-1"), only("health-retirement-page-2")
    assert first.subject == second.subject
    assert first.id != second.id
    copy = fixture("health-retirement-page-1")
    copy |= {"id": "another", "region": "us-west-2", "time": "2026-11-20T02:21:00Z"}
    copy["detail"]["backupEvent"] = "true"
    assert signals(copy)[0].id == first.id


def test_the_organisation_view_and_the_organisation_api_speak_of_one_matter() -> None:
    pushed, polled = only("health-organisation-view"), only("health-organisation-api")
    assert pushed.account == polled.account == "444455556666"
    assert pushed.subject == polled.subject


def test_an_end_of_an_insight_closes_its_beginning() -> None:
    begun = only("cloudtrail-insight")
    event = fixture("cloudtrail-insight")
    event["detail"]["eventID"] = "e-2"
    event["detail"]["insightDetails"]["state"] = "End"
    (ended,) = signals(event)
    assert ended.subject == begun.subject
    assert ended.status is SignalStatus.RESOLVED


# our own role


def test_our_own_call_is_known_by_the_role_and_by_what_it_does() -> None:
    assert only("cloudtrail-own-call").facts["isOwn"] is True
    assert only("cloudtrail-own-role-misused").facts["ownRoleMisused"] is True
    (elsewhere,) = signals(fixture("cloudtrail-own-call"), ("AnotherName",))
    assert "isOwn" not in elsewhere.facts


@pytest.mark.parametrize(
    "change",
    [
        {"type": "IAMUser"},
        {"sessionContext": {}},
        {"sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/x/TwokeyResponder"}}},
        {"sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/TwokeyResponder2"}}},
    ],
)  # fmt: skip
def test_a_name_that_only_looks_like_our_role_is_not_ours(change: dict[str, Any]) -> None:
    event = fixture("cloudtrail-own-call")
    event["detail"]["userIdentity"] |= change
    event["detail"]["userIdentity"]["arn"] = "arn:aws:sts::111122223333:assumed-role/x/TwokeyResponder"
    (signal,) = signals(event)
    assert not {"isOwn", "ownRoleMisused"} & signal.facts.keys()


# what a request means


def policy(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


@pytest.mark.parametrize(
    ("document", "everything"),
    [
        (policy(Action="*", Resource="*"), True),
        (policy(Action=["s3:GetObject", "iam:*"], Resource=["*"]), True),
        (json.dumps(policy(Action="*:*", Resource="*")), True),
        ("%7B" + json.dumps(policy(Action="*", Resource="*"))[1:], True),
        (policy(Action="s3:*", Resource="*"), False),
        (policy(Action="*", Resource="arn:aws:s3:::x"), False),
        ({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}, False),
        ("{", False),
        (None, False),
        ({"Statement": [None, 3, {"Effect": "Allow", "Action": {"x": 1}}]}, False),
    ],
)
def test_a_policy_that_makes_an_administrator_is_recognised(document: Any, everything: bool) -> None:
    assert allows_everything(document) is everything


@pytest.mark.parametrize(
    ("statement", "everybody"),
    [
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ["arn:aws:iam::111122223333:root", "*"]}}, True),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({"Principal": {"Service": "ec2.amazonaws.com"}}, False),
        ({}, False),
    ],
)
def test_a_policy_that_lets_everybody_in_is_recognised(statement: dict[str, Any], everybody: bool) -> None:
    assert allows_everybody(policy(**statement)) is everybody


def test_strangers_are_accounts_other_than_the_one_it_happened_in() -> None:
    let_in = ["arn:aws:iam::111122223333:root", "arn:aws:iam::999988887777:role/x", "555566667777", "AIDAX"]
    assert outsiders(policy(Principal={"AWS": let_in}), ACCOUNT) == ["999988887777", "555566667777"]


@pytest.mark.parametrize(
    ("name", "asked", "fact"),
    [
        ("PutBucketAcl", {"bucketName": "b", "x-amz-acl": ["public-read"]}, "isPublic"),
        (
            "PutBucketAcl",
            {
                "AccessControlPolicy": {
                    "AccessControlList": {
                        "Grant": [{"Grantee": {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}}]
                    }
                }
            },
            "isPublic",
        ),
        ("AddPermission20150331v2", {"principal": "*"}, "isPublic"),
        ("AddPermission20150331v2", {"principal": "999988887777"}, "outsiders"),
        ("CreateFunctionUrlConfig", {"authType": "NONE"}, "isPublic"),
        ("ModifyDBSnapshotAttribute", {"attributeName": "restore", "valuesToAdd": ["all"]}, "isPublic"),
        (
            "ModifyImageAttribute",
            {"launchPermission": {"add": {"items": [{"group": "all"}]}}},
            "isPublic",
        ),
        ("SetQueueAttributes", {"attributes": {"Policy": json.dumps(policy(Principal="*"))}}, "isPublic"),
        (
            "PutBucketPublicAccessBlock",
            {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": False}},
            "opensPublicAccess",
        ),
        (
            "AuthorizeSecurityGroupIngress",
            {"cidrIp": "203.0.113.4/0", "fromPort": 22, "toPort": 22, "ipPermissions": {}},
            "opensRemoteAdmin",
        ),
        ("UpdateTrail", {"isMultiRegionTrail": False}, "turnsOff"),
        ("CreateFilter", {"action": "ARCHIVE"}, "turnsOff"),
        ("UpdateDetector", {"enable": False}, "turnsOff"),
    ],
)
def test_what_takes_more_than_a_comparison_is_a_fact(name: str, asked: dict[str, Any], fact: str) -> None:
    assert meaning(name, asked, ACCOUNT, "jane")[fact]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("PutBucketAcl", {"x-amz-acl": ["private"]}),
        ("AddPermission20150331v2", {"principal": "events.amazonaws.com"}),
        ("AddPermission20150331v2", {"principal": ACCOUNT}),
        ("CreateFunctionUrlConfig", {"authType": "AWS_IAM"}),
        ("AuthorizeSecurityGroupIngress", {"cidrIp": "0.0.0.0/0", "fromPort": 443, "toPort": 443}),
        ("AuthorizeSecurityGroupIngress", {"cidrIp": "10.0.0.0/8", "fromPort": 22, "toPort": 22}),
        ("UpdateTrail", {"isMultiRegionTrail": True}),
        ("UpdateDetector", {"enable": True}),
    ],
)
def test_an_ordinary_request_means_nothing_special(name: str, asked: dict[str, Any]) -> None:
    assert meaning(name, asked, ACCOUNT, "jane") == {}


@pytest.mark.parametrize("pascal", [False, True])
def test_a_finding_that_lost_its_service_part_is_still_a_finding(pascal: bool) -> None:
    detail = fixture("guardduty-lambda")["detail"]
    del detail["service"]
    if pascal:
        detail = {name[0].upper() + name[1:]: value for name, value in detail.items()}
    (signal,) = signals(detail)
    assert (signal.family, signal.type) == ("guardduty", "UnauthorizedAccess:Lambda/MaliciousIPCaller.Custom")
    assert AwsNormaliser.recognises(detail)


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "a:b", "Microsoft.Compute/virtualMachines", ""])
def test_another_document_with_a_type_is_no_finding(kind: str) -> None:
    (signal,) = signals({"type": kind, "severity": 3, "accountId": ACCOUNT, "arn": "x"})
    assert signal.family == "other"
