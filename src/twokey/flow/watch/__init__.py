"""The watch: what is contained is looked at again and again, and people are told when it does not hold."""

from twokey.flow.watch.commands import Watch

__all__ = ["Watch"]
