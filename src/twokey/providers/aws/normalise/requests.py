"""What a CloudTrail record's request means: whom it lets in, what it turns off, and what it is aimed at.

Patterns can only compare fields, so what takes more than a comparison is worked out here, as facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twokey.core.errors import Json
from twokey.providers.aws.normalise.policy_documents import (
    allows_everybody,
    allows_everything,
    others,
    outsiders,
)
from twokey.providers.reading import Obj, known, number, obj, objects, text, texts, unique

_DOCUMENTS = (
    "policyDocument",
    "assumeRolePolicyDocument",
    "bucketPolicy",
    "policyText",
    "policy",
    "resourcePolicy",
    "keyPolicy",
)
_ADMIN_POLICIES = ("/AdministratorAccess", "/IAMFullAccess", "/PowerUserAccess")
_PUBLIC_ACLS = ("public-read", "public-read-write", "authenticated-read")
_PUBLIC_GROUPS = ("/AllUsers", "/AuthenticatedUsers")
_ADMIN_PORTS = (22, 3389)
_OFF = {
    "UpdateDetector": ("enable",),
    "UpdateTrail": ("isMultiRegionTrail", "includeGlobalServiceEvents", "enableLogFileValidation"),
    "UpdateEventDataStore": ("multiRegionEnabled",),
}


def meaning(name: str, asked: Obj, account: str, caller: str) -> Obj:
    """Return the facts of one request; what is not so is not among them."""
    documents = [asked[key] for key in _DOCUMENTS if asked.get(key)]
    attributes = obj(asked, "attributes")  # queues and topics take a policy as an attribute
    documents += [attributes[key] for key in ("Policy", "policy") if key in attributes]
    if text(asked, "attributeName") == "Policy":
        documents.append(asked.get("attributeValue"))
    shared = list(_shared_with(name, asked))
    blocks = obj(asked, "PublicAccessBlockConfiguration").values()
    outside = others(shared, account)
    for document in documents:
        outside += [other for other in outsiders(document, account) if other not in outside]
    arn = text(asked, "policyArn")
    ingress = (asked, *objects(asked, "ipPermissions", "items"))
    opens = name == "AuthorizeSecurityGroupIngress" and any(map(_opens_admin_port, ingress))
    archives = name in ("CreateFilter", "UpdateFilter") and text(asked, "action").upper() == "ARCHIVE"
    return known(
        policyArn=arn,
        policyName=text(asked, "policyName"),
        policyIsAdmin=_yes(arn.endswith(_ADMIN_POLICIES) or any(map(allows_everything, documents))),
        isPublic=_yes(_is_public(asked, shared) or any(map(allows_everybody, documents))),
        outsiders=unique(outside),
        opensPublicAccess=_yes(any(value is False for value in blocks)),
        opensRemoteAdmin=_yes(opens),
        turnsOff=_yes(archives or any(asked.get(field) is False for field in _OFF.get(name, ()))),
        versioning=text(obj(asked, "VersioningConfiguration"), "Status"),
        expiresInDays=_soonest_expiry(asked),
        keyStatus=text(asked, "status") if name == "UpdateAccessKey" else "",
        targetId=text(asked, "targetId"),
        targetIsRoot=_yes(text(asked, "targetId").startswith("r-")),
        targetName=text(asked, "name", "rule", "queueUrl", "topicArn", "trailName", "detectorId"),
        forAnother=_yes(bool(text(asked, "userName")) and text(asked, "userName") != caller),
    )


def _yes(found: bool) -> Json:
    return True if found else None


def _shared_with(name: str, asked: Obj) -> Iterator[str]:
    """Yield with whom an image or a snapshot is shared, or who may call a function: accounts, or `all` or `*`."""
    for part in ("launchPermission", "createVolumePermission"):
        for item in objects(asked, part, "add", "items"):
            yield text(item, "userId", "group", "organizationArn")
    if text(asked, "attributeName") == "restore":
        yield from texts(asked, "valuesToAdd")
    # Names of Lambda's operations end with the API's date.
    if name.startswith("AddPermission"):
        yield text(asked, "principal")
    is_url = name.startswith(("CreateFunctionUrlConfig", "UpdateFunctionUrlConfig"))
    if is_url and text(asked, "authType") == "NONE":
        yield "*"


def _is_public(asked: Obj, shared: list[str]) -> bool:
    if "all" in shared or "*" in shared:
        return True
    if set(_PUBLIC_ACLS).intersection(texts(asked, "x-amz-acl")):
        return True
    grants: Any = obj(asked, "AccessControlPolicy", "AccessControlList").get("Grant")
    for grant in grants if isinstance(grants, list) else [grants]:
        if text(obj(grant, "Grantee"), "URI").endswith(_PUBLIC_GROUPS):
            return True
    return False


def _opens_admin_port(item: Obj) -> bool:
    """Say whether a rule lets the whole world reach a port that machines are administered by."""
    ranges = [text(item, "cidrIp"), text(item, "cidrIpv6")]
    ranges += [text(part, "cidrIp") for part in objects(item, "ipRanges", "items")]
    ranges += [text(part, "cidrIpv6") for part in objects(item, "ipv6Ranges", "items")]
    if not any(found.endswith("/0") for found in ranges):
        return False
    if text(item, "ipProtocol") == "-1":
        return True
    first, last = number(item.get("fromPort")), number(item.get("toPort"))
    return first is not None and last is not None and any(first <= port <= last for port in _ADMIN_PORTS)


def _soonest_expiry(asked: Obj) -> Json:
    """Return after how many days a lifecycle rule deletes objects, the soonest of its rules."""
    rules: Any = obj(asked, "LifecycleConfiguration").get("Rule")
    days = [
        number(obj(rule, part).get(field))
        for rule in (rules if isinstance(rules, list) else [rules])
        for part, field in (("Expiration", "Days"), ("NoncurrentVersionExpiration", "NoncurrentDays"))
    ]
    return min((found for found in days if found is not None), default=None)
