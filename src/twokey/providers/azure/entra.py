"""Tokens of Azure's secure webhooks: who calls, for whom, and since when; judged before a body is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from twokey.core.errors import Invalid
from twokey.ports import Clock
from twokey.providers.azure.identifiers import GUID
from twokey.providers.azure.signing_keys import AUTHORITY

# "AzNS AAD Webhook": the application as which Azure Monitor's action groups call, in the public cloud.
ACTION_GROUPS_APP = "461e8683-5575-4561-ac7f-899cc907d62a"
ACTION_GROUPS_ROLE = "ActionGroupsSecureWebhook"
# "Microsoft.EventGrid", and the role that Microsoft's own script gives it at our registration.
EVENT_GRID_APP = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
EVENT_GRID_ROLE = "AzureEventGridSecureWebhookSubscriber"
LEEWAY_S = 60
MAX_TOKEN = 8192

_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")
_OLDER_ISSUERS = {"https://login.chinacloudapi.cn": "https://sts.chinacloudapi.cn"}
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True)
class WebhookTokens:
    """Judges Authorization headers: `authorize` of a secure webhook.

    `audiences` are the application id and the id URI of our own registration: a token of version 2 has the
    one, a token of version 1 the other. `signing_key` returns the tenant's public key with a key id, or raises
    jwt.PyJWTError; Unavailable when it cannot know. An empty `role` means none is asked for.
    """

    tenant: str
    audiences: tuple[str, ...]
    clock: Clock
    signing_key: Callable[[str], Any] = field(repr=False)
    authority: str = AUTHORITY
    role: str = ACTION_GROUPS_ROLE
    app: str = ACTION_GROUPS_APP

    def __post_init__(self) -> None:
        if not re.fullmatch(GUID, self.tenant) or not self.audiences or not all(self.audiences):
            raise Invalid("azure.webhook_tenant", tenant=self.tenant or "?")
        if not re.fullmatch(GUID, self.app):
            raise Invalid("azure.webhook_app", app=self.app or "?")
        if not self.authority.startswith("https://"):
            raise Invalid("azure.base_url_not_https", url=self.authority)

    def authorize(self, authorization: str) -> bool:
        """Say whether the token is the expected caller's, for us, now; Unavailable when keys cannot be had.

        That is not the caller's fault: told to come again, where a 401 would lose the notification.
        """
        found = _BEARER.fullmatch(authorization) if len(authorization) <= MAX_TOKEN else None
        if found is None:
            return False
        try:
            return self._is_ours(self._claims(found[1]))
        except (jwt.PyJWTError, ValueError, TypeError):
            return False

    def _claims(self, token: str) -> dict[str, Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
            raise jwt.InvalidTokenError("no usable key id")
        tenant = self.tenant.lower()
        older = _OLDER_ISSUERS.get(self.authority, "https://sts.windows.net")  # tokens of version 1
        # The algorithm is ours to choose, never the token's. Times are judged by our own clock below.
        return jwt.decode(
            token,
            self.signing_key(key_id),
            algorithms=["RS256"],
            audience=list(self.audiences),
            issuer=[f"{self.authority}/{tenant}/v2.0", f"{older}/{tenant}/"],
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
        if str(claims.get("azp") or claims.get("appid") or "").lower() != self.app.lower():
            return False
        roles = claims.get("roles")
        return not self.role or (isinstance(roles, list) and self.role in roles)
