"""Waiting in the queue of a lock, as steps that `fronts` drives: written once for threads and for asyncio."""

from __future__ import annotations

from time import monotonic

from . import process
from .bells import Bell, is_unheard, ring
from .byterange import is_free, let_go
from .errors import NotHeld
from .grants import PATIENCE, put_record
from .layout import seat_slot
from .lockfile import refresh
from .modes import ANY_HOLDER, EXCLUSIVE
from .tickets import Ticket, leave_queue, seat_to_ring, take_seat
from .units import may_have_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .deadlocks import Watch
    from .fronts import Steps
    from .grants import Grant
    from .modes import ModeRule
    from .request import Request, Terms

SAFETY = 0.125
"""Seconds between two looks of the next in turn, for what no bell tells: a killed holder, another host."""
SAFETY_BEHIND = (0.1, 0.2, 0.4, 0.5)
"""Seconds between two looks of those who stand further back; the last one again and again."""


def wait(
    fd: int, request: Request, deadline: float | None, nested: bool = False, watch: Watch | None = None
) -> Steps[Grant | None]:
    """Queue up at the lock opened as fd; return the grant, or None once the deadline (monotonic) has passed.

    ``nested``: past the queue, for who is inside the lock already. ``watch`` looks for deadlocks meanwhile, for who
    holds other locks. Raises Deadlock; Gone if the file was removed meanwhile.
    """
    generation = process.generation
    request.learn(fd)  # before a record is written: in the file of another kind of lock its place would be another
    while (seat := take_seat(fd)) is None:  # somebody removes the file
        if deadline is not None and monotonic() >= deadline:
            return None
        yield -1, 0.005
    granted = None
    bell = Bell(request.path, seat)
    try:
        bell.hang(request.directory.file_mode)  # before the ticket: who sees that may ring
        record = request.record(None, _extra(request, nested, watch))
        put_record(fd, request, record, request.slot_offset(seat_slot(seat)))
        ticket = Ticket(fd, request.mode.lane, request.priority, seat)
        granted = yield from _take_turns(fd, request, ticket, bell, deadline, nested, watch)
        return granted
    finally:
        if process.generation != generation:
            raise NotHeld(f'this process was forked off while its parent waited for "{request.name}"')
        bell.take_down()
        _leave(fd, request, granted is not None)


def _extra(request: Request, nested: bool, watch: Watch | None) -> dict[str, str]:
    """What others should know of this waiter besides who it is."""
    extra = (request.kind and request.kind.extra) or {}
    if nested:
        extra = extra | {"nested": "yes"}
    return extra | {"holds": watch.text} if watch is not None else extra


def _leave(fd: int, request: Request, granted: bool) -> None:
    if granted:
        leave_queue(fd, keep_seat=request.mode.seated)
    else:
        let_go(fd)
    if not (granted and (request.mode is EXCLUSIVE or request.passes_bell_late)):
        # The bell may have rung for this waiter only: it is a baton.
        ring_next(fd, request, request.mode if granted else None)


def ring_next(fd: int, request: Request, holding: ModeRule | None = None) -> None:
    """Wake whoever might be granted the lock now; ``holding`` is the mode held through fd itself."""
    seat = seat_to_ring(fd, request.terms.fair, holding)
    if seat is not None:
        ring(request.path, seat, request.directory.private)


def _take_turns(
    fd: int, request: Request, ticket: Ticket, bell: Bell, deadline: float | None, nested: bool, watch: Watch | None
) -> Steps[Grant | None]:
    lookout = _Lookout(fd, request, ticket)
    behind = iter(SAFETY_BEHIND)
    stuck = patient = False
    while True:
        terms = _terms_now(fd, request)
        request.check_attainable()
        first = nested or ticket.is_first(terms.fair)
        open_to_us = terms.limit or (request.kind is not None and not request.kind.starts)
        if open_to_us and (first or stuck) and (granted := request.attempt(fd, request, ticket.seat)):
            return granted
        if first:
            seconds = SAFETY if patient else PATIENCE
            if request.kind is not None:
                seconds = request.kind.pause(seconds)
        else:
            seconds = next(behind, SAFETY_BEHIND[-1]) + ticket.seat % 16 * 0.01
        if deadline is not None:
            left = deadline - monotonic()
            if left <= 0:
                return None
            seconds = min(seconds, left)
        if watch is not None:
            seconds = min(seconds, watch.look(request, fd, ticket.seat))
        rung = yield bell.fd, seconds
        if rung:
            bell.silence()
        elif first:
            patient = True
            ticket.insist()
        stuck = not rung and not first and lookout.sees_stuck_queue(terms.fair)


def _terms_now(fd: int, request: Request) -> Terms:
    """Read the terms; a closed lock is not tried, as to take it for a moment would look like holding it."""
    terms = request.learn(fd)
    if not terms.limit and request.directory.remote:
        refresh(fd)
        terms = request.learn(fd)
    return terms


class _Lookout:
    """Notices a queue that does not move because its first waiter is stopped."""

    __slots__ = ("_fd", "_fronts", "_request", "_ticket", "_was_free")

    def __init__(self, fd: int, request: Request, ticket: Ticket) -> None:
        self._fd = fd
        self._request = request
        self._ticket = ticket
        self._fronts: list[int] = []
        self._was_free = False

    def sees_stuck_queue(self, fair: bool) -> bool:
        """Whether those in front neither heard the bell that we rang at the last look, nor took the free lock."""
        path, before, was_free = self._request.path, self._fronts, self._was_free
        self._fronts = fronts = self._ticket.fronts(fair)
        self._was_free = is_free(self._fd, ANY_HOLDER) and self._request.terms.limit > 0
        if fronts == before and ((was_free and self._was_free) or all(is_unheard(path, seat) for seat in fronts)):
            return True
        if self._might_be_granted():
            for seat in fronts:
                ring(path, seat)
        return False

    def _might_be_granted(self) -> bool:
        """Whether only the queue is in the way."""
        request = self._request
        if request.mode.lock is not None:
            return is_free(self._fd, request.mode.lock)
        return request.terms.limit > 0 and may_have_room(self._fd, request.terms.limit)
