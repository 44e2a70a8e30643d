"""What people did, once: Slack repeats itself, and a signed request can be replayed for five minutes."""

from __future__ import annotations

from twokey.chat.slack.payloads import Act
from twokey.core.errors import AlreadyThere
from twokey.core.notices import Delivery
from twokey.core.people import Actor, ChatAccount
from twokey.ports import Clock, Store


def record_delivery(store: Store, clock: Clock, act: Act) -> bool:
    """Keep the act's key with an audit entry; False when it is there already."""
    account = ChatAccount(act.team, act.user)
    try:
        with store.change() as tx:
            tx.add(Delivery(act.key, clock.now(), act.workspace, act.enterprise))
            tx.append(
                Actor("system:slack", account), "heard", data={"what": act.what[:100], "key": act.key[:200]}
            )
    except AlreadyThere:
        return False
    return True
