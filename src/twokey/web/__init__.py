"""The web door: webhooks come in, are stored raw, and only then acknowledged; health is shown."""

from __future__ import annotations

from twokey.web.app import WebApp, web_app
from twokey.web.aws import AwsDoors, KeyDoor, SnsDoor
from twokey.web.doors import Door, Doors, EventDoor, HideSecrets
from twokey.web.limits import Limits
from twokey.web.server import serve

__all__ = [
    "AwsDoors",
    "Door",
    "Doors",
    "EventDoor",
    "HideSecrets",
    "KeyDoor",
    "Limits",
    "SnsDoor",
    "WebApp",
    "serve",
    "web_app",
]
