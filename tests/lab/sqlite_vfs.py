"""A VFS shim under this process' SQLite, to observe its writes and make them fail: https://sqlite.org/vfs.html.

SQLite reaches its files through a table of functions. The shim puts another table before the usual one: every write,
truncate and sync is passed to a listener, which may return an error in the disk's place. Nothing else is changed.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import threading
from collections.abc import Callable
from ctypes import CFUNCTYPE, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from types import TracebackType
from typing import Any

OK, READONLY, FULL = 0, 8, 13
IOERR_WRITE, IOERR_FSYNC = 778, 1034  # https://sqlite.org/rescode.html
FAULT_FILE = "LAB_SQLITE_FAULTS"  # the environment variable that names the file which `inject_faults` follows

Listener = Callable[[str, str, int, bytes], int]
"""Called with "write" | "truncate" | "sync", the file, the offset or size, and the bytes; OK lets it happen."""

_open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)  # the name stays SQLite's own
_close = CFUNCTYPE(c_int, c_void_p)
_write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_sync = CFUNCTYPE(c_int, c_void_p, c_int)


class _Methods(Structure):
    """sqlite3_io_methods: the functions of one open file."""

    _fields_ = (
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", c_void_p),
        ("xWrite", c_void_p),
        ("xTruncate", c_void_p),
        ("xSync", c_void_p),
        *((f"other{number}", c_void_p) for number in range(13)),
    )


class _Vfs(Structure):
    """sqlite3_vfs: how files are opened."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", c_void_p),
        *((f"other{number}", c_void_p) for number in range(15)),
    )


def _address(function: Any) -> int:
    return ctypes.cast(function, c_void_p).value or 0


class VfsShim:
    """`with VfsShim(listener):` for connections that are opened inside the block."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._names: dict[int, str] = {}  # the file's address -> its path
        self._tables: dict[int, _Methods] = {}  # the usual table's address -> ours
        self._kept: list[Any] = []  # what C calls must not be collected
        # The very library that this Python's sqlite3 uses; None is the program itself, where it is built in.
        self._sqlite = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        self._sqlite.sqlite3_vfs_find.restype = c_void_p
        self._sqlite.sqlite3_vfs_find.argtypes = [c_char_p]
        self._sqlite.sqlite3_vfs_register.argtypes = [c_void_p, c_int]

    def __enter__(self) -> VfsShim:
        self._usual = self._sqlite.sqlite3_vfs_find(None)
        self._ours = _Vfs.from_buffer_copy(ctypes.string_at(self._usual, ctypes.sizeof(_Vfs)))
        self._ours.zName = b"twokey-watched"
        opens = _open(self._ours.xOpen)

        def opened(_vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
            code = int(opens(self._usual, name, file, flags, out))
            methods = c_void_p.from_address(file)
            if code == OK and name and methods.value:
                with self._lock:
                    self._names[file] = ctypes.string_at(name).decode()
                    methods.value = ctypes.addressof(self._table(methods.value))
            return code

        self._ours.xOpen = _address(self._keep(_open(opened)))
        self._sqlite.sqlite3_vfs_register(ctypes.byref(self._ours), 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sqlite.sqlite3_vfs_register(self._usual, 1)

    def _keep(self, function: Any) -> Any:
        self._kept.append(function)
        return function

    def _table(self, usual: int) -> _Methods:
        if usual in self._tables:
            return self._tables[usual]
        table = _Methods.from_buffer_copy(ctypes.string_at(usual, ctypes.sizeof(_Methods)))
        closes, writes = _close(table.xClose), _write(table.xWrite)
        truncates, syncs = _truncate(table.xTruncate), _sync(table.xSync)

        def closed(file: int) -> int:
            with self._lock:
                self._names.pop(file, None)
            return int(closes(file))

        def written(file: int, data: int, size: int, offset: int) -> int:
            code = self._notify("write", file, offset, ctypes.string_at(data, size))
            return code or int(writes(file, data, size, offset))

        def truncated(file: int, size: int) -> int:
            return self._notify("truncate", file, size) or int(truncates(file, size))

        def synced(file: int, flags: int) -> int:
            return self._notify("sync", file, flags) or int(syncs(file, flags))

        table.xClose = _address(self._keep(_close(closed)))
        table.xWrite = _address(self._keep(_write(written)))
        table.xTruncate = _address(self._keep(_truncate(truncated)))
        table.xSync = _address(self._keep(_sync(synced)))
        self._tables[usual] = table
        return table

    def _notify(self, what: str, file: int, number: int, data: bytes = b"") -> int:
        return self._listener(what, self._names.get(file, ""), number, data)


FAULTS = {
    "sync": {"sync": IOERR_FSYNC},
    "write": {"write": IOERR_WRITE},
    "full": {"write": FULL},
    "readonly": {"write": READONLY, "truncate": READONLY},
}


def inject_faults() -> None:
    """Inject, for the rest of this process, the fault (of FAULTS) named in the file at FAULT_FILE; none without it."""
    file = Path(os.environ.pop(FAULT_FILE))

    def listen(what: str, _file: str, _number: int, _data: bytes) -> int:
        try:
            fault = file.read_text()
        except OSError:
            return OK
        return FAULTS[fault].get(what, OK)

    _SHIMS.append(VfsShim(listen).__enter__())


_SHIMS: list[VfsShim] = []
