"""What a site sets for AWS: where it is, as whom other accounts are reached, and which queues are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """One SQS queue that notifications come through. Without a URL the queue is looked up by its name.

    `account` is the account that the queue belongs to where it is one account's; "" says nothing.
    """

    name: str
    url: str = ""
    region: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """AWS as one site uses it. Credentials are not here: they come from where the AWS tools look for them."""

    region: str = "us-east-1"
    endpoint_url: str = ""  # an emulator; "" is AWS itself
    profile: str = ""
    access_key_id: str = ""  # only for emulators and tests: prefer the instance's or the pod's own role
    secret_access_key: str = field(default="", repr=False)
    role_name: str = "TwokeyResponder"  # the role that is assumed in every other account
    organizations_role_name: str = ""  # another name for it in the organisation's management account
    external_id: str = field(default="", repr=False)
    session_name: str = "twokey"  # what a session's name begins with
    source_identity: bool = True  # say for which plan a role is assumed: CloudTrail has it in every entry
    session_tags: Mapping[str, str] = field(default_factory=dict)
    own_account: str = ""  # the account of our own credentials; "" asks STS once
    organizations_account: str = ""  # where Organizations is called; "" is our own account
    protected_accounts: tuple[str, ...] = ()  # never contained, besides our own, the management account, ...
    never_contain: tuple[str, ...] = ()  # users, keys, buckets and accounts that nothing of ours contains
    contain_despite_tag: tuple[str, ...] = ()  # users and buckets whose never-contain tag is set aside
    trail_regions: tuple[str, ...] = ()  # where CloudTrail is read; () is the matter's Region and us-east-1
    queues: tuple[QueueOptions, ...] = ()
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    max_attempts: int = 4
    max_clients: int = 64
