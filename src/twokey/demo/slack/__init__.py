"""A fake Slack that real Bolt and slack_sdk talk to: Web API, Socket Mode, signed HTTP, people, faults."""

from .background import BackgroundLoop
from .delivery import Attempt, Delivery
from .model import Call, Channel, Member, Message, SlackError, View
from .people import Person
from .render import Mention, as_html, as_rich, as_text, live_mentions
from .server import FakeSlack

__all__ = [
    "Attempt",
    "BackgroundLoop",
    "Call",
    "Channel",
    "Delivery",
    "FakeSlack",
    "Member",
    "Mention",
    "Message",
    "Person",
    "SlackError",
    "View",
    "as_html",
    "as_rich",
    "as_text",
    "live_mentions",
]
