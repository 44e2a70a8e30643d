"""The fault laboratory: what kills, cuts off, skews and breaks, and what counts how the promises held.

It is this project's own and not in the wheel; what somebody needs who adds a cloud or an action is `twokey.testing`.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def import_path() -> dict[str, str]:
    """Return the variables with which a process in another folder finds this package too."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}
