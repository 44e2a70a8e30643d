"""Fork a prepared process; the child has its own input, output, environment and working folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn


def fork(order: Mapping[str, Any], standard: Callable[[], Sequence[int]], work: Callable[[], object]) -> int:
    """Return the pid of a child that runs `work` in the order's `cwd` with its `env`, and exits as a program would.

    `standard` opens, in the child, the descriptors of its standard input, output and error.
    """
    pid = os.fork()
    if pid == 0:
        _run_child(order, standard, work)
    return pid


def _run_child(
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
