"""Runbooks for tests, as nouns: the leaked key, the buckets being deleted, the account to quarantine."""

from __future__ import annotations

import json
from typing import Any

from twokey.core.runbooks import (
    ActionCall,
    ApprovalProfile,
    CheckCall,
    Effect,
    OnFailure,
    Param,
    Risk,
    Runbook,
    Step,
)

DENY_ALL = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
)
DENY_DELETION = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TwokeyProtect",
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:DeleteBucket", "s3:DeleteObject*", "s3:PutLifecycleConfiguration"],
                "Resource": "arn:aws:s3:::{bucket}",
            }
        ],
    }
)
DENY_EXCEPT_RESPONDER = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TwokeyQuarantine",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"ArnNotLike": {"aws:PrincipalArn": ["{responder_role_arn}"]}},
            }
        ],
    }
)

LEAKED_KEY = "aws.disable-leaked-access-key"
PROTECT_BUCKETS = "aws.protect-buckets"
QUARANTINE_ACCOUNT = "aws.quarantine-account"


def disable_leaked_key(**changes: Any) -> Runbook:
    """Make the runbook that switches a key off and denies its user everything."""
    key, user = "${{ params.access_key_id }}", "${{ steps.resolve.outputs.user_name }}"
    policy = "twokey-quarantine-${{ incident.id }}"
    status = "aws.iam.key_status_equals"
    fields: dict[str, Any] = {
        "id": LEAKED_KEY,
        "version": "1.0.0",
        "digest": "a" * 64,
        "title": "Deactivate a leaked long-term IAM access key and contain its user",
        "provider": "aws",
        "risk": Risk.HIGH,
        "reversible": "full",
        "break_glass": True,
        "approval": ApprovalProfile(typed_confirmation="last4:${{ params.access_key_id }}", step_up="totp"),
        "params": (
            Param("account_id", "aws.account_id", True, source="incident.account_id"),
            Param("access_key_id", "aws.long_term_access_key_id", True, source="incident.access_key_id"),
            Param("contain_user", "bool", default=True),
        ),
        "blast_max": {"principals": 1},
        "guards": (
            CheckCall(
                "aws.sts.access_key_account_equals",
                {"access_key_id": key, "account_id": "${{ params.account_id }}"},
                "key-belongs-to-account",
            ),
            CheckCall(
                "aws.iam.user_has_no_tag",
                {
                    "access_key_id": key,
                    "account_id": "${{ params.account_id }}",
                    "tag": "twokey:never-contain",
                },
                "user-not-break-glass",
            ),
        ),
        "steps": (
            Step(
                "resolve",
                "evidence",
                "aws.iam.get_access_key_last_used",
                Effect.READ,
                {"access_key_id": key},
                {"user_name": "user_name"},
            ),
            Step(
                "export_trail",
                "evidence",
                "aws.cloudtrail.export_events",
                Effect.READ,
                {"account_id": "${{ params.account_id }}", "access_key_id": key},
                on_failure=OnFailure.CONTINUE,
            ),
            Step(
                "deactivate_key",
                "contain",
                "aws.iam.update_access_key",
                Effect.MODIFY,
                {"user_name": user, "access_key_id": key, "status": "Inactive"},
                pre=(CheckCall(status, {"access_key_id": key, "status": "Active"}, or_skip=True),),
                verify=CheckCall(status, {"access_key_id": key, "status": "Inactive"}, within_s=30.0),
                undo=ActionCall(
                    "aws.iam.update_access_key",
                    {
                        "user_name": user,
                        "access_key_id": key,
                        "status": "${{ steps.deactivate_key.prior.status }}",
                    },
                ),
            ),
            Step(
                "deny_user",
                "contain",
                "aws.iam.put_user_policy",
                Effect.CREATE,
                {"user_name": user, "policy_name": policy, "template": "iam/deny-all.json"},
                when="${{ params.contain_user }}",
                verify=CheckCall("aws.iam.user_policy_present", {"user_name": user, "policy_name": policy}),
                undo=ActionCall("aws.iam.delete_user_policy", {"user_name": user, "policy_name": policy}),
                on_failure=OnFailure.ASK,
            ),
        ),
        "documents": {"iam/deny-all.json": DENY_ALL},
    }
    return Runbook(**{**fields, **changes})


