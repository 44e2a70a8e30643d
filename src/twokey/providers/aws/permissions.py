"""The least that AWS must grant us, made from what actions and checks declare; `deploy/aws` holds it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, cast

from twokey.core.errors import Json
from twokey.providers.aws.actions import every_action
from twokey.providers.aws.checks import QUESTIONS
from twokey.providers.aws.session import Calls

PLANNER, EXECUTOR = "planner", "executor"
MEMBER, ORGANIZATION, HOME = "member", "organization", "home"

_READS = re.compile(r"[a-z0-9-]+:(Describe|Get|List|Lookup|Simulate|Validate)\w*")

# How a role elsewhere is assumed: its trust must allow these to the process, and the process' own policy too.
ASSUMES = ("sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession")

# What the polling backstop calls, where it is turned on (TWOKEY_AWS_POLL_S).
_POLLED = (
    "health:DescribeAffectedAccountsForOrganization",
    "health:DescribeAffectedEntities",
    "health:DescribeAffectedEntitiesForOrganization",
    "health:DescribeEventDetails",
    "health:DescribeEventDetailsForOrganization",
    "health:DescribeEvents",
    "health:DescribeEventsForOrganization",
    "securityhub:GetFindings",
)

# Where a grant can be narrower than every resource, it is.
_RESOURCES: dict[str, tuple[str, ...]] = {
    "iam:DeleteUserPolicy": ("arn:aws:iam::*:user/*",),
    "iam:PutUserPolicy": ("arn:aws:iam::*:user/*",),
    "iam:UpdateAccessKey": ("arn:aws:iam::*:user/*",),
    "organizations:AttachPolicy": (
        "arn:aws:organizations::*:ou/o-*/ou-*",
        "arn:aws:organizations::*:policy/o-*/service_control_policy/p-*",
    ),
    "organizations:CreatePolicy": ("*",),
    "organizations:DeleteOrganizationalUnit": ("arn:aws:organizations::*:ou/o-*/ou-*",),
    "organizations:DeletePolicy": ("arn:aws:organizations::*:policy/o-*/service_control_policy/p-*",),
    "organizations:DetachPolicy": (
        "arn:aws:organizations::*:ou/o-*/ou-*",
        "arn:aws:organizations::*:policy/o-*/service_control_policy/p-*",
    ),
    "organizations:TagResource": (
        "arn:aws:organizations::*:ou/o-*/ou-*",
        "arn:aws:organizations::*:policy/o-*/service_control_policy/p-*",
    ),
    "s3:DeleteBucketPolicy": ("arn:aws:s3:::*",),
    "s3:GetBucketPolicy": ("arn:aws:s3:::*",),
    "s3:GetBucketTagging": ("arn:aws:s3:::*",),
    "s3:GetLifecycleConfiguration": ("arn:aws:s3:::*",),
    "s3:ListBucket": ("arn:aws:s3:::*",),
    "s3:PutBucketPolicy": ("arn:aws:s3:::*",),
}


class Declares(Protocol):
    """An action or a check: something that says what it calls."""

    @property
    def permissions(self) -> tuple[str, ...]: ...


def is_read(permission: str) -> bool:
    """Say whether a permission only reads."""
    return _READS.fullmatch(permission) is not None


def needed(parts: Iterable[Declares], role: str = EXECUTOR) -> tuple[str, ...]:
    """Return the permissions of some actions and checks for a role: the planner's are reads only."""
    every = {permission for part in parts for permission in part.permissions}
    return tuple(sorted(p for p in every if role == EXECUTOR or is_read(p)))


def policy(parts: Iterable[Declares], role: str = EXECUTOR, place: str = "") -> dict[str, Json]:
    """Return the least-privilege IAM policy of a role in a place: member accounts, or the organisation's own.

    Whatever is granted, no policy may ever be attached to or taken from the Root or an account.
    """
    wanted = [p for p in needed(parts, role) if place in ("", _place(p))]
    groups: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for permission in wanted:
        groups.setdefault((is_read(permission), _RESOURCES.get(permission, ("*",))), []).append(permission)
    statements: list[Json] = [
        {
            "Sid": f"{'Read' if reads else 'Write'}{number}",
            "Effect": "Allow",
            "Action": cast("Json", actions),
            "Resource": cast("Json", list(resources)),
        }
        for number, ((reads, resources), actions) in enumerate(
            sorted(groups.items(), key=lambda item: (not item[0][0], item[0][1])), start=1
        )
    ]
    if any(p.startswith("organizations:") for p in wanted):
        statements.append(_never_the_root())
    return {"Version": "2012-10-17", "Statement": statements}


def home_policy(parts: Iterable[Declares], role_name: str = "TwokeyResponder") -> dict[str, Json]:
    """Return what the process itself needs where it lives: its queue, and the way into the other accounts."""
    own = [permission for permission in needed(parts) if _place(permission) == HOME]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ReadNotifications",
                "Effect": "Allow",
                "Action": ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
                "Resource": "arn:aws:sqs:*:*:twokey-*",
            },
            {
                "Sid": "AskForNotifications",
                "Effect": "Allow",
                "Action": cast("Json", list(_POLLED)),
                "Resource": "*",
            },
            {"Sid": "ReadAtHome", "Effect": "Allow", "Action": cast("Json", own), "Resource": "*"},
            {
                "Sid": "ReachOtherAccounts",
                "Effect": "Allow",
                "Action": cast("Json", list(ASSUMES)),
                "Resource": f"arn:aws:iam::*:role/{role_name}",
            },
            _never_the_root(),
        ],
    }


def declared() -> tuple[Declares, ...]:
    """Return every action and check that twokey has."""
    nobody = cast("Calls", None)  # what an action declares needs no AWS
    return (*every_action(nobody).values(), *QUESTIONS)


def files(parts: Iterable[Declares]) -> dict[str, dict[str, Json]]:
    """Return every policy file of `deploy/aws/iam` by its name."""
    known = tuple(parts)
    made = {
        f"{role}-{place}.json": policy(known, role, place)
        for role in (PLANNER, EXECUTOR)
        for place in (MEMBER, ORGANIZATION)
    }
    return {**made, "home.json": home_policy(known)}


def _place(permission: str) -> str:
    if permission.startswith("sts:"):
        return HOME
    return ORGANIZATION if permission.startswith(("organizations:", "access-analyzer:")) else MEMBER


def _never_the_root() -> dict[str, Json]:
    return {
        "Sid": "NeverTheRoot",
        "Effect": "Deny",
        "Action": ["organizations:AttachPolicy", "organizations:DetachPolicy"],
        "Resource": ["arn:aws:organizations::*:root/o-*/r-*", "arn:aws:organizations::*:account/o-*/*"],
    }
