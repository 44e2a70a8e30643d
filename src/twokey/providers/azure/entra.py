"""Tokens of Azure's secure webhook: who calls, for whom, and since when; judged before a body is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from twokey.core.errors import Invalid, Unavailable
from twokey.ports import Clock
from twokey.providers.azure.identifiers import GUID

# "AzNS AAD Webhook": the application as which Azure Monitor's action groups call, in the public cloud.
ACTION_GROUPS_APP = "461e8683-5575-4561-ac7f-899cc907d62a"
ACTION_GROUPS_ROLE = "ActionGroupsSecureWebhook"
LEEWAY_S = 60
MAX_TOKEN = 8192

_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True)
class WebhookTokens:
    """Judges Authorization headers: `Door.may_enter` of a secure webhook.

    `audience` is the application id or the id URI of our own registration. `signing_key` returns the
    tenant's public key with a key id, or raises jwt.PyJWTError. An empty `role` means none is asked for.
    """

    tenant: str
    audience: str
    clock: Clock
    signing_key: Callable[[str], Any] | None = field(default=None, repr=False)
    role: str = ACTION_GROUPS_ROLE
    app: str = ACTION_GROUPS_APP

    def __post_init__(self) -> None:
        if not re.fullmatch(GUID, self.tenant) or not self.audience:
            raise Invalid("azure.webhook_tenant", tenant=self.tenant or "?")
        if self.signing_key is None:
            object.__setattr__(self, "signing_key", published_keys(self.tenant))

    def may_enter(self, authorization: str) -> bool:
        """Say whether the token is Azure Monitor's, for us, now; raise Unavailable when keys cannot be had."""
        found = _BEARER.fullmatch(authorization) if len(authorization) <= MAX_TOKEN else None
        if found is None:
            return False
        try:
            return self._is_ours(self._claims(found[1]))
        except jwt.PyJWKClientConnectionError as fault:
            # Not the caller's fault: told to come again, where a 401 would lose the notification.
            raise Unavailable("azure.webhook_keys", tenant=self.tenant) from fault
        except (jwt.PyJWTError, ValueError, TypeError):
            return False

    def _claims(self, token: str) -> dict[str, Any]:
        assert self.signing_key is not None
        key_id = jwt.get_unverified_header(token).get("kid")
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
            raise jwt.InvalidTokenError("no usable key id")
        # The algorithm is ours to choose, never the token's. Times are judged by our own clock below.
        return jwt.decode(
            token,
            self.signing_key(key_id),
            algorithms=["RS256"],
            audience=self.audience,
            issuer=[
                f"https://login.microsoftonline.com/{self.tenant.lower()}/v2.0",
                f"https://sts.windows.net/{self.tenant.lower()}/",
            ],
            options={
                "require": ["exp", "nbf", "iss", "aud"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )

    def _is_ours(self, claims: dict[str, Any]) -> bool:
        now = self.clock.now().timestamp()
        if not float(claims["nbf"]) - LEEWAY_S <= now < float(claims["exp"]) + LEEWAY_S:
            return False
        if str(claims.get("tid", "")).lower() != self.tenant.lower():
            return False
        if str(claims.get("azp") or claims.get("appid") or "").lower() != self.app:
            return False
        roles = claims.get("roles")
        return not self.role or (isinstance(roles, list) and self.role in roles)


def published_keys(tenant: str) -> Callable[[str], Any]:
    """Return a finder of the tenant's signing keys; fetched rarely, and never more often for unknown ids."""
    client = jwt.PyJWKClient(
        f"https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys",
        lifespan=3600,
        timeout=3,
        cooldown_duration=60,
    )
    return lambda key_id: client.get_signing_key(key_id).key
