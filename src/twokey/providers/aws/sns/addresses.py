"""Addresses that SNS may name: compared whole with what the topic allows, never searched or merely parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

from twokey.core.errors import Invalid, Refused

_TOPIC = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}):([0-9]{12}):([A-Za-z0-9_-]{1,256})",
    re.ASCII,
)
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{8,64}\.pem", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,2048}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic that may speak to us, from its ARN."""

    arn: str
    partition: str
    region: str
    account: str
    name: str

    @property
    def host(self) -> str:
        """Return the one host that signs for this topic and confirms its subscriptions."""
        return f"sns.{self.region}.amazonaws.com" + (".cn" if self.partition == "aws-cn" else "")

    @property
    def signers(self) -> frozenset[str]:
        """Return the names that the Region's signing certificates bear (as AWS's own SDK for Java lists them)."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        names = {self.host, f"sns-signing.{self.region}.{suffix}", f"sns-{self.region}.{suffix}"}
        if self.partition == "aws-us-gov":
            names.add("sns-us-gov-west-1.amazonaws.com")  # it signs for us-gov-east-1, too
        if self.partition == "aws":
            names.add("sns.amazonaws.com")
        return frozenset(names)


def topic_of(arn: str) -> Topic:
    """Return the topic with this ARN; raise Invalid when it is none."""
    found = _TOPIC.fullmatch(arn)
    if found is None or (found[1] == "aws-cn") != found[2].startswith("cn-"):
        raise Invalid("aws.sns.not_a_topic", topic=arn[:300])
    return Topic(arn, *found.groups())


def certificate_path(url: str, topic: Topic) -> str:
    """Return the path of a signing certificate at the topic's own host; any other address is refused.

    The whole text is compared, so there is no place for a port, a user, a query or a look-alike, and a bucket
    that somebody named `sns` is another host.
    """
    start = f"https://{topic.host}"
    path = url.removeprefix(start)
    if not url.startswith(start + "/") or not _CERTIFICATE.fullmatch(path):
        raise Refused("aws.sns.certificate_address", url=url[:300], host=topic.host)
    return path


def confirmation_path(url: str, topic: Topic, token: str) -> str:
    """Return the path that confirms a subscription, made anew from what was checked; another is refused."""
    parts = urlsplit(url)
    # Lenient parsing takes out tabs and line ends: what is compared must be what was said.
    is_plain = url.isascii() and url.isprintable() and parts.geturl() == url and " " not in url
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    wanted = [("Action", "ConfirmSubscription"), ("Token", token), ("TopicArn", topic.arn)]
    is_there = parts.scheme == "https" and parts.netloc == topic.host and parts.path == "/"
    if not is_plain or not is_there or parts.fragment or query != wanted or not _TOKEN.fullmatch(token):
        raise Refused("aws.sns.subscribe_address", url=url[:300], host=topic.host)
    return f"/?Action=ConfirmSubscription&TopicArn={quote(topic.arn, safe='')}&Token={quote(token, safe='')}"
