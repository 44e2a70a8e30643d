"""What a rule waits for is also sent: the template's patterns and the rules on CloudTrail name the same calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from twokey.catalog.rules import load_rules
from twokey.core import patterns
from twokey.core.errors import Json

TEMPLATE = Path(__file__).resolve().parents[2] / "deploy" / "aws" / "notifications.yaml"
PATTERN_LIMIT = 2048  # characters of an event pattern, EventBridge's default quota
CALLS = ("CallsAgainstDefences", "CallsForIdentities", "CallsOnData")


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as what stands behind them."""


def _function(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _function)


def template() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), Loader=_Loader)["Resources"]


def event_patterns() -> list[dict[str, Any]]:
    resources = template()
    return [resources[name]["Properties"]["EventPattern"] for name in CALLS]


def sent(name: str) -> bool:
    event: dict[str, Json] = {"detail-type": "AWS API Call via CloudTrail", "detail": {"eventName": name}}
    return any(patterns.compile(pattern).matches(event) for pattern in event_patterns())


def test_every_call_that_a_rule_names_is_sent() -> None:
    named = {
        str(example.given["signal"]["type"])  # type: ignore[index,call-overload]
        for rule in load_rules().rules
        if rule.id.startswith("aws.cloudtrail.") and rule.opens
        for example in rule.examples
        if example.matches
    }
    # these come in another way, or with any call at all
    named -= {"CloudTrail Insight", "GetCallerIdentity", "DeleteBucket", "ConsoleLogin"}
    assert [name for name in sorted(named) if not sent(name)] == []
    assert sent("DeleteBucket")


def test_every_name_in_a_rule_on_defences_is_sent() -> None:
    rule = next(rule for rule in load_rules().rules if rule.id == "aws.cloudtrail.defences-down")
    wanted = rule.pattern.required_values("signal.type")
    assert wanted is None  # some are known by what the request says
    for name in ("StopLogging", "DeleteDetector", "DisableSecurityHub", "UpdateDetector", "DeleteFlowLogs"):
        assert sent(name), name


def test_the_patterns_fit_into_eventbridge() -> None:
    for pattern in event_patterns():
        patterns.compile(pattern)
        assert len(json.dumps(pattern)) <= PATTERN_LIMIT


def test_the_queue_takes_from_these_rules() -> None:
    statement = template()["QueuePolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    assert {f"{name}.Arn" for name in CALLS} <= set(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
