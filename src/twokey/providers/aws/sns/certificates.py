"""The certificates that SNS signs with: fetched once each, examined, and kept for a day."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtensionOID, NameOID

from twokey.core.errors import Refused, Unavailable
from twokey.ports import Clock
from twokey.providers.aws.sns.addresses import Topic, certificate_path
from twokey.providers.aws.sns.hosts import SnsHosts

MAX_BYTES = 32 * 1024
KEPT = 16  # a Region signs with one, and for a while with two when it changes
KEPT_FOR = timedelta(hours=24)
FAILED_FOR = timedelta(seconds=30)
FETCHES_A_MINUTE = 10  # for addresses that are well-formed and lead nowhere
_MIN_BITS = 2048

T = TypeVar("T")


class Certificates:
    """Gives the public key behind a certificate's address; one thread fetches, the others wait for it."""

    def __init__(self, hosts: SnsHosts, clock: Clock) -> None:
        self._hosts = hosts
        self._clock = clock
        self._kept: OrderedDict[str, tuple[RSAPublicKey, datetime]] = OrderedDict()
        self._failed: OrderedDict[str, datetime] = OrderedDict()
        self._fetched: deque[datetime] = deque(maxlen=FETCHES_A_MINUTE)
        self._lock = threading.Lock()

    def key(self, url: str, topic: Topic) -> RSAPublicKey:
        """Return the key; Refused for a wrong address or certificate, Unavailable when it cannot be had now."""
        path = certificate_path(url, topic)
        if found := self._known(url):
            return found
        with self._lock:
            if found := self._known(url):
                return found
            return self._fetch(url, path, topic)

    def _known(self, url: str) -> RSAPublicKey | None:
        kept = self._kept.get(url)
        return kept[0] if kept and self._clock.now() < kept[1] else None

    def _fetch(self, url: str, path: str, topic: Topic) -> RSAPublicKey:
        now = self._clock.now()
        is_failing = url in self._failed and now < self._failed[url]
        is_too_often = len(self._fetched) == FETCHES_A_MINUTE and now - self._fetched[0] < timedelta(
            minutes=1
        )
        if is_failing or is_too_often:
            raise Unavailable("aws.sns.certificate_waits", host=topic.host)
        self._fetched.append(now)
        try:
            pem = self._hosts.get(topic.host, path, limit=MAX_BYTES)
            key, until = examined(pem, topic, now)
        except (Refused, Unavailable):
            _keep(self._failed, url, now + FAILED_FOR)
            raise
        _keep(self._kept, url, (key, min(until, now + KEPT_FOR)))
        return key


def examined(pem: bytes, topic: Topic, now: datetime) -> tuple[RSAPublicKey, datetime]:
    """Return a signing certificate's key and its end, or refuse it: its dates, its name, its use and its key.

    SNS gives the certificate alone, without those that issued it: that it is Amazon's is proved by the TLS
    connection to SNS's own host. Where issuers come with it, each must have signed the one before.
    """
    try:
        chain = x509.load_pem_x509_certificates(pem)
        leaf, key = chain[0], chain[0].public_key()
        names, is_authority = _names(leaf), _is_authority(leaf)
        for issued, issuer in pairwise(chain):
            issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, IndexError, x509.DuplicateExtension, InvalidSignature) as fault:
        raise Refused("aws.sns.certificate", host=topic.host, why=type(fault).__name__) from fault
    faults = {
        "dates": not all(c.not_valid_before_utc <= now <= c.not_valid_after_utc for c in chain),
        "name": not names & topic.signers,
        "authority": is_authority or not all(_is_authority(issuer) for issuer in chain[1:]),
        "self-signed": leaf.issuer == leaf.subject,
        "key": not isinstance(key, RSAPublicKey) or key.key_size < _MIN_BITS,
    }
    for why, is_so in faults.items():
        if is_so:
            raise Refused("aws.sns.certificate", host=topic.host, why=why)
    assert isinstance(key, RSAPublicKey)
    return key, leaf.not_valid_after_utc


def _names(certificate: x509.Certificate) -> set[str]:
    """Return the names that it is for; the common name counts only where there are no others (RFC 6125)."""
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return {str(name.value) for name in common}
    assert isinstance(found, x509.SubjectAlternativeName)
    return set(found.get_values_for_type(x509.DNSName))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
    except x509.ExtensionNotFound:
        return False
    assert isinstance(found, x509.BasicConstraints)
    return found.ca


def _keep(kept: OrderedDict[str, T], url: str, value: T) -> None:
    kept[url] = value
    while len(kept) > KEPT:
        kept.popitem(last=False)
