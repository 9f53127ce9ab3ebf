"""The descriptors that pylock has open: none is lost, and none is inherited by a forked child.

Every lock file, bell and pidfd is opened here, noted, and closed here. A descriptor is unlocked before it is closed,
because a child that was forked just now may have a copy; and forgotten after, so that no child misses one.
"""

from __future__ import annotations

import os
from errno import EBADF
from os import SEEK_CUR, SEEK_SET, lseek
from os import open as os_open
from stat import S_ISVTX

from .._process import forget_in_child, hold_over_fork, new_lock
from .byterange import let_go

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MARK = 0x70796C6F
"""The file offset of a lock file's descriptor, by which it is known again. Nothing reads or writes at the offset."""
_FIRST = 3
"""The first number that is not for input, output and errors."""

_opened: dict[int, bool] = {}
"""Every open descriptor of a lock file or bell, and whether it has the mark, which a FIFO cannot have."""
_kept: set[int] = set()
"""Those that a forked child is to keep, because their holds go with it."""

_opening = new_lock()
"""Held while a descriptor is opened and noted, or closed and forgotten, so that no fork falls between."""


def open_noted(path: str, flags: int, mode: int = 0, mark: bool = True) -> int:
    """Open a file and note the descriptor."""
    return noted(mark, os_open, path, flags, mode)


def noted(mark: bool, open_it: Callable[..., int], *arguments: object) -> int:
    """Note what a function in C opens; neither a fork nor a signal handler that raises can come between.

    ``mark``: it is a lock file, and gets the mark. It never gets a number for input or output, which a command would
    take for its own; nor one that somebody here still takes for his, as the program has closed that behind our back:
    who lets go by it would let go of this.
    """
    fresh: list[int] = []
    try:
        with _opening:
            fresh.extend(map(open_it, *zip(arguments)))  # stored before any Python code can run
            while fresh[-1] < _FIRST or fresh[-1] in _opened:
                fresh.extend(map(os.dup, fresh[-1:]))
            _opened[fresh[-1]] = False
            while len(fresh) > 1:
                os.close(fresh.pop(0))
            if mark:
                lseek(fresh[0], _MARK, SEEK_SET)
                _opened[fresh[0]] = True
        return fresh[0]
    except BaseException:
        for fd in fresh:
            _opened.setdefault(fd, False)
            close(fd)
        raise


def give_mode(fd: int, mode: int) -> None:
    """Give a new file its permissions, and the sticky bit, by which systemd-tmpfiles knows what not to remove.

    The kernel passes over that bit of a file. Source: chmod(2), S_ISVTX; systemd, tmpfiles.c, dir_cleanup.
    """
    try:
        os.fchmod(fd, mode | S_ISVTX)
    except PermissionError:  # a file server that knows the bit for directories alone
        os.fchmod(fd, mode)


def is_ours(fd: int) -> bool:
    """Whether the number still is that of a lock file that was opened here; the program may have closed it."""
    try:
        return lseek(fd, 0, SEEK_CUR) == _MARK
    except OSError:
        return False


def close(fd: int) -> None:
    """Close a descriptor on which nothing is locked any more, also if a signal handler raises meanwhile."""
    try:
        _close(fd)
    except BaseException:
        if fd in _opened:  # it was not yet closed
            _close(fd)
        raise


def _close(fd: int) -> None:
    is_gone: list[None] = []
    with _opening:
        try:
            if (has_mark := _opened.get(fd)) is False or (has_mark and is_ours(fd)):
                is_gone.extend(map(os.close, (fd,)))  # stored before any Python code can run
            else:
                is_gone.append(None)
        except OSError as error:
            is_gone.append(None)  # whatever close(2) says of it
            if error.errno != EBADF:  # else the program has closed it
                raise
        finally:
            if is_gone:
                _opened.pop(fd, None)
                _kept.discard(fd)


def drop(fd: int) -> None:
    """Let go of all that is locked through the descriptor, and close it."""
    try:
        if is_ours(fd):
            let_go(fd)
    except OSError:  # a file server that is away; closing unlocks too
        pass
    finally:
        close(fd)


def give_away(fd: int) -> None:
    """Leave it to somebody else what becomes of the descriptor, here and in a forked child."""
    _opened.pop(fd, None)


def keep_in_child(fd: int, keep: bool) -> None:
    """From now on, a child that is forked has the descriptor too, or does not have it."""
    if keep:
        _kept.add(fd)
    else:
        _kept.discard(fd)


def _drop_copies() -> None:
    """In a forked child: close its copies, which frees nothing as long as the parent has its own open."""
    global _opening
    _opening = new_lock()  # C code may have forked while another thread of the parent had it
    kept = {fd: _opened.pop(fd) for fd in _kept if fd in _opened}
    while _opened:
        fd, marked = _opened.popitem()
        if not marked or is_ours(fd):
            try:
                os.close(fd)
            except OSError:
                pass
    _opened.update(kept)


forget_in_child(_drop_copies)
hold_over_fork(lambda: _opening)
