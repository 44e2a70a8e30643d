"""A tenant's published signing keys: found through its OpenID configuration, fetched rarely, bounded in size."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import jwt

from twokey.core.errors import Unavailable
from twokey.ports import Clock

AUTHORITY = "https://login.microsoftonline.com"  # the public cloud's
MAX_DOCUMENT = 256 * 1024
MAX_KEYS = 64
_TIMEOUT_S = 2.0  # two documents, while Azure waits ten seconds
Fetch = Callable[[str], bytes]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nowhere: the keys are where we look, or they are not ours."""
        return


def fetched(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """Fetch a document over HTTPS: no redirect, not for long, not more than MAX_DOCUMENT."""
    handlers = [_NoRedirect(), urllib.request.HTTPSHandler(context=context)]
    request = urllib.request.Request(url, headers={"User-Agent": "twokey"})  # noqa: S310 - the authority is https
    with urllib.request.build_opener(*handlers).open(request, timeout=_TIMEOUT_S) as answer:
        found: bytes = answer.read(MAX_DOCUMENT + 1)
    if len(found) > MAX_DOCUMENT:
        raise ValueError("the document is too large")
    return found


@dataclass
class SigningKeys:
    """One tenant's keys by their ids.

    They are read again when they are old, and when a token names a key that is not known: but never more than
    once in `pause`, whatever the tokens say, and after a failure not before `pause_after_failure`. Keys that
    were read are used for `usable` while no newer can be had; after that nobody may enter (Unavailable).
    """

    tenant: str
    clock: Clock
    authority: str = AUTHORITY
    fetch: Fetch = field(default=fetched, repr=False)
    fresh: timedelta = timedelta(hours=1)
    usable: timedelta = timedelta(hours=24)
    pause: timedelta = timedelta(minutes=1)
    pause_after_failure: timedelta = timedelta(seconds=10)
    patience_s: float = 4.0  # with the first reading of all, which somebody else does
    _keys: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _read_at: datetime | None = field(default=None, repr=False)
    _not_before: datetime | None = field(default=None, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __call__(self, key_id: str) -> Any:
        """Return the public key with this id; InvalidKeyError when the tenant has none, Unavailable when unknown."""
        if self._is_wanted(key_id, self.clock.now()):
            self._read_once(key_id)
        if self._read_at is None or self.clock.now() - self._read_at > self.usable:
            raise Unavailable("azure.webhook_keys", tenant=self.tenant)
        if key_id not in self._keys:
            raise jwt.InvalidKeyError("no key with this id")
        return self._keys[key_id]

    def _read_once(self, key_id: str) -> None:
        """Let one caller read; the others go on with what is known, and wait only where that is nothing."""
        if not self._lock.acquire(timeout=0 if self._read_at else self.patience_s):
            return
        try:
            now = self.clock.now()
            if not self._is_wanted(key_id, now):
                return
            try:
                self._keys = self._published()
            except (OSError, http.client.HTTPException, ValueError, jwt.PyJWTError):
                self._not_before = now + self.pause_after_failure  # what was known stays
            else:
                self._read_at, self._not_before = now, now + self.pause
        finally:
            self._lock.release()

    def _is_wanted(self, key_id: str, now: datetime) -> bool:
        if self._not_before is not None and now < self._not_before:
            return False
        is_old = self._read_at is None or now - self._read_at > self.fresh
        return is_old or key_id not in self._keys

    def _published(self) -> dict[str, Any]:
        place = f"{self.authority}/{self.tenant}/v2.0/.well-known/openid-configuration"
        configuration = _object(self.fetch(place))
        address = str(configuration.get("jwks_uri", ""))
        if urlsplit(address)[:2] != urlsplit(self.authority)[:2]:
            raise ValueError("the keys are said to be on another host")
        found = _object(self.fetch(address)).get("keys")
        keys = {
            key["kid"]: jwt.PyJWK(key, algorithm="RS256").key
            for key in (found[:MAX_KEYS] if isinstance(found, list) else ())
            if isinstance(key, dict) and isinstance(key.get("kid"), str)
            if key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
        }
        if not keys:
            raise ValueError("there is no key to check a signature with")
        return keys


def _object(document: bytes) -> dict[str, Any]:
    found = json.loads(document)
    if not isinstance(found, dict):
        raise ValueError("the document is not an object")
    return found
