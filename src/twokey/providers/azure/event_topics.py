"""Which Event Grid topics may speak at a door of ours, and the code that proves to Event Grid that it is ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from twokey.core.errors import Invalid, Json, Refused
from twokey.providers.reading import Obj, obj, parsed, text

VALIDATION = "microsoft.eventgrid.subscriptionvalidationevent"
_TOPIC = re.compile(r"/subscriptions/[^/\s]+(/[^/\s]+)*", re.IGNORECASE)
_CODE = re.compile(r"[A-Za-z0-9+/=_-]{1,256}")


@dataclass(frozen=True, slots=True)
class EventTopics:
    """The topics that may deliver: each is a resource id, and stands for itself and whatever lies in it."""

    allowed: tuple[str, ...]

    def __post_init__(self) -> None:
        for topic in self.allowed:
            if not _TOPIC.fullmatch(topic):
                raise Invalid("azure.topic_malformed", topic=topic)
        if not self.allowed:
            raise Invalid("azure.topic_malformed", topic="")

    def handshake(self, body: bytes) -> str:
        """Return the code of a validation, "" for events; Refused when a topic may not speak here.

        What cannot be read comes from nowhere that could be refused: it is kept, and shown as unreadable.
        The address that a validation also brings (validationUrl) is never called.
        """
        try:
            events = list(_events(parsed(body)))
        except Invalid:
            return ""
        for event in events:
            topic = text(event, "topic", "source")
            if not self._may_speak(topic.rstrip("/").casefold()):
                raise Refused("azure.topic_not_allowed", topic=topic[:200] or "?")
        validations = [event for event in events if text(event, "eventType", "type").lower() == VALIDATION]
        given = [text(obj(event, "data"), "validationCode") for event in validations]
        codes = [code for code in given if _CODE.fullmatch(code)]
        return codes[0] if len(codes) == 1 else ""

    def _may_speak(self, topic: str) -> bool:
        if "/../" in topic + "/":  # "/subscriptions/1/../2" would lie in both
            return False
        allowed = (known.rstrip("/").casefold() for known in self.allowed)
        return any(topic == known or topic.startswith(known + "/") for known in allowed)


def _events(body: Json) -> Iterator[Obj]:
    """Yield every event, however many lists are around it: whatever the reader would find is looked at."""
    left = [body]
    while left:
        item = left.pop()
        if isinstance(item, list):
            left.extend(item)
        elif isinstance(item, dict):
            yield item
