"""Every documented shape of AWS gets its verdict: each line is a file of tests/fixtures/aws written from the documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from twokey.catalog.rules import Rules, load_rules
from twokey.cli.classify import Classified, classify_texts
from twokey.core.responsibility import ActionOwner, Confidence, Origin, Planned

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "aws"
SECURITY, CONFIG, OURS = "customer-security", "customer-config", "customer-initiated"

EXPECTED = [
    ("guardduty-s3-object", SECURITY, "aws.guardduty", True, "S3"),
    ("guardduty-eks-cluster", SECURITY, "aws.guardduty", True, "EKS"),
    ("guardduty-ecs-cluster", SECURITY, "aws.guardduty", True, "ECS"),
    ("guardduty-container", SECURITY, "aws.guardduty", True, "ECS"),
    ("guardduty-rds", SECURITY, "aws.guardduty.attacked-from-outside", True, "RDS"),
    ("guardduty-rds-limitless", SECURITY, "aws.guardduty.attacked-from-outside", True, "RDS"),
    ("guardduty-lambda", SECURITY, "aws.guardduty", True, "Lambda"),
    ("guardduty-lambda-bare-pascal-case", SECURITY, "aws.guardduty", True, "Lambda"),
    ("guardduty-snapshot", SECURITY, "aws.guardduty", True, "EC2"),
    ("guardduty-malware-scan-threats", SECURITY, "aws.guardduty.scan-threat", True, "S3"),
    ("guardduty-runtime-unhealthy", CONFIG, "aws.guardduty.coverage-lost", False, "guardduty"),
    ("guardduty-archived", SECURITY, "aws.guardduty", False, "S3"),
    ("guardduty-sample", SECURITY, "aws.guardduty", False, "S3"),
    ("securityhub-v2-guardduty", SECURITY, "aws.securityhub.guardduty", True, "S3"),
    ("securityhub-v2-suppressed", SECURITY, "aws.securityhub.guardduty", False, "S3"),
    ("securityhub-v2-compliance", CONFIG, "aws.securityhub.failed-severe", True, "S3"),
    ("securityhub-v2-compliance-pass", "informational", "aws.securityhub.passed", False, "S3"),
    ("securityhub-v2-vulnerability", SECURITY, "aws.securityhub.vulnerability-critical", True, "S3"),
    ("securityhub-v2-sensitive-data", SECURITY, "aws.securityhub.threat", True, "S3"),
    ("ocsf-prowler-fail", CONFIG, "aws.securityhub.failed-severe", True, "S3"),
    ("health-retirement-page-1", "provider-maintenance", "aws.health.maintenance-action", True, "EC2"),
    ("health-retirement-page-2", "provider-maintenance", "aws.health.maintenance-action", True, "EC2"),
    ("health-organisation-view", "provider-outage", "aws.health.issue", True, "EBS"),
    ("health-organisation-api", "provider-outage", "aws.health.issue", True, "EBS"),
    ("health-action-perhaps", "provider-advisory", "aws.health.notification-action-perhaps", False, "LAMBDA"),
    ("health-action-required", "provider-advisory", "aws.health.notification-action", True, "ACM"),
    ("cloudtrail-delete-bucket", SECURITY, "aws.cloudtrail.bucket-deleted", True, "s3"),
    ("cloudtrail-delete-bucket-by-cloudformation", OURS, "aws.cloudtrail.call", False, "s3"),
    ("cloudtrail-stop-logging", SECURITY, "aws.cloudtrail.defences-down", True, "cloudtrail"),
    ("cloudtrail-disable-detector", SECURITY, "aws.cloudtrail.defences-down", True, "guardduty"),
    ("cloudtrail-admin-role", SECURITY, "aws.cloudtrail.administrator-made", True, "iam"),
    ("cloudtrail-admin-inline", SECURITY, "aws.cloudtrail.administrator-made", True, "iam"),
    ("cloudtrail-key-for-another", SECURITY, "aws.cloudtrail.key-for-another", True, "iam"),
    ("cloudtrail-key-of-own", OURS, "aws.cloudtrail.key-created", False, "iam"),
    ("cloudtrail-scp-at-root", SECURITY, "aws.cloudtrail.policy-at-root", True, "organizations"),
    ("cloudtrail-leave-organization", SECURITY, "aws.cloudtrail.organization-left", True, "organizations"),
    ("cloudtrail-public-bucket-policy", SECURITY, "aws.cloudtrail.made-public", True, "s3"),
    ("cloudtrail-restricted-bucket-policy", OURS, "aws.cloudtrail.call", False, "s3"),
    ("cloudtrail-trusted-stranger", SECURITY, "aws.cloudtrail.stranger-trusted", True, "iam"),
    ("cloudtrail-shared-snapshot", SECURITY, "aws.cloudtrail.stranger-trusted", True, "ec2"),
    ("cloudtrail-ssh-for-the-world", SECURITY, "aws.cloudtrail.admin-port-opened", True, "ec2"),
    ("cloudtrail-versioning-suspended", SECURITY, "aws.cloudtrail.recovery-destroyed", True, "s3"),
    ("cloudtrail-lifecycle-one-day", SECURITY, "aws.cloudtrail.recovery-destroyed", True, "s3"),
    ("cloudtrail-root-login", SECURITY, "aws.cloudtrail.root", True, "signin"),
    ("cloudtrail-login-without-mfa", SECURITY, "aws.cloudtrail.login-without-mfa", True, "signin"),
    ("cloudtrail-own-call", OURS, "aws.cloudtrail.own", False, "iam"),
    ("cloudtrail-own-role-misused", SECURITY, "aws.cloudtrail.own-role-misused", True, "s3"),
    ("cloudtrail-own-role-opened", SECURITY, "aws.cloudtrail.own-role-changed", True, "iam"),
    ("cloudtrail-insight", "unknown", "aws.cloudtrail.insight", True, "s3"),
]


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


def read(rules: Rules, name: str) -> list[Classified]:
    found = list(classify_texts([(name, (FIXTURES / f"{name}.json").read_bytes())], rules))
    assert all(isinstance(one, Classified) for one in found)
    return [one for one in found if isinstance(one, Classified)]


@pytest.mark.parametrize(("name", "label", "rule", "opens", "service"), EXPECTED)
def test_a_documented_shape_gets_its_verdict(
    rules: Rules, name: str, label: str, rule: str, opens: bool, service: str
) -> None:
    (found,) = read(rules, name)
    verdict = found.verdict
    assert (verdict.label.value, verdict.rule, verdict.opens_incident) == (label, rule, opens)
    assert found.signal.service == service
    assert found.signal.provider == "aws"
    assert verdict.service_model in ("IaaS", "PaaS", "SaaS")
    assert verdict.reason
    assert verdict.fields


def test_every_file_of_the_fixtures_can_be_read(rules: Rules) -> None:
    for path in sorted(FIXTURES.glob("*.json")):
        assert read(rules, path.stem), path.name


@pytest.mark.parametrize(
    ("name", "origin", "plan", "owner", "confidence"),
    [
        ("health-retirement-page-1", Origin.PROVIDER, Planned.PLANNED, ActionOwner.BOTH, Confidence.HIGH),
        ("health-scheduled-change", Origin.PROVIDER, Planned.PLANNED, ActionOwner.BOTH, Confidence.HIGH),
        ("health-planned-lifecycle", Origin.SHARED, Planned.PLANNED, ActionOwner.CUSTOMER, Confidence.HIGH),
        (
            "health-action-perhaps",
            Origin.SHARED,
            Planned.NOT_APPLICABLE,
            ActionOwner.CUSTOMER,
            Confidence.MEDIUM,
        ),
        ("health-issue", Origin.PROVIDER, Planned.UNPLANNED, ActionOwner.PROVIDER, Confidence.HIGH),
        (
            "cloudtrail-own-call",
            Origin.CUSTOMER,
            Planned.NOT_APPLICABLE,
            ActionOwner.CUSTOMER,
            Confidence.HIGH,
        ),
    ],
)
def test_a_verdict_has_its_fields(
    rules: Rules, name: str, origin: Origin, plan: Planned, owner: ActionOwner, confidence: Confidence
) -> None:
    (found,) = read(rules, name)
    verdict = found.verdict
    assert (verdict.origin, verdict.plan, verdict.action_owner, verdict.confidence) == (
        origin,
        plan,
        owner,
        confidence,
    )
    assert verdict.accountable == "customer"


@pytest.mark.parametrize(
    ("service", "model"),
    [
        ("EC2", "IaaS"),
        ("ec2", "IaaS"),
        ("Amazon S3", "PaaS"),
        ("AWS Lambda", "PaaS"),
        ("DIRECT_CONNECT", "IaaS"),
        ("ROUTE53", "PaaS"),
        ("IAM Identity Center", "SaaS"),
        ("Never heard of", ""),
        ("", ""),
    ],
)
def test_a_service_is_found_however_it_is_spelt(rules: Rules, service: str, model: str) -> None:
    from twokey.testing.builders import a_signal

    assert rules.verdict(a_signal(provider="aws", service=service)).service_model == model
