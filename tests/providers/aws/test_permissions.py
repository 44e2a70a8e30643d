"""What AWS must grant: made from the actions, reads apart from writes, and never the Root."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from twokey.providers.aws import scp
from twokey.providers.aws.permissions import declared, files, is_read, needed, policy

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "aws" / "iam"


def test_the_files_are_what_the_code_declares() -> None:
    """Run `twokey permissions aws --out deploy/aws/iam` after changing an action."""
    made = files(declared())
    assert {path.name for path in FOLDER.glob("*.json")} == set(made)
    for name, document in made.items():
        assert json.loads((FOLDER / name).read_text()) == document, name


def test_every_action_and_check_declares_what_it_calls(aws: Any) -> None:
    for part in (*aws.cloud.actions.values(), *aws.cloud.checks.values()):
        for permission in part.permissions:
            assert re.fullmatch(r"[a-z0-9-]+:[A-Z][A-Za-z]+", permission), (part.name, permission)
    for action in aws.cloud.actions.values():
        writes = [p for p in action.permissions if not is_read(p)]
        assert bool(writes) == action.effect.is_write, action.name


def test_the_planner_can_only_read() -> None:
    every = needed(declared(), "planner")
    assert every
    assert all(is_read(permission) for permission in every)
    assert not any(re.search(r":(Put|Create|Delete|Update|Attach|Detach|Move|Tag)", p) for p in every)


def holds(document: dict[str, Any], action: str, resource: str) -> scp.Answer:
    """Ask the policy itself, as IAM would."""
    statements = scp.parse(json.dumps(document))
    request = scp.Request(action, "arn:aws:iam::111111111111:role/twokey", resource)
    return scp.decide([("policy", {"p": statements})], request).answer


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.json")))
def test_no_policy_lets_anything_be_attached_to_the_root(name: str) -> None:
    document = json.loads((FOLDER / name).read_text())
    for verb in ("AttachPolicy", "DetachPolicy"):
        for target in ("root/o-abcdefghij/r-ab12", "account/o-abcdefghij/222222222222"):
            arn = f"arn:aws:organizations::111111111111:{target}"
            assert holds(document, f"organizations:{verb}", arn) is scp.Answer.DENIED


def test_the_executor_may_attach_to_units_and_write_where_it_must() -> None:
    organization = json.loads((FOLDER / "executor-organization.json").read_text())
    unit = "arn:aws:organizations::111111111111:ou/o-abcdefghij/ou-ab12-34cd56ef"
    assert holds(organization, "organizations:AttachPolicy", unit) is scp.Answer.ALLOWED
    assert holds(organization, "iam:UpdateAccessKey", "*") is scp.Answer.DENIED
    member = json.loads((FOLDER / "executor-member.json").read_text())
    user = "arn:aws:iam::222222222222:user/backup"
    assert holds(member, "iam:UpdateAccessKey", user) is scp.Answer.ALLOWED
    assert holds(member, "s3:PutBucketPolicy", "arn:aws:s3:::backups") is scp.Answer.ALLOWED
    for never in (
        "iam:DeleteAccessKey",
        "iam:CreateUser",
        "s3:DeleteBucket",
        "s3:GetObject",
        "iam:AttachUserPolicy",
    ):
        assert holds(member, never, user) is scp.Answer.DENIED, never
    assert (
        holds(
            json.loads((FOLDER / "planner-member.json").read_text()), "s3:PutBucketPolicy", "arn:aws:s3:::b"
        )
        is scp.Answer.DENIED
    )


def test_a_policy_of_one_action_holds_that_action_alone(aws: Any) -> None:
    made: Any = policy([aws.cloud.actions["aws.iam.update_access_key"]], place="member")
    actions = [a for statement in made["Statement"] for a in statement["Action"]]
    assert sorted(actions) == ["iam:GetAccessKeyLastUsed", "iam:ListAccessKeys", "iam:UpdateAccessKey"]


def test_the_reference_page_names_every_action_check_type_and_permission(aws: Any) -> None:
    page = (ROOT / "docs" / "reference" / "aws-actions.md").read_text()
    rows = {
        line.split("|")[1].strip().strip("`"): line
        for line in page.splitlines()
        if line.startswith("| `aws.")
    }
    assert set(rows) == {*aws.cloud.actions, *aws.cloud.checks, *aws.cloud.parameter_types}
    for part in (*aws.cloud.actions.values(), *aws.cloud.checks.values()):
        for word in (*part.permissions, *part.inputs, *getattr(part, "outputs", ())):
            assert f"`{word}" in rows[part.name], (part.name, word)


class _CloudFormation(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, which are kept as plain values."""


_CloudFormation.add_multi_constructor("!", lambda loader, suffix, node: getattr(node, "value", None))


def test_the_queue_takes_only_what_our_rules_send() -> None:
    template = yaml.load((ROOT / "deploy" / "aws" / "notifications.yaml").read_text(), _CloudFormation)
    resources = template["Resources"]
    rules = [name for name, r in resources.items() if r["Type"] == "AWS::Events::Rule"]
    (allow,) = [
        s
        for s in resources["QueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
        if s["Effect"] == "Allow"
    ]
    assert sorted(allow["Condition"]["ArnEquals"]["aws:SourceArn"]) == sorted(f"{name}.Arn" for name in rules)
    for name in rules:
        # The source alone also matches CloudTrail's records about the service.
        pattern = set(resources[name]["Properties"]["EventPattern"])
        assert pattern in ({"source", "detail-type"}, {"detail", "detail-type"})
        assert "DeadLetterConfig" in resources[name]["Properties"]["Targets"][0]
    assert resources["Notifications"]["Properties"]["RedrivePolicy"]
