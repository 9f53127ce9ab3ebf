"""Waiting in the queue of a lock, as steps that `drivers` drives: written once for threads and for asyncio."""

from __future__ import annotations

from time import monotonic

from .. import _process as process
from .._queue.sources import ENDED, OTHER_RUNG, RUNG, Sources
from .agreement import learn, learn_anew
from .attempt import PATIENCE
from .place import Place, free_seat, refuse_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._deadlock.cycles import Watch
    from .._queue.drivers import Steps
    from .._request import Grant, Request

SAFETY = 0.125
"""Seconds between two looks of the next in turn, where something may happen that nothing tells, as on another host."""
SAFETY_BEHIND = (0.1, 0.2, 0.4, 0.5)
"""Seconds between two looks of those who stand further back; the last one again and again."""
WATCHED, WATCHED_BEHIND = 1.0, 10.0
"""The same where everything that may happen wakes the waiter."""
SOON = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
"""Seconds between the first looks after an end, when the kernel may still be letting go of what that held."""
TIME_TO_GO_ON = 0.2
"""Seconds that who was rung has to go on, before who stands behind it looks whether it is stopped."""


def wait(
    fd: int, request: Request, deadline: float | None, nested: bool = False, watch: Watch | None = None
) -> Steps[Grant | None]:
    """Queue up at the lock opened as fd; return the grant, or None once the deadline (monotonic) has passed.

    ``nested``: past the queue, for who is inside the lock already. ``watch`` looks for deadlocks meanwhile, for who
    holds other locks. Raises Deadlock; Gone if the file was removed meanwhile.
    """
    mark = process.current()
    learn(fd, request)  # before a record is written: in the file of another kind of lock its place would be another
    seat = yield from free_seat(fd, deadline)
    if seat is None:
        return None
    granted = None
    place = Place(fd, request, seat, nested)
    sources = Sources((place.bell,))
    try:
        place.take(watch)
        granted = yield from _Wait(place, sources, deadline, watch).turns()
        return granted
    finally:
        refuse_child(mark, request)
        try:
            sources.close()
        finally:
            place.leave(granted is not None)


class _Wait:
    """One waiter that stands in the queue, from its first look to its grant.

    It sleeps until its bell rings. Who is next lets newcomers pass for a moment, and then insists; from then on it
    listens to the ends of those who hold. Who stands further back listens to the one before it: to its end, and to its
    bell, as one that was rung and does not go on is stopped, and is passed; and who is second to the holders too, as
    the first may be stopped when they end. Where all of that can be listened to, a look without a cause is only for
    what nobody has thought of; else, as on another host, it is what finds out.

    Invariants: the bell hangs and the ticket is held as long as this lives, so that who lets go finds them.
    """

    __slots__ = (
        "_behind", "_insists", "_insists_at", "_soon", "deadline", "place", "request", "sources", "watch",
    )  # fmt: skip

    def __init__(self, place: Place, sources: Sources, deadline: float | None, watch: Watch | None) -> None:
        self.place = place
        self.request = place.request
        self.sources = sources
        self.deadline = deadline
        self.watch = watch
        self._insists = False
        self._insists_at = float("inf")
        """When it lets newcomers pass no more; known once it is first."""
        self._soon: Iterator[float] = iter(())
        self._behind = iter(SAFETY_BEHIND)

    def turns(self) -> Steps[Grant | None]:
        """Try whenever it is this waiter's turn; return the grant, or None once time is up."""
        request, place = self.request, self.place
        stuck, happened = False, 0
        while True:
            terms = learn_anew(place.fd, request)
            request.check_attainable()
            first = place.is_first()
            if first:
                self._lose_patience()
            if (first or stuck) and (terms.limit or not request.kind.starts):
                granted = request.attempt(place.fd, request, place.seat)
                if granted:
                    return granted
            seconds = self._pause(first, happened)
            if seconds is None:
                return None
            if self.sources.are_new():
                stuck = False
                continue
            ready = yield self.sources.watched, seconds
            happened = self.sources.take() if ready else 0
            if happened & RUNG:
                place.bell.silence()
            elif first and not ready:
                self._insists_at = 0.0  # also where the clock stands still
            if happened & ENDED:
                self._soon = iter(SOON)
            if happened & (OTHER_RUNG | ENDED):
                place.outlook.observe()
            stuck = not (first or ready) and place.outlook.sees_stuck_queue()

    def _lose_patience(self) -> None:
        """Let newcomers pass no more, once they could for a moment; however often it was rung meanwhile in vain."""
        moment = monotonic()
        self._insists_at = min(self._insists_at, moment + PATIENCE)
        self._insists = moment >= self._insists_at
        if self._insists:
            self.place.ticket.insist()

    def _pause(self, first: bool, happened: int) -> float | None:
        """Seconds until the next look, if nothing happens before; None if time is up."""
        if first:
            seconds = self.request.kind.pause(self._pause_of_first(happened))
        elif happened & (OTHER_RUNG | ENDED) or self.place.outlook.was_free:
            seconds = TIME_TO_GO_ON
        else:
            seconds = self._pause_behind()
        if self.deadline is not None:
            left = self.deadline - monotonic()
            if left <= 0:
                return None
            seconds = min(seconds, left)
        if self.watch is not None:
            seconds = min(seconds, self.watch.look(self.request, self.place.fd, self.place.seat))
        return seconds

    def _pause_of_first(self, happened: int) -> float:
        if not self._insists:
            return max(0.0, self._insists_at - monotonic())
        if (soon := next(self._soon, None)) is not None:
            return soon
        if happened & OTHER_RUNG:  # and if it is not heard there, it would be here again and again
            return TIME_TO_GO_ON
        return WATCHED if self._listens(first=True) else SAFETY

    def _pause_behind(self) -> float:
        seconds = next(self._behind, None)
        has_looked = seconds is None or seconds > SAFETY_BEHIND[0]
        if has_looked and self._listens(first=False):
            return WATCHED_BEHIND
        return (seconds or SAFETY_BEHIND[-1]) + self.place.seat % 16 * 0.01

    def _listens(self, first: bool) -> bool:
        """Listen to what may let it go on; False if that cannot be, or each question is one for a file server."""
        return not self.request.directory.remote and self.sources.watch(*self.place.outlook.whom_to_hear(first))
