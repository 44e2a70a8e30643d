"""The fault laboratory: fork server, crash injection, clock skew, fault injection, test harnesses, trial recorder.

It is this project's own and not in the wheel; what somebody needs who adds a cloud or an action is `twokey.testing`.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def import_path() -> dict[str, str]:
    """Return the environment variables with which a subprocess in another folder can import `tests.lab`."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}
