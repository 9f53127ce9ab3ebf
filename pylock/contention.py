"""What a request does when its first try failed: it makes sure that waiting can end, waits, or says why not."""

from __future__ import annotations

from time import monotonic

from .blocks import all_blocks_around, blocks_around, refuse_deadlock
from .errors import LockTimeout
from .layout import Gone
from .lockfile import is_at
from .nesting import outer_holds
from .waiting import wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .deadlocks import Watch
    from .errors import LockError, WouldBlock
    from .fronts import Steps
    from .holds import Hold
    from .request import Request

_LONG = 1.0
"""Seconds of waiting after which somebody may have removed the file by hand; what pylock removes says so itself."""


def steps_to_grant(
    hold: Hold, timeout: float | None, waits_as_task: bool, refused: type[WouldBlock] | type[LockTimeout] = LockTimeout
) -> Steps[None]:
    """Wait for the grant, ``timeout`` seconds at most (None is for ever); raise ``refused`` if there was none."""
    begun = monotonic()
    request = hold._request
    request.check_attainable()
    around = blocks_around(request, waits_as_task)
    if timeout != 0:
        refuse_deadlock(request, around)
    if around:  # who is inside the lock already passes the queue, which may wait for it
        hold._close()
        if hold._take(jump=True):
            return
    if timeout != 0:
        yield from _wait(hold, None if timeout is None else begun + timeout, bool(around), waits_as_task)
    hold.waited = monotonic() - begun
    if hold._grant is None:
        raise _refusal(refused, hold)


def _wait(hold: Hold, deadline: float | None, nested: bool, waits_as_task: bool) -> Steps[None]:
    """Wait for the grant, opening the file anew if it was removed meanwhile; without a grant, time is up."""
    request = hold._request
    while True:
        if hold._fd < 0 and not (yield from _await_existence(hold, deadline)):
            return
        if hold._grant is not None:
            return
        begun = monotonic()
        try:
            hold._grant = yield from wait(hold._fd, request, deadline, nested, watch_for(request, waits_as_task))
            if hold._grant is None or monotonic() - begun < _LONG or is_at(hold._fd, request.path):
                return
        except Gone:
            pass
        hold._grant = None
        hold._close()
        if hold._take():
            return


def _await_existence(hold: Hold, deadline: float | None) -> Steps[bool]:
    """Wait for the lock to exist, and try once; False if time is up."""
    from .existence import until_it_exists

    while hold._fd < 0:
        if not (yield from until_it_exists(hold._request, deadline)):
            return False
        hold._take()
    return True


def watch_for(request: Request, waits_as_task: bool) -> Watch | None:
    """Return what finds deadlocks, for a waiter that holds other locks; who holds none is in no deadlock."""
    around, above = all_blocks_around(waits_as_task), outer_holds()
    if not around and not above:
        return None
    from .deadlocks import watch

    return watch(around, above, request)


def _refusal(kind: type[WouldBlock] | type[LockTimeout], hold: Hold) -> LockError:
    if hold._fd < 0:
        from .existence import absence

        return absence(kind, hold._request, hold.waited)
    from .census import refusal

    try:
        hold._request.learn(hold._fd)  # who asks for what this lock is not should know why
    except Gone:
        pass
    return refusal(kind, hold._fd, hold._request, hold.waited)
