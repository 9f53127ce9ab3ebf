"""Waiting in the queue of a lock, as steps that `fronts` drives: written once for threads and for asyncio."""

from __future__ import annotations

from time import monotonic

from . import process
from .bells import Bell, ring
from .bytemap import EXCLUSIVE_LANE, SHARING_LANE
from .byterange import is_free
from .errors import NotHeld
from .grants import attempt, put_record
from .lockfile import seat_slot
from .tickets import ANY_HOLDER, Ticket, first_waiter, leave_queue, seat_to_ring, take_seat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fronts import Steps
    from .grants import Grant
    from .modes import ModeRule
    from .request import Request

PATIENCE = 0.001
"""Seconds that the next in turn lets newcomers pass before it makes them queue up behind it."""
SAFETY = 0.125
"""Seconds between two looks of the next in turn, for what no bell tells: a killed holder, another host."""
SAFETY_BEHIND = 0.5
"""Seconds between two looks of those who stand further back."""


def wait(fd: int, request: Request, deadline: float | None) -> Steps[Grant | None]:
    """Queue up at the lock opened as fd; return the grant, or None once the deadline (monotonic) has passed."""
    generation = process.generation
    granted = None
    seat = take_seat(fd)
    bell = Bell(request.path, seat, request.directory.file_mode)  # before the ticket: who sees that may ring
    try:
        put_record(fd, request, request.record(None), request.slot_offset(seat_slot(seat)))
        ticket = Ticket(fd, request.mode.lane, request.priority, seat)
        granted = yield from _take_turns(fd, request, ticket, bell, deadline)
        return granted
    finally:
        if process.generation != generation:
            raise NotHeld(f'this process was forked off while its parent waited for "{request.name}"')
        bell.take_down()
        _leave(fd, request, granted is not None)


def _leave(fd: int, request: Request, granted: bool) -> None:
    leave_queue(fd, keep_seat=granted and request.mode.seated)
    if not (granted and request.mode.sole):
        # The bell may have rung for this waiter only: it is a baton.
        ring_next(fd, request, request.mode if granted else None)


def ring_next(fd: int, request: Request, holding: ModeRule | None = None) -> None:
    """Wake whoever might be granted the lock now; ``holding`` is the mode held through fd itself."""
    seat = seat_to_ring(fd, request.terms.fair, holding)
    if seat is not None:
        ring(request.path, seat)


def _take_turns(fd: int, request: Request, ticket: Ticket, bell: Bell, deadline: float | None) -> Steps[Grant | None]:
    lookout = _Lookout(fd, request)
    stuck = False
    while True:
        first = ticket.is_first(request.terms.fair)
        if (first or stuck) and (granted := attempt(fd, request, ticket.seat)):
            return granted
        seconds = SAFETY_BEHIND + ticket.seat % 16 * 0.01
        if first:
            seconds = SAFETY if ticket.pending else PATIENCE
        if deadline is not None:
            left = deadline - monotonic()
            if left <= 0:
                return None
            seconds = min(seconds, left)
        rung = yield bell.fd, seconds
        if rung:
            bell.silence()
        elif first:
            ticket.insist()
        stuck = not rung and not first and lookout.sees_stuck_queue()


class _Lookout:
    """Notices a queue that does not move although the lock is free, because its first waiter is stopped."""

    __slots__ = ("_fd", "_front", "_request")

    def __init__(self, fd: int, request: Request) -> None:
        self._fd = fd
        self._request = request
        self._front: tuple[int | None, ...] | None = None

    def sees_stuck_queue(self) -> bool:
        """Whether the lock was open and free, behind the same first waiters, at this look and the last one."""
        before, self._front = self._front, None
        if is_free(self._fd, ANY_HOLDER) and self._request.learn(self._fd).limit:
            self._front = tuple(first_waiter(self._fd, lane) for lane in (EXCLUSIVE_LANE, SHARING_LANE))
        return self._front is not None and self._front == before
