"""A fork of a prepared process that becomes another: nothing of the parent's input, output and environment is left."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn


def forked(
    order: Mapping[str, Any], standard: Callable[[], Sequence[int]], work: Callable[[], object]
) -> int:
    """Return the pid of a child that works in the order's `cwd` with its `env`, and ends as a program would.

    `standard` opens, in the child, the descriptors of its standard input, output and error.
    """
    pid = os.fork()
    if pid == 0:
        _live(order, standard, work)
    return pid


def _live(
    order: Mapping[str, Any], standard: Callable[[], Sequence[int]], work: Callable[[], object]
) -> NoReturn:
    code = 1
    try:
        for number, source in enumerate(standard()):
            os.dup2(source, number)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
