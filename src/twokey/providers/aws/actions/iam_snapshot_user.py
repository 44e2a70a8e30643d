"""aws.iam.snapshot_user: everything a user can act with, kept before anything is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import cast

from twokey.core.errors import Json, TwokeyError
from twokey.core.runbooks import Target, canonical
from twokey.providers.aws.actions.reads import Reads
from twokey.providers.aws.policies import as_text
from twokey.providers.aws.principals import statuses, user_policy, user_tags
from twokey.providers.aws.session import call_or_none, text


class SnapshotUser(Reads):
    """Record a user's keys, sign-in, factors, groups and policies. A user holds more than keys."""

    name = "aws.iam.snapshot_user"
    permissions: tuple[str, ...] = (
        "iam:GetLoginProfile",
        "iam:GetUserPolicy",
        "iam:ListAccessKeys",
        "iam:ListAttachedUserPolicies",
        "iam:ListGroupsForUser",
        "iam:ListMFADevices",
        "iam:ListServiceSpecificCredentials",
        "iam:ListSigningCertificates",
        "iam:ListSSHPublicKeys",
        "iam:ListUserPolicies",
        "iam:ListUserTags",
    )
    inputs: Mapping[str, str] = {
        "user_name": "aws.iam_user_name",
        "access_key_id": "aws.long_term_access_key_id?",
    }
    outputs: tuple[str, ...] = (
        "key_status",
        "keys",
        "has_password",
        "mfa_devices",
        "groups",
        "attached_policies",
        "inline_policies",
        "other_credentials",
        "tags",
        "not_readable",
        "sha256",
    )

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Read all of it; what cannot be read is named, and does not stop the rest."""
        user, account = text(inputs, "user_name"), target.account
        missing: list[Json] = []
        keys = statuses(self.calls, account, user)  # without these there is no snapshot

        def names(operation: str, field: str, item: str) -> Json:
            try:
                found = self.calls.listed("iam", operation, field, account, UserName=user)
            except TwokeyError as error:
                missing.append(f"{operation}: {error.message.code}")
                return []
            return [str(one[item] if item else one) for one in found]

        inline = cast("list[str]", names("list_user_policies", "PolicyNames", ""))
        login = call_or_none(self.calls, "iam", "get_login_profile", account, UserName=user)
        snapshot: dict[str, Json] = {
            "keys": cast("Json", keys),
            "has_password": login is not None,
            "mfa_devices": names("list_mfa_devices", "MFADevices", "SerialNumber"),
            "groups": names("list_groups_for_user", "Groups", "GroupName"),
            "attached_policies": names("list_attached_user_policies", "AttachedPolicies", "PolicyArn"),
            "inline_policies": {
                name: as_text(user_policy(self.calls, account, user, name)) for name in inline
            },
            "other_credentials": {
                "service_specific": names(
                    "list_service_specific_credentials",
                    "ServiceSpecificCredentials",
                    "ServiceSpecificCredentialId",
                ),
                "signing_certificates": names("list_signing_certificates", "Certificates", "CertificateId"),
                "ssh_public_keys": names("list_ssh_public_keys", "SSHPublicKeys", "SSHPublicKeyId"),
            },
            "tags": cast("Json", user_tags(self.calls, account, user)),
        }
        digest = hashlib.sha256(canonical(snapshot)).hexdigest()
        status = keys.get(str(inputs.get("access_key_id") or ""), "")
        return {**snapshot, "key_status": status, "not_readable": missing, "sha256": digest}
