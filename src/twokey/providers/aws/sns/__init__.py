"""SNS over HTTPS: messages that prove themselves, and nothing that is asked of anybody but SNS."""

from __future__ import annotations

from twokey.providers.aws.sns.addresses import Topic, topic_of
from twokey.providers.aws.sns.hosts import SnsHosts
from twokey.providers.aws.sns.messages import SnsListener, VerifiedMessage

__all__ = ["SnsHosts", "SnsListener", "Topic", "VerifiedMessage", "topic_of"]
