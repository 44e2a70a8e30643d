"""The web door: webhooks come in, are stored raw, and only then acknowledged; health is shown."""

from __future__ import annotations

from twokey.web.app import Limits, web_app
from twokey.web.doors import Door, Doors, HideSecrets
from twokey.web.server import serve

__all__ = ["Door", "Doors", "HideSecrets", "Limits", "serve", "web_app"]
