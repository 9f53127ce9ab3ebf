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

_UNKNOWN = float("-inf")

_idle: dict[str, tuple[int, float, float]] = {}
"""By its path, a descriptor without any lock; until when it may be used again; and when nobody waited (`_UNKNOWN`:
perhaps somebody did). Moments of the monotonic clock."""
forget_in_child(_idle.clear)


class Heat:
    """How often in a row a lock file was opened soon after the time before, and when it was opened last."""

    __slots__ = ("opened", "times")

    def __init__(self) -> None:
        self.opened: float = 0.0
        self.times: int = 0


def borrow(path: str, directory: Directory, heat: Heat) -> tuple[int, float, float]:
    """Return a descriptor of the lock file, which is made if it is not there.

    With it, until when it may be used again, on the monotonic clock (0.0: not at all), and how many seconds ago nobody
    waited. Raises as `lockfile.open_file`.
    """
    now = monotonic()
    kept = _idle.pop(path, None)
    if kept is not None:
        fd, fresh_until, quiet_at = kept
        if 0 < fresh_until - now <= FRESH:  # else it is stale, or the clock is not the one it was
            return fd, fresh_until, now - quiet_at
        close(fd)
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
    return open_file(path, directory), fresh_until, now - _UNKNOWN


def give_back(path: str, fd: int, fresh_until: float, nobody_waits: bool) -> None:
    """Keep a descriptor on which nothing is locked any more for the next time, or close it."""
    if fresh_until and (len(_idle) < _MOST_IDLE or _close_stale()):
        kept = fd, fresh_until, monotonic() if nobody_waits else _UNKNOWN
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
