"""Signed HTTP: the same payloads posted to the app's request URL."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from .delivery import Attempt, Delivery
from .model import Json

HTTP_REASONS = {"timeout": "http_timeout", "error": "http_error"}


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the v0 signature of a request."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def body_of(delivery: Delivery) -> tuple[bytes, str]:
    """Return the body that Slack posts, and its content type."""
    if delivery.kind == "events_api":
        return json.dumps(delivery.payload).encode(), "application/json"
    form: Json = delivery.payload
    if delivery.kind == "interactive":
        form = {"payload": json.dumps(delivery.payload)}
    return urlencode(form).encode(), "application/x-www-form-urlencoded"


@dataclass
class SignedHttp:
    """Posts to one URL; `signature` is valid, wrong, stale, garbled or missing; `headers` win over all."""

    url: str
    secret: str
    signature: str = "valid"
    headers: dict[str, str] = field(default_factory=dict)
    timeout: float = 3.0

    def send(self, delivery: Delivery, attempt: Attempt) -> None:
        """Post once and note the answer."""
        body, content_type = body_of(delivery)
        headers = self._headers(body, content_type, attempt)
        attempt.sent_at = time.monotonic()
        status, text, got = self._post(body, headers, attempt)
        if status is not None:
            attempt.answer(status, _json(text), text, got)

    def _headers(self, body: bytes, content_type: str, attempt: Attempt) -> dict[str, str]:
        age = 600 if self.signature == "stale" else 0
        timestamp = str(int(time.time()) - age)
        secret = "another secret" if self.signature == "wrong" else self.secret
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": "v0=garbled"
            if self.signature == "garbled"
            else sign(secret, timestamp, body),
        }
        if self.signature == "missing":
            del headers["X-Slack-Signature"]
        if attempt.retry:
            headers["X-Slack-Retry-Num"] = str(attempt.retry)
            headers["X-Slack-Retry-Reason"] = HTTP_REASONS.get(attempt.reason, attempt.reason)
        return headers | self.headers

    def _post(self, body: bytes, headers: dict[str, str], attempt: Attempt) -> tuple[int | None, str, Json]:
        url = urlsplit(self.url)
        link = http.client.HTTPConnection(url.hostname or "", url.port, timeout=self.timeout)
        try:
            link.request(
                "POST",
                (url.path or "/") + (f"?{url.query}" if url.query else ""),
                body,
                headers,
            )
            answer = link.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        except (OSError, http.client.HTTPException) as error:
            attempt.error = f"{type(error).__name__}: {error}"
            return None, "", {}
        finally:
            link.close()


def _json(text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError:
        return {"text": text} if text else {}
    return value if isinstance(value, dict) else {}
