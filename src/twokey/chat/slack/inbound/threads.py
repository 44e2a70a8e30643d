"""Which incident a thread belongs to: the card's own address, as the outbox remembers it."""

from __future__ import annotations

from dataclasses import replace

from twokey.chat.delivery.supervisor import Workers
from twokey.chat.slack.inbound.parsing import WITHOUT_INCIDENT, Asked
from twokey.chat.slack.payloads import Act
from twokey.core.notices import Notice, NoticeKind
from twokey.ports import Store

SCANNED = 2000


def address(channel: str, ts: str) -> str:
    """Write where a message stands; nobody outside the chat reads it."""
    return f"{channel}:{ts}"


def placed(sent_as: str) -> tuple[str, str]:
    """Read where a message stands: channel and ts."""
    channel, _, ts = sent_as.partition(":")
    return channel, ts


class Threads:
    """Finds the incident of a thread; what was found once is kept, for a card never moves."""

    def __init__(self, store: Store, workers: Workers) -> None:
        self._store = store
        self._workers = workers
        self._known: dict[str, str] = {}

    async def implied(self, act: Act, asked: Asked) -> Asked:
        """Fill in the incident of the thread where nobody named another."""
        if asked.incident or asked.verb in WITHOUT_INCIDENT or not act.thread_ts:
            return asked
        return replace(asked, incident=await self.incident_of(act.channel, act.thread_ts))

    async def incident_of(self, channel: str, thread_ts: str) -> str:
        """Return the incident whose card opened this thread; "" when it is no incident's."""
        wanted = address(channel, thread_ts)
        if wanted not in self._known:
            self._known |= await self._workers.quick(self._cards)
        return self._known.get(wanted, "")

    def _cards(self) -> dict[str, str]:
        """Return the addresses of the cards, those that changed last."""
        seen: dict[str, str] = {}
        with self._store.read() as look:
            for card in look.find(Notice, kind=NoticeKind.CARD, newest_first=True, limit=SCANNED):
                if card.sent_as:
                    seen[card.sent_as] = card.incident_id
        return seen