def protect_buckets(**changes: Any) -> Runbook:
    """Make the runbook that forbids deletion in every bucket an incident names."""
    check = "aws.s3.bucket_denies_deletion"
    fields: dict[str, Any] = {
        "id": PROTECT_BUCKETS,
        "version": "1.0.0",
        "digest": "b" * 64,
        "title": "Forbid the deletion of buckets",
        "provider": "aws",
        "risk": Risk.MEDIUM,
        "reversible": "full",
        "params": (
            Param("account_id", "aws.account_id", True, source="incident.account_id"),
            Param("buckets", "aws.buckets", True, source="incident.buckets"),
        ),
        "blast_max": {"buckets": 10},
        "steps": (
            Step(
                "protect",
                "contain",
                "aws.s3.merge_bucket_policy",
                Effect.MODIFY,
                {
                    "bucket": "${{ item }}",
                    "template": "s3/deny-deletion.json",
                    "values": {"bucket": "${{ item }}"},
                },
                for_each="${{ params.buckets }}",
                verify=CheckCall(check, {"bucket": "${{ item }}"}),
                undo=ActionCall(
                    "aws.s3.restore_bucket_policy",
                    {"bucket": "${{ item }}", "policy": "${{ steps.self.prior.policy }}"},
                ),
            ),
        ),
        "documents": {"s3/deny-deletion.json": DENY_DELETION},
    }
    return Runbook(**{**fields, **changes})


def quarantine_account(**changes: Any) -> Runbook:
    """Make the runbook that puts one account behind a Deny policy on a unit it makes itself."""
    account, made = "${{ params.account_id }}", "${{ steps.create_ou.outputs.ou_id }}"
    policy = "${{ steps.create_scp.outputs.policy_id }}"
    parent = "${{ steps.record_parent.outputs.parent_id }}"
    fields: dict[str, Any] = {
        "id": QUARANTINE_ACCOUNT,
        "version": "1.0.0",
        "digest": "c" * 64,
        "title": "Quarantine one AWS account behind a Deny SCP on a new OU",
        "provider": "aws",
        "risk": Risk.CRITICAL,
        "reversible": "full",
        "approval": ApprovalProfile(
            requester_may_approve=False,
            expires_in_s=900.0,
            typed_confirmation="${{ params.account_id }}",
            step_up="totp",
        ),
        "params": (
            Param("account_id", "aws.account_id", True, source="incident.account_id"),
            Param("quarantine_parent_id", "text", True, source="config.aws.quarantine_parent_ou"),
            Param("responder_role_arn", "aws.role_arn", True, source="config.aws.responder_role_arn"),
        ),
        "blast_max": {"accounts": 1},
        "guards": (
            CheckCall("aws.org.account_is_not_management", {"account_id": account}, "not-management-account"),
            CheckCall("aws.sts.account_is_not_own", {"account_id": account}, "not-own-account"),
            CheckCall(
                "aws.org.target_is_not_root",
                {"target_id": "${{ params.quarantine_parent_id }}"},
                "parent-is-not-root",
            ),
        ),
        "steps": (
            Step(
                "record_parent",
                "evidence",
                "aws.organizations.list_parents",
                Effect.READ,
                {"child_id": account},
                {"parent_id": "parent_id"},
            ),
            Step(
                "create_ou",
                "contain",
                "aws.organizations.create_organizational_unit",
                Effect.CREATE,
                {"parent_id": "${{ params.quarantine_parent_id }}", "name": "quarantine-${{ incident.id }}"},
                {"ou_id": "ou_id"},
                verify=CheckCall("aws.org.ou_is_empty_and_new", {"ou_id": made}),
                undo=ActionCall("aws.organizations.delete_organizational_unit", {"ou_id": made}),
            ),
            Step(
                "create_scp",
                "contain",
                "aws.organizations.create_policy",
                Effect.CREATE,
                {
                    "name": "twokey-quarantine-${{ incident.id }}",
                    "template": "scp/deny-all-except-responder.json",
                    "values": {"responder_role_arn": "${{ params.responder_role_arn }}"},
                },
                {"policy_id": "policy_id"},
                verify=CheckCall("aws.organizations.policy_exists", {"policy_id": policy}),
                undo=ActionCall("aws.organizations.delete_policy", {"policy_id": policy}),
            ),
            Step(
                "attach_scp",
                "contain",
                "aws.organizations.attach_policy",
                Effect.MODIFY,
                {"policy_id": policy, "target_id": made},
                pre=(CheckCall("aws.org.ou_has_no_accounts", {"ou_id": made}),),
                verify=CheckCall("aws.org.policy_targets_equal", {"policy_id": policy, "targets": [made]}),
                undo=ActionCall("aws.organizations.detach_policy", {"policy_id": policy, "target_id": made}),
            ),
            Step(
                "move_account",
                "contain",
                "aws.organizations.move_account",
                Effect.MODIFY,
                {"account_id": account, "source_parent_id": parent, "destination_parent_id": made},
                pre=(CheckCall("aws.org.parent_equals", {"account_id": account, "parent_id": parent}),),
                verify=CheckCall(
                    "aws.org.accounts_in_ou_equal", {"ou_id": made, "accounts": [account]}, within_s=60.0
                ),
                undo=ActionCall(
                    "aws.organizations.move_account",
                    {"account_id": account, "source_parent_id": made, "destination_parent_id": parent},
                ),
                on_failure=OnFailure.ROLLBACK,
            ),
        ),
        "documents": {"scp/deny-all-except-responder.json": DENY_EXCEPT_RESPONDER},
    }
    return Runbook(**{**fields, **changes})
