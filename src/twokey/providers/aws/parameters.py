"""The types of runbook parameters: a name and the regular expression that the whole text must match."""

from __future__ import annotations

from collections.abc import Mapping

ROOT_ID = r"r-[0-9a-z]{4,32}"
OU_ID = r"ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}"
ACCOUNT_ID = r"[0-9]{12}"

PARAMETER_TYPES: Mapping[str, str] = {
    "aws.account_id": ACCOUNT_ID,
    # Key prefixes: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    "aws.access_key_id": r"(AKIA|ASIA)[A-Z0-9]{16}",
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    "aws.bucket_name": r"(?!xn--|.*\.\.|.*-s3alias$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "aws.iam_user_name": r"[A-Za-z0-9_+=,.@-]{1,64}",
    "aws.long_term_access_key_id": r"AKIA[A-Z0-9]{16}",  # ASIA is a session: it has no user to contain
    "aws.ou_id": OU_ID,  # never a Root: r-... does not match
    "aws.parent_id": rf"{ROOT_ID}|{OU_ID}",
    "aws.policy_id": r"p-[0-9a-zA-Z_]{8,128}",
    "aws.region": r"[a-z]{2}(-[a-z]+)+-[0-9]",
    "aws.role_arn": rf"arn:aws[a-z-]*:iam::{ACCOUNT_ID}:role/[A-Za-z0-9_+=,.@/-]{{1,512}}",
    "aws.role_name": r"[A-Za-z0-9_+=,.@-]{1,64}",
}
"""A list of any of these is its plural, e.g. `aws.bucket_names`."""
