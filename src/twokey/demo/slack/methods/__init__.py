"""The Web API methods: what each checks, changes and answers. Importing a page registers its methods."""

from twokey.demo.slack.methods import channels, files, identity, messages, views
from twokey.demo.slack.methods.calling import METHODS

__all__ = ["METHODS", "channels", "files", "identity", "messages", "views"]
