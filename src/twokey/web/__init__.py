"""The web server: what calls us comes in, is stored raw, and only then acknowledged; health is shown."""

from __future__ import annotations

from twokey.web.app import WebApp, mounted, web_app
from twokey.web.inbox import Inbox
from twokey.web.limits import Limits
from twokey.web.secrets import HideSecrets, hiding
from twokey.web.server import serve

__all__ = ["HideSecrets", "Inbox", "Limits", "WebApp", "hiding", "mounted", "serve", "web_app"]
