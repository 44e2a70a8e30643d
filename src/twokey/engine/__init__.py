"""Durable work: what is owed is done, in order, and again after a crash."""

from twokey.engine.embedded import EmbeddedEngine
from twokey.engine.queue import Queue, Retries, Taken

__all__ = ["EmbeddedEngine", "Queue", "Retries", "Taken"]
