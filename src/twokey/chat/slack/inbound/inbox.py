"""What people did, once: Slack repeats itself, and a signed request can be replayed for five minutes."""

from __future__ import annotations

from twokey.chat.slack.payloads import Interaction
from twokey.core.errors import Conflict
from twokey.core.notices import Delivery
from twokey.core.people import Actor, ChatAccount
from twokey.ports import Clock, Store


def record_delivery(store: Store, clock: Clock, interaction: Interaction) -> bool:
    """Keep the interaction's key with an audit entry; False when it is there already."""
    actor = Actor("system:slack", ChatAccount(interaction.team, interaction.user))
    heard = {"what": interaction.what[:100], "key": interaction.key[:200]}
    try:
        with store.change() as tx:
            tx.add(Delivery(interaction.key, clock.now(), interaction.workspace, interaction.enterprise))
            tx.append(actor, "heard", data=heard)
    except Conflict:
        return False
    return True
