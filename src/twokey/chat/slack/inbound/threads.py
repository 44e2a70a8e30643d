"""Which incident a thread belongs to: the reference of its card, as the outbox remembers it."""

from __future__ import annotations

from twokey.chat.delivery.port import format_reference
from twokey.chat.delivery.thread_pools import ThreadPools
from twokey.core.notices import Notice, NoticeKind
from twokey.ports import Store

SCANNED = 2000


class Threads:
    """Finds the incident of a thread; what was found once is kept, for a card never moves."""

    def __init__(self, store: Store, pools: ThreadPools) -> None:
        self._store = store
        self._pools = pools
        self._known: dict[str, str] = {}

    async def incident_of(self, channel: str, thread_ts: str) -> str:
        """Return the incident whose card opened this thread; "" when it is no incident's."""
        wanted = format_reference(channel, thread_ts)
        if wanted not in self._known:
            self._known |= await self._pools.quick(self._cards)
        return self._known.get(wanted, "")

    def _cards(self) -> dict[str, str]:
        """Return the incident of each card by the card's reference; the cards that changed last."""
        with self._store.read() as look:
            cards = look.find(Notice, kind=NoticeKind.CARD, newest_first=True, limit=SCANNED)
        return {card.sent_as: card.incident_id for card in cards if card.sent_as}
