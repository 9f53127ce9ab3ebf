"""The descriptors that pylock has open: none is inherited by a forked child, and a hot one is used again.

Opening and closing take a third of the time of an uncontended lock. So of a lock file that is opened `HOT` times in a
row within `FRESH` seconds each, the descriptor is kept at the release and used by the next acquisition, until it is
`FRESH` seconds old. A file that was replaced by hand is therefore found out that much later than by opening it
each time, and not at all later if `removal` removed it.
"""

from __future__ import annotations

import os
from _thread import RLock
from os import open as os_open
from time import monotonic

FRESH = 0.01
HOT = 16
_MOST_IDLE = 8

opened: set[int] = set()
"""Every open descriptor of a lock file or bell."""

_opening = RLock()
"""Held from before a descriptor is opened until it is noted, so that no fork falls between."""

Idle = tuple[int, float, float]
"""A descriptor without any lock, until when it is fresh, and when it was last released with nobody waiting."""

_idle: dict[str, Idle] = {}


def open_noted(path: str, flags: int, mode: int = 0) -> int:
    """Open a file and note the descriptor; neither a fork nor a signal handler that raises can come between."""
    fresh: list[int] = []
    with _opening:
        try:
            fresh.extend(map(os_open, (path,), (flags,), (mode,)))  # stored before any Python code can run
            opened.update(fresh)
            return fresh[0]
        except BaseException:
            for fd in fresh:
                close(fd)
            raise


def take_idle(path: str, now: float) -> Idle | None:
    """Return a descriptor of the lock file that is still fresh, if there is one."""
    found = _idle.pop(path, None)
    if found is None or now < found[1]:
        return found
    close(found[0])
    return None


def put_away(path: str, fd: int, fresh_until: float, nobody_waits: bool) -> None:
    """Keep a descriptor on which nothing is locked any more for the next acquisition, or close it."""
    if fresh_until and (len(_idle) < _MOST_IDLE or _close_stale()):
        kept = fd, fresh_until, monotonic() if nobody_waits else 0.0
        if _idle.setdefault(path, kept) is kept:
            return
    close(fd)


def _close_stale() -> bool:
    """Make room; tell whether there is some."""
    now = monotonic()
    for path, (_, fresh_until, _) in list(_idle.items()):
        if now >= fresh_until and (stale := _idle.pop(path, None)):
            close(stale[0])
    return len(_idle) < _MOST_IDLE


def close(fd: int) -> None:
    try:
        opened.discard(fd)
    finally:
        os.close(fd)


def _drop_copies() -> None:
    """In a forked child: close its copies, which frees nothing as long as the parent has its own open."""
    for fd in opened:
        try:
            os.close(fd)
        except OSError:
            pass
    opened.clear()
    _idle.clear()
    _opening.release()


os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_drop_copies)
