"""The log of a process: one event is one line, and what an attacker wrote cannot look like another event."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

from twokey.core.texts import without_secrets

if TYPE_CHECKING:
    from twokey.web.secrets import Hide

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger("twokey")


class OneLine(logging.Formatter):
    """Writes a whole record, its traceback too, on one line; what does not print is spelled out."""

    def __init__(self, form: str, hide: Hide) -> None:
        super().__init__(form)
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; no secret and no webhook's address is in it, whoever logs."""
        return on_one_line(self._hide(without_secrets(super().format(record))))


def on_one_line(text: str) -> str:
    """Return text in which line ends, control and invisible characters are spelled out (`\\n`, `\\x1b`)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _spelled(c) for c in text)


def _spelled(character: str) -> str:
    """Spell a character out as Python does; without its codec, which is gone when a process ends."""
    number = ord(character)
    if number < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def start_logging(hide: Hide) -> None:
    """Log to stderr; a thread that dies of an exception says so in the same way."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(_FORMAT, hide))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
    threading.excepthook = _died


def _died(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit):
        return
    name = ended.thread.name if ended.thread else "?"
    log.error("the thread %s died", name, exc_info=ended.exc_value)
