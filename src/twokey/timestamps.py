"""RFC 3161: an authority is asked over HTTP to sign a digest and the moment; its answer is checked before it counts."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from twokey.core.errors import Invalid, Refused, Tampered, Unavailable

MAX_ANSWER = 64 * 1024
TIMEOUT_S = 10.0
Post = Callable[[str, bytes], bytes]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nowhere: the settings say who is asked."""
        return


def posted(url: str, query: bytes) -> bytes:
    """Send one query: no redirect, not for long, and not more than MAX_ANSWER comes back."""
    headers = {"Content-Type": "application/timestamp-query", "User-Agent": "twokey"}
    request = urllib.request.Request(url, data=query, headers=headers)  # noqa: S310 - the settings take http(s) only
    until, found = time.monotonic() + TIMEOUT_S, b""
    with urllib.request.build_opener(_NoRedirect()).open(request, timeout=TIMEOUT_S) as answer:
        while part := answer.read1(MAX_ANSWER):
            found += part
            if len(found) > MAX_ANSWER:
                raise ValueError("the answer is too large")
            if time.monotonic() > until:  # it comes byte by byte
                raise TimeoutError
    return found


@dataclass(frozen=True)
class Rfc3161Stamper:
    """See ports.TimeStamper: one authority, by its address and by the certificates that it answers to."""

    url: str
    authority: Path  # PEM: the roots that its certificate must lead to, those of earlier years too
    post: Post = field(default=posted, repr=False)

    def stamp(self, data: bytes) -> tuple[datetime, bytes]:
        """Return the moment and the answer of a fresh stamp over these bytes, which was checked."""
        roots = self._roots()
        request = TimestampRequestBuilder(
            data=data, hash_algorithm=HashAlgorithm.SHA256, nonce=True, cert_req=True
        ).build()
        try:
            answer = self.post(self.url, request.as_bytes())
        except (OSError, http.client.HTTPException, ValueError) as fault:
            why = str(fault.code) if isinstance(fault, urllib.error.HTTPError) else type(fault).__name__
            raise Unavailable("audit.authority_silent", why=why) from fault
        try:
            found = decode_timestamp_response(answer)
            verifier = VerifierBuilder(roots=roots, nonce=request.nonce).build()
            verifier.verify_message(found, data)
            return found.tst_info.gen_time, answer
        except (VerificationError, ValueError) as fault:
            raise Refused("audit.stamp_not_taken", why=str(fault)[:200]) from fault

    def check(self, data: bytes, answer: bytes) -> datetime:
        """Return the moment that an answer of before states for these bytes; Tampered when it does not."""
        try:
            found = decode_timestamp_response(answer)
            VerifierBuilder(roots=self._roots()).build().verify_message(found, data)
            return found.tst_info.gen_time
        except (VerificationError, ValueError) as fault:
            raise Tampered("audit.stamp_broken", why=str(fault)[:200]) from fault

    def certificates(self) -> str:
        """Return the authority's roots as they stand in the file, for whoever is handed a stamp."""
        self._roots()
        return self.authority.read_text("ascii")

    def _roots(self) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(self.authority.read_bytes())
        except (OSError, ValueError) as fault:
            why = type(fault).__name__
            raise Invalid("audit.authority_unreadable", path=self.authority, why=why) from fault
