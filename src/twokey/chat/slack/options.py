"""What the chat is given: its settings, and the flows it speaks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from twokey.core.notices import Notice
from twokey.flow.containment import Containment
from twokey.flow.incidents.commands import Response
from twokey.flow.intake import Intake
from twokey.flow.review.drafts import Review
from twokey.flow.watch import Watch


@dataclass(frozen=True, slots=True)
class SlackOptions:
    """One workspace. Channels are ids, so that nothing has to be listed to find them."""

    bot_token: str = field(repr=False)
    team: str  # our workspace: accounts and payloads of another are foreign
    channel: str
    security_channel: str = ""  # where security findings go; "" is `channel`
    fallback_channel: str = ""  # where cards go when their own channel is gone
    fallback_after_s: float = 300.0  # how long a channel may not take messages before that is told there
    call_s: float = 10.0  # how long Slack may take to answer
    app_token: str = field(default="", repr=False)  # Socket Mode
    signing_secret: str = field(default="", repr=False)  # signed HTTP
    command: str = "/twokey"
    language: str = "en"  # of channel messages; one's own messages are in one's own language
    api_url: str = "https://slack.com/api/"
    enterprise: str = ""
    rehearsal: str = ""  # what does not stand at its own address, and where it does: every card says so
    per_second: float = 1.0  # messages per channel
    card_every_s: float = 5.0  # updates of one card
    quick_workers: int = 8  # threads for the record
    slow_workers: int = 4  # threads for what reads clouds
    people_timeout_s: float = 2.0  # how long Slack may take to say who somebody is

    def channel_for_duty(self, notice: Notice) -> str:
        """Return where a message about twokey itself is posted."""
        if notice.context.get("security"):
            return self.channel_for(is_security=True)
        return (self.fallback_channel if notice.context.get("elsewhere") else "") or self.channel

    def channel_for(self, *, is_security: bool) -> str:
        """Return where an incident's card is posted."""
        return (self.security_channel or self.channel) if is_security else self.channel


@dataclass(frozen=True)
class Flows:
    """The stages of the flow that people reach through the chat."""

    intake: Intake
    response: Response
    containment: Containment
    review: Review
    watch: Watch
