"""AWS's section of the settings: `TWOKEY_AWS_*`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twokey.sections import MIN_SECRET, Secret, named_secrets, short_secrets

PREFIX = "TWOKEY_AWS_"
_NAMED = r"arn:aws[a-z-]*:(iam::[0-9]{12}:user/|s3:::)[A-Za-z0-9_+=,.@/-]+|[A-Za-z0-9_+=,.@-]{1,128}"
_LISTS = ("health", "health-organization", "securityhub")


@dataclass(frozen=True)
class AwsSettings:
    """What an installation decides about AWS."""

    sns_topics: tuple[str, ...] = ()  # ARNs of the topics that may speak over HTTPS
    sns_secret: Secret = Secret("")  # they call /aws/sns/<secret of 32 or more characters>
    event_keys: tuple[str, ...] = ()  # <name>=<key of 32 or more characters>: EventBridge API destinations
    region: str = "us-east-1"
    endpoint_url: str = ""
    queues: tuple[str, ...] = ()  # SQS queue addresses
    role_name: str = "TwokeyResponder"  # assumed in every other account
    organizations_role_name: str = ""  # another name for it in the management account
    organizations_account: str = ""  # where Organizations is called; empty is our own
    protected_accounts: tuple[str, ...] = ()  # never contained
    never_contain: tuple[str, ...] = ()  # accounts, users, keys and buckets: ids, names or ARNs
    contain_despite_tag: tuple[str, ...] = ()  # users and buckets whose never-contain tag is set aside
    external_id: Secret = Secret("")
    session_tags: tuple[str, ...] = ()  # <key>=<value>, given when the role is assumed
    source_identity: bool = True  # the role is assumed with the plan's id as its source identity
    source_scopes: tuple[str, ...] = ()  # <source>=<account>[/<region>]+...: for whom a source may speak
    poll_s: int = 0  # seconds between two looks at AWS's own lists; 0 never looks
    poll: tuple[str, ...] = ("health", "securityhub")  # or health-organization
    poll_regions: tuple[str, ...] = ()  # where Security Hub is asked; empty is region
    quarantine_parent_ou: str = ""

    def keys(self) -> dict[str, Secret]:
        """Return the EventBridge connections: name -> key."""
        return named_secrets(self.event_keys)

    def heard_from(self) -> tuple[str, ...]:
        """Return the queues, topics and connections that speak by themselves."""
        return (
            *(f"aws.sqs:{address.rstrip('/').rpartition('/')[2]}" for address in self.queues),
            *(f"aws.sns:{topic}" for topic in self.sns_topics),
            *(f"aws.events:{name}" for name in self.keys()),
        )

    def faults(self) -> list[str]:
        """Name what is wrong, and what would leave one of AWS's endpoints half made."""
        faults = short_secrets(f"{PREFIX}EVENT_KEYS", self.keys())
        if self.sns_topics and len(self.sns_secret) < MIN_SECRET:
            faults.append(f"{PREFIX}SNS_SECRET: 32 or more characters are wanted where there are topics")
        if self.sns_secret and not self.sns_topics:
            faults.append(f"{PREFIX}SNS_TOPICS: the ARNs of the topics that may speak are wanted")
        if self.poll_s < 0 or 0 < self.poll_s < 60:
            faults.append(f"{PREFIX}POLL_S: 0 (never) or at least 60 is wanted")
        for name in self.poll:
            if name not in _LISTS:
                faults.append(f"{PREFIX}POLL: {name}: one of {', '.join(_LISTS)} is wanted")
        for tag in self.session_tags:
            if not all(tag.partition("=")):
                faults.append(f"{PREFIX}SESSION_TAGS: {tag}: <key>=<value> is wanted")
        for name in ("never_contain", "contain_despite_tag"):
            for entry in getattr(self, name):
                if not re.fullmatch(_NAMED, entry):
                    faults.append(
                        f"{PREFIX}{name.upper()}: {entry}: an id, a name or an ARN is wanted, no wildcard"
                    )
        return faults
