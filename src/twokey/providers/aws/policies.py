"""Policy documents as data: compared by meaning, merged without touching what is already there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import cast

from twokey.core.errors import Json, Message, message
from twokey.core.runbooks import canonical
from twokey.providers.aws.scp import arn_like

PROTECT_SID = "TwokeyProtect"
MAX_BUCKET_POLICY_BYTES = 20 * 1024

PROTECTED_ACTIONS = (
    "s3:DeleteObject*",
    "s3:DeleteBucket",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketVersioning",
    "s3:PutReplicationConfiguration",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
)
"""What a protected bucket refuses. The last two make the others hold: whoever may delete everything could
otherwise delete this policy first. Nobody is locked out by it: AWS always lets the account's root user put
and delete a bucket policy, and the responder role is exempt (checked before anything is written)."""

Document = Mapping[str, Json]


def parsed(text: str) -> dict[str, Json]:
    """Return a policy text as data; "" is a policy without statements."""
    return cast("dict[str, Json]", json.loads(text)) if text else {}


def as_text(document: object) -> str:
    """Return a policy that AWS handed out, as text or as data, as text."""
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def digest(text: str) -> str:
    """Return SHA-256 over a policy's canonical JSON, "" for no policy."""
    return hashlib.sha256(canonical(parsed(text))).hexdigest() if text else ""


def has_same_meaning(one: str, other: str) -> bool:
    """Say whether two policy texts say the same: order in lists and single values do not matter."""
    return _plain(parsed(one)) == _plain(parsed(other))


def statements(text: str) -> list[dict[str, Json]]:
    """Return a policy's statements as a list."""
    found = parsed(text).get("Statement", [])
    return cast("list[dict[str, Json]]", found if isinstance(found, list) else [found])


def sids(text: str) -> list[Json]:
    """Return what a policy's statements are called, for people: `Effect` where one has no name, and no more than 20."""
    return [str(one.get("Sid") or one.get("Effect") or "?")[:100] for one in statements(text)[:20]]


def protection_problem(document: str, bucket: str) -> Message | None:
    """Say why a document is not our protection of exactly this bucket, or None."""
    try:
        found = statements(document)
    except ValueError:
        return message("aws.s3.document_not_protection", bucket=bucket, part="JSON")
    if len(found) != 1:
        return message("aws.s3.document_not_protection", bucket=bucket, part="Statement")
    wanted: dict[str, Json] = {
        "Sid": PROTECT_SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(PROTECTED_ACTIONS),
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    for part, value in wanted.items():
        if _listed(found[0].get(part)) != _listed(value):
            return message("aws.s3.document_not_protection", bucket=bucket, part=part)
    spared = exempted_principals(document)
    if set(found[0]) != {*wanted, "Condition"} or not spared or any(_is_open(arn) for arn in spared):
        return message("aws.s3.document_not_protection", bucket=bucket, part="Condition")
    return None


def exempted_principals(document: str) -> tuple[str, ...]:
    """Return the ARNs that a protection leaves alone; () unless its one condition is exactly of that form."""
    condition = statements(document)[0].get("Condition")
    if not isinstance(condition, dict) or set(condition) != {"ArnNotLike"}:
        return ()
    keys = condition["ArnNotLike"]
    if not isinstance(keys, dict) or set(keys) != {"aws:PrincipalArn"}:
        return ()
    values = keys["aws:PrincipalArn"]
    return tuple(str(value) for value in (values if isinstance(values, list) else [values]))


def is_exempted(caller_arn: str, document: str) -> bool:
    """Say whether a protection spares this caller, who may be a session of a role."""
    names = {caller_arn, role_of(caller_arn)} - {""}
    return any(arn_like(spared, name) for spared in exempted_principals(document) for name in names)


def role_of(caller_arn: str) -> str:
    """Return the role's ARN behind a session's, which AWS compares. A session's ARN does not tell a path."""
    parts = caller_arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("assumed-role/"):
        return ""
    return f"{parts[0]}:{parts[1]}:iam::{parts[4]}:role/{parts[5].split('/')[1]}"


def existing_protection(text: str) -> dict[str, Json] | None:
    """Return the statement with our Sid in a bucket's policy, if there is one."""
    return next((s for s in statements(text) if s.get("Sid") == PROTECT_SID), None)


def has_protection(text: str, document: str) -> bool:
    """Say whether a bucket's policy holds our statement, unchanged."""
    found = existing_protection(text)
    return found is not None and _plain(found) == _plain(statements(document)[0])


def merged(text: str, document: str) -> str:
    """Return a bucket's policy with our statement added behind all that it says already."""
    policy = parsed(text) or {"Version": "2012-10-17"}
    added: list[Json] = [*statements(text), *statements(document)]
    return json.dumps({**policy, "Statement": added}, separators=(",", ":"), ensure_ascii=False)


def _is_open(arn: str) -> bool:
    """Say whether an exemption may spare more than one named role or one of its sessions."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[4].isdigit():
        return True
    kind, _, rest = parts[5].partition("/")
    name, _, session = rest.partition("/")
    wild = set("*?") & set(kind + name)
    return bool(wild) or kind not in ("role", "assumed-role") or (session not in ("", "*") and "*" in session)


def _plain(value: Json) -> Json:
    """Bring what IAM treats alike into one form: a value or a list of one, order in lists, anybody."""
    if not isinstance(value, dict):
        return value
    if value in ({"AWS": "*"}, {"AWS": ["*"]}):
        return "*"
    return {key: _listed(item) for key, item in value.items()}


def _listed(value: Json) -> Json:
    items = value if isinstance(value, list) else [value]
    return sorted((_plain(item) for item in items), key=lambda item: json.dumps(item, sort_keys=True))
