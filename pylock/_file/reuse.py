"""Getting a descriptor of a lock file, and giving it back: opened, or one that was kept from the last time.

Opening and closing take a third of the time of an uncontended lock. So of a lock file that is opened `HOT` times in a
row within `FRESH` seconds each, the descriptor is kept at the release and used by the next acquisition, until it is
`FRESH` seconds old. A file that was replaced by hand is therefore found out that much later than by opening it
each time, and not at all later if `removal` removed it.
"""

from __future__ import annotations

from time import monotonic

from .._process import forget_in_child
from .descriptors import close
from .lockfile import open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .directories import Directory

FRESH = 0.01
HOT = 16
_MOST_IDLE = 8

Kept = tuple[int, float, float]
"""A descriptor without any lock; until when it may be used again (0.0: not at all); and when it was last given back
with nobody waiting (0.0: that is not known). Moments of the monotonic clock."""

_idle: dict[str, Kept] = {}
forget_in_child(_idle.clear)


class Heat:
    """How often in a row a lock file was opened soon after the time before, and when it was opened last."""

    __slots__ = ("opened", "times")

    def __init__(self) -> None:
        self.opened = 0.0
        self.times = 0


def borrow(path: str, directory: Directory, heat: Heat) -> Kept:
    """Return a descriptor of the lock file, which is made if it is not there. Raises as `lockfile.open_file`."""
    now = monotonic()
    kept = _idle.pop(path, None)
    if kept is not None:
        if 0 < kept[1] - now <= FRESH:  # else it is stale, or the clock is not the one it was
            return kept
        close(kept[0])
    if now > directory.seen_until:
        directory.look_again()
    fresh_until = 0.0
    if now - heat.opened > FRESH or directory.remote:
        heat.times = 0
    elif heat.times < HOT:
        heat.times += 1
    else:
        fresh_until = now + FRESH
    heat.opened = now
    return open_file(path, directory), fresh_until, 0.0


def give_back(path: str, fd: int, fresh_until: float, nobody_waits: bool) -> None:
    """Keep a descriptor on which nothing is locked any more for the next time, or close it."""
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
