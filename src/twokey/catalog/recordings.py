"""Recorded notifications: files with one JSON document, an array of them, or one a line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path


def recorded(
    files: Sequence[Path], speed: float = 0.0, sleep: Callable[[float], None] = time.sleep
) -> Iterator[bytes]:
    """Yield the body of each recorded notification, at most `speed` a second when that is above 0.

    What is not JSON is yielded as it is: it will be kept and shown as unreadable, as if it had arrived.
    """
    for path in files:
        for body in bodies(path.read_bytes()):
            yield body
            if speed > 0:
                sleep(1 / speed)


def bodies(content: bytes) -> list[bytes]:
    """Return the notifications in a file's content, each as it would arrive."""
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):  # nested without end: the reader will say so
        lines = [line for line in content.splitlines() if line.strip()]
        return (
            lines if len(lines) > 1 and all(line.lstrip().startswith(b"{") for line in lines) else [content]
        )
    if isinstance(whole, list):
        return [json.dumps(item).encode() for item in whole]
    return [content]
