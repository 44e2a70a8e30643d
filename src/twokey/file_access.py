"""Who else may write a file that decides what the bot does, by its mode and its folder's."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def others_may_write(path: Path, file: int) -> str:
    """Say which mode lets others change an open file and which command mends it; "" when none does.

    What everybody may write is refused, always. What a group may write is refused too, unless it is the primary
    group of our own process: a clone made under umask 002 is 0664 of the user's private group, and that group is
    the user. A folder counts like the file, for whoever may write it may put another file in its place; so do
    the folder of a link and the folder that it leads to. In a sticky folder (mounted secrets of Kubernetes are in
    one) only the file's own owner can replace it, and that must be us, root or the folder's owner.
    Who owns the file, access lists and the folders further up are not looked at.
    """
    found = os.fstat(file)
    if _is_open(found):
        return _mend(path, found)
    for folder in dict.fromkeys((path.parent, Path(os.path.realpath(path)).parent)):
        home = os.stat(folder)
        if not _is_open(home):
            continue
        placed = os.lstat(path) if folder == path.parent else found
        if not home.st_mode & stat.S_ISVTX or placed.st_uid not in (0, os.geteuid(), home.st_uid):
            return _mend(folder, home)
    return ""


def _is_open(found: os.stat_result) -> bool:
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid()
    return bool(found.st_mode & stat.S_IWOTH or by_group)


def _mend(path: Path, found: os.stat_result) -> str:
    who = "go" if found.st_mode & stat.S_IWGRP else "o"
    name = path.name or "."  # no path of the machine: this is shown in the chat
    return f"{name} {stat.S_IMODE(found.st_mode):04o}: chmod {who}-w {name}"
