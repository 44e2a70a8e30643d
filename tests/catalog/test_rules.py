"""Rules: the default ones hold, and files that are wrong are told with file, line and key."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twokey.catalog.rules import Rules, default_rules, load_rules
from twokey.core.errors import Invalid
from twokey.core.responsibility import ActionOwner, Confidence, Label, Origin, Planned, Verdict
from twokey.core.signals import RawNotification, Signal, SignalKind, SignalStatus, raw_id
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.azure.normalise import AzureNormaliser

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


def judged(rules: Rules, path: Path) -> list[Verdict]:
    body = path.read_bytes()
    provider = path.parent.name
    raw = RawNotification(raw_id(provider, body), f"{provider}.file", body, NOW)
    normaliser = AzureNormaliser() if provider == "azure" else AwsNormaliser()
    return [rules.verdict(signal, raw) for signal in normaliser.normalise(raw)]


# (file, label, rule, opens an incident)
EXPECTED = [
    ("aws/guardduty-s3-deletion", Label.CUSTOMER_SECURITY, "aws.guardduty", True),
    ("aws/guardduty-access-key", Label.CUSTOMER_SECURITY, "aws.guardduty", True),
    ("aws/guardduty-attack-sequence", Label.CUSTOMER_SECURITY, "aws.guardduty", True),
    (
        "aws/guardduty-brute-force-target",
        Label.CUSTOMER_SECURITY,
        "aws.guardduty.attacked-from-outside",
        True,
    ),
    ("aws/guardduty-malware-scan", Label.CUSTOMER_SECURITY, "aws.guardduty.scan-threat", True),
    ("aws/guardduty-sample", Label.CUSTOMER_SECURITY, "aws.guardduty", False),
    ("aws/guardduty-archived", Label.CUSTOMER_SECURITY, "aws.guardduty", False),
    ("aws/securityhub-imported-guardduty", Label.CUSTOMER_SECURITY, "aws.securityhub.guardduty", True),
    ("aws/securityhub-imported-public-bucket", Label.CUSTOMER_CONFIG, "aws.securityhub.failed-severe", True),
    ("aws/securityhub-imported-passed", Label.INFORMATIONAL, "aws.securityhub.passed", False),
    ("aws/securityhub-suppressed", Label.CUSTOMER_CONFIG, "aws.securityhub.failed-severe", False),
    ("aws/health-issue", Label.PROVIDER_OUTAGE, "aws.health.issue-public", True),
    ("aws/health-issue-resolved", Label.PROVIDER_OUTAGE, "aws.health.issue-public", False),
    ("aws/health-scheduled-change", Label.PROVIDER_MAINTENANCE, "aws.health.maintenance-action", True),
    ("aws/health-credentials-exposed", Label.CUSTOMER_SECURITY, "aws.health.risk", True),
    ("aws/health-abuse", Label.CUSTOMER_SECURITY, "aws.health.abuse", True),
    ("aws/health-planned-lifecycle", Label.PROVIDER_ADVISORY, "aws.health.planned-lifecycle", False),
    ("aws/health-subnet-out-of-addresses", Label.CUSTOMER_CONFIG, "aws.health.customer-limit", True),
    ("aws/health-notification", Label.PROVIDER_ADVISORY, "aws.health.notification", False),
    ("aws/health-billing", Label.INFORMATIONAL, "aws.health.billing", False),
    ("aws/cloudtrail-delete-bucket", Label.CUSTOMER_SECURITY, "aws.cloudtrail.bucket-deleted", True),
    ("aws/cloudwatch-alarm", Label.UNKNOWN, "aws.alarm", True),
    (
        "azure/service-health-maintenance-legacy",
        Label.PROVIDER_MAINTENANCE,
        "azure.service-health.maintenance",
        True,
    ),
    (
        "azure/service-health-maintenance-common",
        Label.PROVIDER_MAINTENANCE,
        "azure.service-health.maintenance",
        True,
    ),
    ("azure/service-health-incident-legacy", Label.PROVIDER_OUTAGE, "azure.service-health.incident", True),
    ("azure/service-health-incident-common", Label.PROVIDER_OUTAGE, "azure.service-health.incident", True),
    (
        "azure/service-health-action-required-legacy",
        Label.PROVIDER_ADVISORY,
        "azure.service-health.action-required",
        True,
    ),
    ("azure/service-health-security-legacy", Label.PROVIDER_ADVISORY, "azure.service-health.security", True),
    (
        "azure/service-health-informational-legacy",
        Label.PROVIDER_ADVISORY,
        "azure.service-health.advisory",
        False,
    ),
    ("azure/resource-health-legacy", Label.PROVIDER_OUTAGE, "azure.resource-health.platform", True),
    ("azure/resource-health-common", Label.PROVIDER_OUTAGE, "azure.resource-health.platform", True),
    (
        "azure/resource-health-user-initiated-common",
        Label.CUSTOMER_INITIATED,
        "azure.resource-health.customer",
        False,
    ),
    (
        "azure/resource-health-updated-without-status-common",
        Label.UNKNOWN,
        "azure.resource-health.not-unhealthy",
        False,
    ),
    ("azure/event-grid-availability", Label.UNKNOWN, "azure.resource-health.no-cause", True),
    ("azure/event-grid-annotation", Label.PROVIDER_OUTAGE, "azure.resource-health.platform", True),
    ("azure/administrative-legacy", Label.CUSTOMER_INITIATED, "azure.activity.operation", False),
    ("azure/test-notification-legacy", Label.INFORMATIONAL, "azure.test-notification", False),
    ("azure/test-notification-common", Label.INFORMATIONAL, "azure.test-notification", False),
]


@pytest.mark.parametrize(("name", "label", "rule", "opens"), EXPECTED)
def test_a_documented_notification_gets_its_verdict(
    rules: Rules, name: str, label: Label, rule: str, opens: bool
) -> None:
    (verdict,) = judged(rules, FIXTURES / f"{name}.json")
    assert (verdict.label, verdict.rule, verdict.opens_incident) == (label, rule, opens)
    assert verdict.accountable == "customer"
    assert verdict.reason
    assert verdict.fields


def test_every_example_of_the_default_rules_holds_and_reaches_its_own_rule(rules: Rules) -> None:
    assert [str(fault) for fault in rules.check()] == []
    assert all(rule.examples for rule in rules.rules), "every rule shows what it is for"


def test_the_reason_of_every_default_rule_is_in_both_catalogues(rules: Rules) -> None:
    from babel.messages.pofile import read_po

    for language in ("en", "ja"):
        path = default_rules().parent / "src" / "twokey" / "locale" / language / "rules.po"
        with path.open("rb") as file:
            words = {entry.id: entry.string for entry in read_po(file)}
        for rule in rules.rules:
            assert words.get(f"rule.{rule.id}"), f"{language}: {rule.id}"
            if language == "en":
                assert words[f"rule.{rule.id}"] == rule.reason


def signal(**fields: Any) -> Signal:
    usual: dict[str, Any] = {
        "id": "s",
        "subject": "s",
        "kind": SignalKind.EVENT,
        "provider": "aws",
        "family": "other",
        "type": "x",
        "title": "t",
    }
    return Signal(**{**usual, **fields})


@pytest.mark.parametrize(
    ("annotation", "context", "category", "label", "origin"),
    [
        (
            "VirtualMachineProvisioningTimedOut",
            "Platform Initiated",
            "Unplanned",
            Label.CUSTOMER_CONFIG,
            Origin.CUSTOMER,
        ),
        (
            "VirtualMachinePreempted",
            "Platform Initiated",
            "Unplanned",
            Label.PROVIDER_ADVISORY,
            Origin.SHARED,
        ),
        (
            "VirtualMachineRedeployInitiatedByControlPlaneDueToPlannedMaintenance",
            "Customer Initiated",
            "Not Applicable",
            Label.PROVIDER_MAINTENANCE,
            Origin.SHARED,
        ),
        (
            "LiveMigrationSucceeded",
            "Platform Initiated",
            "Unplanned",
            Label.PROVIDER_MAINTENANCE,
            Origin.PROVIDER,
        ),
        (
            "VirtualMachineCrashed",
            "VM Initiated",
            "Not Applicable",
            Label.CUSTOMER_INITIATED,
            Origin.CUSTOMER,
        ),
        (
            "VirtualMachineHostCrashed",
            "Platform initiated",
            "Unplanned",
            Label.PROVIDER_OUTAGE,
            Origin.PROVIDER,
        ),
        (
            "VirtualMachineRebootInitiatedForPlannedMaintenance",
            "Platform Initiated",
            "Planned",
            Label.PROVIDER_MAINTENANCE,
            Origin.PROVIDER,
        ),
        (
            "VirtualMachineDeallocationInitiated",
            "Customer Initiated",
            "Not Applicable",
            Label.CUSTOMER_INITIATED,
            Origin.CUSTOMER,
        ),
        ("SomethingNew", "Unknown", "Unknown", Label.UNKNOWN, Origin.UNDETERMINED),
    ],
)
def test_annotations_follow_the_published_table_and_its_exceptions(
    rules: Rules, annotation: str, context: str, category: str, label: Label, origin: Origin
) -> None:
    (event,) = json.loads((FIXTURES / "azure" / "event-grid-annotation.json").read_text())
    event["data"]["resourceInfo"]["properties"].update(
        {"annotationName": annotation, "context": context, "category": category}
    )
    body = json.dumps(event).encode()
    (found,) = AzureNormaliser().normalise(RawNotification("r", "azure.eventgrid", body, NOW))
    verdict = rules.verdict(found)
    assert (verdict.label, verdict.origin) == (label, origin)


@pytest.mark.parametrize(
    ("facts", "kind", "label"),
    [
        ({"eventSubType": "UnauthorizedPartyAbuse"}, "Billing", Label.CUSTOMER_SECURITY),
        ({"eventSubType": "Retirement"}, "HealthAdvisory", Label.PROVIDER_ADVISORY),
        ({"eventSubType": "TaxChanges"}, "HealthAdvisory", Label.INFORMATIONAL),
        ({"eventTags": ["False Positive"], "status": "Resolved"}, "ServiceIssue", Label.UNKNOWN),
        ({"eventTags": ["Final PIR"], "status": "Resolved"}, "ServiceIssue", Label.PROVIDER_OUTAGE),
        ({}, "Assisted Recovery", Label.UNKNOWN),
        ({}, "AssistedRecovery", Label.PROVIDER_OUTAGE),
    ],
)
def test_service_health_sub_types_and_tags_decide(
    rules: Rules, facts: dict[str, Any], kind: str, label: Label
) -> None:
    found = signal(provider="azure", family="servicehealth", type=kind, facts=facts)
    assert rules.verdict(found).label is label


def test_only_security_findings_and_never_an_outage_decide_about_a_key(rules: Rules) -> None:
    """An outage is a good time to attack: a risk event stays ours although its category says issue."""
    found = signal(
        family="health", type="AWS_RISK_IAM_QUARANTINE", service="IAM", facts={"eventTypeCategory": "issue"}
    )
    assert rules.verdict(found).label is Label.CUSTOMER_SECURITY


@pytest.mark.parametrize("change", [{"is_test": True}, {"is_muted": True}, {"status": SignalStatus.RESOLVED}])
def test_samples_muted_and_finished_matters_keep_their_class_and_open_nothing(
    rules: Rules, change: dict[str, Any]
) -> None:
    found = signal(family="guardduty", type="Impact:S3/AnomalousBehavior.Delete", severity=9.0)
    assert rules.verdict(found).opens_incident
    verdict = rules.verdict(replace(found, **change))
    assert (verdict.label, verdict.opens_incident) == (Label.CUSTOMER_SECURITY, False)


def test_what_no_rule_knows_goes_to_a_person(rules: Rules) -> None:
    verdict = rules.verdict(signal(type="Something Nobody Knows"))
    assert (verdict.label, verdict.rule, verdict.opens_incident) == (Label.UNKNOWN, "none", True)


def test_a_hostile_value_is_cut_before_it_is_shown(rules: Rules) -> None:
    verdict = rules.verdict(signal(family="guardduty", type="A" * 5000))
    assert len(str(verdict.fields["type"])) <= 200
    assert "A" * 20 not in verdict.reason


def test_the_service_model_comes_from_the_table(rules: Rules) -> None:
    assert rules.verdict(signal(family="health", service="ec2")).service_model == "IaaS"
    assert rules.verdict(signal(provider="azure", service="App Service")).service_model == "PaaS"
    assert rules.verdict(signal(service="nobody knows")).service_model == ""


HEAD = "apiVersion: twokey.dev/v1\nkind: Rules\nrules:\n"


def written(tmp_path: Path, text: str, name: str = "mine.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_rule_says_only_what_differs_from_its_label(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        HEAD + "  - {id: a, label: provider-outage, reason: Because., match: {signal: {type: [x]}}}\n",
    )
    verdict = load_rules(path).verdict(signal())
    assert (verdict.origin, verdict.plan, verdict.action_owner, verdict.confidence) == (
        Origin.PROVIDER,
        Planned.UNPLANNED,
        ActionOwner.PROVIDER,
        Confidence.HIGH,
    )


def test_the_first_match_wins_by_order_then_by_file_and_place(tmp_path: Path) -> None:
    rule = "  - {{id: {0}, order: {1}, label: {2}, reason: r, match: {{signal: {{type: [x]}}}}}}\n"
    written(
        tmp_path,
        HEAD + rule.format("late", 500, "unknown") + rule.format("early", 5, "customer-config"),
        "b.yaml",
    )
    written(tmp_path, HEAD + rule.format("first-file", 500, "informational"), "a.yaml")
    rules = load_rules(tmp_path)
    assert [found.id for found in rules.rules] == ["early", "first-file", "late"]
    assert rules.verdict(signal()).rule == "early"


def test_a_rule_on_the_raw_payload_is_written_like_an_aws_pattern(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        HEAD
        + "  - id: mine\n    label: customer-initiated\n    reason: Our own tool.\n"
        + "    match: {raw: {source: [my.tool], detail: {severity: [numeric: ['>=', 4]]}}}\n".replace(
            "'", '"'
        ),
    )
    rules = load_rules(path)
    body = {"source": "my.tool", "detail": {"severity": 5}}
    assert rules.verdict(signal(), body).rule == "mine"  # type: ignore[arg-type]
    assert rules.verdict(signal(), {"source": "x", "detail": {"severity": 5}}).rule == "none"
    assert (
        rules.verdict(signal(), RawNotification("r", "aws.x", json.dumps(body).encode(), NOW)).rule == "mine"
    )
    assert rules.verdict(signal(), RawNotification("r", "aws.x", b"not json", NOW)).rule == "none"
    assert rules.verdict(signal(), {"source": ["x", "my.tool"], "detail": {"severity": 5}}).rule == "mine"


def test_when_is_asked_after_the_pattern(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        HEAD
        + "  - id: night\n    label: customer-security\n    reason: r\n    match: {signal: {family: [other]}}\n"
        + "    when: signal.severity >= 7.0 && signal.facts.hour == 3\n",
    )
    rules = load_rules(path)
    assert rules.verdict(signal(severity=8.0, facts={"hour": 3})).rule == "night"
    assert rules.verdict(signal(severity=8.0, facts={"hour": 4})).rule == "none"
    assert rules.verdict(signal(severity=8.0)).rule == "none"  # no such fact: no answer is no
    tried = rules.explain(signal(severity=8.0))
    assert tried[0].reason is not None
    assert tried[0].reason.code == "rules.when_failed"


def test_when_without_its_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python.cel", None)
    path = written(
        tmp_path,
        HEAD + "  - {id: a, label: unknown, reason: r, match: {signal: {type: [x]}}, when: 'true'}\n",
    )
    with pytest.raises(Invalid, match=r"rules\.cel_missing"):
        load_rules(path)


RULE = "  - id: a\n    label: unknown\n    reason: r\n    match: {signal: {type: [x]}}\n"
FAULTS = [
    ("kind: Rules\nrules: []\n", "rules.version", 1),
    ("apiVersion: twokey.dev/v1\nkind: Rule\nrules: []\n", "rules.kind", 2),
    ("apiVersion: twokey.dev/v1\nkind: Rules\n", "rules.missing", 1),
    ("apiVersion: twokey.dev/v1\nkind: Rules\nrule: []\n", "rules.unknown_key", 3),
    (HEAD + "  - id: a\n    label: unknown\n    reason: r\n", "rules.missing", 4),
    (HEAD + RULE + "    lable: x\n", "rules.unknown_key", 8),
    (HEAD + RULE.replace("unknown", "bad"), "rules.word", 5),
    (HEAD + RULE + "    opens: 1\n", "rules.flag", 8),
    (HEAD + RULE + "    order: soon\n", "rules.order", 8),
    (HEAD + RULE + "    fields: [title]\n", "rules.fields", 8),
    (HEAD + RULE + "    when: signal.x >=\n", "rules.cel", 8),
    (HEAD + RULE + "    when: nothing.x\n", "rules.cel", 8),
    (HEAD + RULE + "    examples: [{matches: true}]\n", "rules.examples", 8),
    (HEAD + RULE + "    examples: [{given: {}, match: true}]\n", "rules.unknown_key", 8),
    (HEAD + RULE.replace("id: a", "id: A b"), "rules.id", 4),
    (HEAD + RULE.replace("[x]", "x"), "pattern.not_list", 7),
    (HEAD + RULE.replace("[x]", "[prefx: x]"), "pattern.unknown_matcher", 7),
    (HEAD + RULE.replace("signal: {type: [x]}", "detail: {type: [x]}"), "rules.match_root", 7),
    (HEAD + RULE.replace("type: [x]", "account: [111122223333]"), "rules.text_field", 7),
    (HEAD + RULE + RULE, "rules.duplicate_id", 8),
    (HEAD + RULE + "    reason: again\n", "yaml.duplicate_key", 8),
    (
        "apiVersion: twokey.dev/v1\nkind: ServiceModels\nmodels: {aws: {XaaS: [x]}}\n",
        "rules.service_model",
        3,
    ),
]


@pytest.mark.parametrize(("text", "code", "line"), FAULTS)
def test_a_fault_in_a_file_is_told_with_file_and_line(
    tmp_path: Path, text: str, code: str, line: int
) -> None:
    with pytest.raises(Invalid) as fault:
        load_rules(written(tmp_path, text))
    assert fault.value.message.code == code
    assert fault.value.message.params["file"] == "mine.yaml"
    assert fault.value.message.params["line"] == str(line)


def test_a_folder_without_rules_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"rules\.no_files"):
        load_rules(tmp_path)


def test_an_example_that_does_not_hold_or_is_never_reached_is_told(tmp_path: Path) -> None:
    text = (
        HEAD
        + RULE
        + (
            "    examples:\n      - given: {signal: {type: y}}\n      - {given: {signal: {type: x}}, matches: false}\n"
        )
    )
    text += RULE.replace("id: a", "id: b") + "    examples: [{given: {signal: {type: x}}}]\n"
    faults = load_rules(written(tmp_path, text)).check()
    assert [fault.code for fault in faults] == [
        "rules.example_missed",
        "rules.example_matched",
        "rules.example_shadowed",
    ]
    assert faults[0].params["line"] == "9"


def test_explaining_names_every_rule_asked_and_why(rules: Rules) -> None:
    found = signal(family="health", type="AWS_EC2_OPERATIONAL_ISSUE", facts={"eventTypeCategory": "issue"})
    tried = rules.explain(found)
    assert tried[-1].matched
    assert tried[-1].rule.id == "aws.health.issue"
    assert tried[0].miss is not None
    assert tried[0].miss.path == "signal.type"


def test_many_rules_give_the_same_answers_as_asking_each_in_turn(tmp_path: Path) -> None:
    """The index may only leave out rules that could not have matched."""
    lines = []
    for number in range(300):
        kind, account = f"Kind:{number % 7}/x", f"{number % 11:012d}"
        wanted = [
            f"type: ['{kind}'], account: ['{account}']",
            f"type: [prefix: '{kind[: 3 + number % 5]}'], account: ['{account}']",
            f"account: ['{account}']",
            f"family: [other, health], type: [suffix: '{number % 7}/x']",
        ][number % 4]
        lines.append(
            f"  - {{id: r{number}, order: {number * 37 % 300}, label: unknown, reason: r,"
            f" match: {{signal: {{{wanted}, severity: [numeric: ['>=', {number % 9}]]}}}}}}\n"
        )
    rules = load_rules(written(tmp_path, HEAD + "".join(lines).replace("'", '"')))
    for number in range(200):
        found = signal(
            type=f"Kind:{number % 9}/x",
            account=f"{number % 13:012d}",
            family=["other", "guardduty"][number % 2],
            severity=float(number % 10),
        )
        last = rules.explain(found)[-1]
        assert rules.verdict(found).rule == (last.rule.id if last.matched else "none")
