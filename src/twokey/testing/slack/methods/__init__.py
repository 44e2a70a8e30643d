"""The Web API methods: what each checks, changes and answers. Importing a page registers its methods."""

from twokey.testing.slack.methods import channels, identity, messages, views
from twokey.testing.slack.methods.calling import METHODS

__all__ = ["METHODS", "channels", "identity", "messages", "views"]
