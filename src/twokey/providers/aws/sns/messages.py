"""Messages of SNS: the text that was signed, whether it was, and what is kept of a message.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from twokey.core.errors import Invalid, Refused
from twokey.ports import Clock
from twokey.providers.aws.sns.addresses import Topic, confirmation_path, topic_of
from twokey.providers.aws.sns.certificates import MAX_BYTES, Certificates
from twokey.providers.aws.sns.hosts import SnsHosts
from twokey.providers.reading import parsed

_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_PROOF = ("SignatureVersion", "Signature", "SigningCertURL")
_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {"1": hashes.SHA1, "2": hashes.SHA256}


@dataclass(frozen=True, slots=True)
class VerifiedMessage:
    """A message that proved itself. `body` holds what was signed and the proof, and nothing else of what came.

    What stands beside the signed fields could be anybody's. `identity` is the signed text: a retry is the same.
    """

    topic: Topic
    body: bytes
    identity: bytes
    confirm: Callable[[], object] | None = None  # what makes the subscription count, where that is asked

    @property
    def source(self) -> str:
        """Return what the notification says about where it came from."""
        return f"aws.sns:{self.topic.arn}"


class SnsListener:
    """Verifies what arrives over HTTPS: only messages of the configured topics, signed by SNS, are accepted."""

    def __init__(self, topics: Iterable[str], clock: Clock, *, hosts: SnsHosts | None = None) -> None:
        self._topics = {arn: topic_of(arn) for arn in topics}
        self._hosts = hosts or SnsHosts(frozenset(topic.host for topic in self._topics.values()))
        self._certificates = Certificates(self._hosts, clock)

    def hear(self, body: bytes) -> VerifiedMessage:
        """Return the message; Invalid when it is none, Refused when it is not proved, Unavailable for "later"."""
        message = _message(body)
        topic = self._topics.get(message["TopicArn"])
        if topic is None:
            raise Refused("aws.sns.topic", topic=message["TopicArn"][:300])
        signed = string_to_sign(message)
        self._require_signature(message, topic, signed)
        confirm = None
        if message["Type"] == "SubscriptionConfirmation":
            path = confirmation_path(message["SubscribeURL"], topic, message["Token"])
            confirm = partial(self._hosts.get, topic.host, path, limit=MAX_BYTES)
        kept = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        return VerifiedMessage(topic, kept, signed, confirm)

    def _require_signature(self, message: dict[str, str], topic: Topic, signed: bytes) -> None:
        algorithm = _HASHES.get(message["SignatureVersion"])
        if algorithm is None:
            raise Refused("aws.sns.signature", topic=topic.arn, why="version")
        try:
            signature = b64decode(message["Signature"], validate=True)
        except (binascii.Error, ValueError):
            raise Refused("aws.sns.signature", topic=topic.arn, why="base64") from None
        key = self._certificates.key(message["SigningCertURL"], topic)
        try:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm())
        except InvalidSignature:
            raise Refused("aws.sns.signature", topic=topic.arn, why="signature") from None


def string_to_sign(message: dict[str, str]) -> bytes:
    """Return the text that SNS signs: the names and values of the signed fields, each with a line end."""
    names = [name for name in _SIGNED[message["Type"]] if name in message]
    return "".join(f"{name}\n{message[name]}\n" for name in names).encode("utf-8", "surrogatepass")


def _message(body: bytes) -> dict[str, str]:
    """Return the signed fields and the proof of a message; whatever else came with them is left behind."""
    document = parsed(body)
    if not isinstance(document, dict):
        raise Invalid("aws.sns.not_a_message", field="-")
    kind = document.get("Type")
    names = _SIGNED.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise Invalid("aws.sns.not_a_message", field="Type")
    found: dict[str, str] = {}
    for name in (*names, *_PROOF):
        value = document.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise Invalid("aws.sns.not_a_message", field=name)
        found[name] = value
    return found
