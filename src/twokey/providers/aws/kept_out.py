"""What the settings keep out of every containment: accounts, users, keys and buckets, by id, name or ARN.

The list stands where nobody in a contained account can write. A tag inside the account does not: see marks.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twokey.core.errors import Message, message
from twokey.providers.aws.session import Calls


@dataclass(frozen=True, slots=True)
class Named:
    """A user or a bucket of an account, by what people may call it; `key_id` is the key it is about."""

    kind: str  # user | bucket
    account: str
    name: str
    key_id: str = ""


def never_contain_refusal(calls: Calls, named: Named) -> Message | None:
    """Say that the settings keep a user or bucket, or its whole account, out of every containment; or None."""
    entry = _entry_for(calls.options.never_contain, named, with_account=True)
    return message("aws.never_contain", what=named.name, entry=entry) if entry else None


def is_contained_despite_tag(calls: Calls, named: Named) -> bool:
    """Say whether the settings set a tag on this user or bucket aside; a whole account's tags never are."""
    return bool(_entry_for(calls.options.contain_despite_tag, named, with_account=False))


def _entry_for(entries: Iterable[str], named: Named, *, with_account: bool) -> str:
    names = {named.name, named.key_id, named.account if with_account else ""} - {""}
    plain = {name.casefold() for name in names}
    return next((one for one in entries if one.casefold() in plain or _is_arn_of(one, named)), "")


def _is_arn_of(entry: str, named: Named) -> bool:
    """Compare an ARN with a user, whatever its path, or with a bucket."""
    parts = entry.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        return False
    if named.kind == "bucket":
        return parts[2] == "s3" and parts[5] == named.name
    is_user = parts[2] == "iam" and parts[4] == named.account and parts[5].startswith("user/")
    return is_user and parts[5].rpartition("/")[2].casefold() == named.name.casefold()
