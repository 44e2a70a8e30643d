"""The whole program from outside: real processes, a fake Slack, an emulated AWS, people with telephones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.lab.installation.acts import Installation
from tests.lab.installation.built import DOOR_SECRET, SECRETS, WRITES
from twokey.demo.emulators import Ministack
from twokey.demo.proxy import CloudProxy
from twokey.demo.slack import FakeSlack

__all__ = ["DOOR_SECRET", "SECRETS", "WRITES", "Installation", "installed"]


@contextlib.contextmanager
def installed(
    folder: Path, aws: Ministack, database_url: str = "", settings: Mapping[str, str] | None = None
) -> Iterator[Installation]:
    """Make a fresh installation in a folder, on SQLite there unless another database is named."""
    url = database_url or f"sqlite:///{folder}/twokey.db"
    with CloudProxy(aws.url) as proxy, FakeSlack() as slack:
        made = Installation(folder, aws, proxy, slack, url, dict(settings or {}))
        try:
            yield made
        finally:
            made.close()
