"""One spelling for the types of Azure resources: Azure Resource Manager's, in small letters, as it compares them."""

from __future__ import annotations

import re

from twokey.core.signals import Resource

# What Defender calls by a name of its own.
_NAMES = {"virtual machine": "microsoft.compute/virtualmachines"}

# A container's or blob service's id begins with its account's.
_STORAGE_ACCOUNT = re.compile(r"/.*/microsoft\.storage/storageaccounts/[^/]+", re.IGNORECASE)


def kind_of(type_: str) -> str:
    """Return a type in the one spelling, "" when nobody knows it."""
    folded = type_.lower()
    return folded if "/" in folded else _NAMES.get(folded, "")


def resource_of(id: str, type_: str = "", region: str = "") -> Resource:
    """Make a resource: its kind, and what a runbook may take of it."""
    account = _STORAGE_ACCOUNT.match(id)
    if account is None:
        return Resource(id, type_, region, kind_of(type_))
    name = account[0].rpartition("/")[2].lower()
    known = {"storage_account_id": account[0], "storage_account_name": name}
    return Resource(id, type_, region, kind_of(type_), containable=known)
