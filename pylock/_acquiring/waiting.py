"""Waiting in the queue of a lock, as steps that `fronts` drives: written once for threads and for asyncio."""

from __future__ import annotations

from time import monotonic

from .. import _process as process
from .._errors import NotHeld
from .._file.byterange import is_free, let_go
from .._file.layout import now, seat_slot
from .._file.lockfile import refresh
from .._modes import ANY_HOLDER, EXCLUSIVE
from .._queue.bells import Bell, is_unheard, ring
from .._queue.tickets import Ticket, leave_queue, seat_to_ring, take_seat
from .agreement import learn
from .attempt import PATIENCE, may_have_room, put_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._deadlock.cycles import Watch
    from .._modes import ModeRule
    from .._queue.drivers import Steps
    from .._request import Grant, Request, Terms

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
    mark = process.current()
    learn(fd, request)  # before a record is written: in the file of another kind of lock its place would be another
    while (seat := take_seat(fd)) is None:  # somebody removes the file
        if deadline is not None and monotonic() >= deadline:
            return None
        yield -1, 0.005
    granted = None
    bell = Bell(request.path, seat)
    try:
        bell.hang(request.directory.file_mode)  # before the ticket: who sees that may ring
        record = request.record(now(), None, note_of(request, nested, watch))
        put_record(fd, request, record, request.slot_offset(seat_slot(seat)))
        ticket = Ticket(fd, request.mode.lane, request.priority, seat)
        granted = yield from _Wait(fd, request, ticket, bell, deadline, nested, watch).turns()
        return granted
    finally:
        if not mark[0]:
            raise NotHeld(f'this process was forked off while its parent waited for "{request.name}"')
        bell.take_down()
        _leave(fd, request, granted is not None)


def note_of(request: Request, nested: bool, watch: Watch | None) -> dict[str, str]:
    """What others should know of this waiter besides who it is."""
    extra = request.kind.extra
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
    ring_after(fd, request, 0, holding)


def ring_after(fd: int, request: Request, ticket: int, holding: ModeRule | None = None) -> None:
    """As `ring_next`, of those who stand behind the ticket, whose owner cannot use the lock."""
    seat = seat_to_ring(fd, request.terms.fair, holding, ticket)
    if seat is not None:
        ring(request.path, seat, request.directory.private)


class _Wait:
    """One waiter that stands in the queue, from its first look to its grant.

    It sleeps until its bell rings, and looks by itself now and then, for what no bell tells. Who is next lets newcomers
    pass for a moment, and then insists; who stands further back tries all the same where the queue does not move, as
    its first one is stopped.

    Invariants: the bell hangs and the ticket is held as long as this lives, so that who lets go finds them.
    """

    __slots__ = ("_behind", "_fronts", "_patient", "_was_free", "bell", "deadline", "fd", "nested", "request", "ticket",
                 "watch")  # fmt: skip

    def __init__(
        self, fd: int, request: Request, ticket: Ticket, bell: Bell, deadline: float | None, nested: bool,
        watch: Watch | None,
    ) -> None:  # fmt: skip
        self.fd = fd
        self.request = request
        self.ticket = ticket
        self.bell = bell
        self.deadline = deadline
        self.nested = nested
        self.watch = watch
        self._patient = False
        self._behind = iter(SAFETY_BEHIND)
        self._fronts: list[int] = []
        self._was_free = False

    def turns(self) -> Steps[Grant | None]:
        """Try whenever it is this waiter's turn; return the grant, or None once time is up."""
        request, bell = self.request, self.bell
        stuck = False
        while True:
            terms = self._terms_now()
            request.check_attainable()
            first = self.nested or self.ticket.is_first(terms.fair)
            if (first or stuck) and (terms.limit or not request.kind.starts):
                granted = request.attempt(self.fd, request, self.ticket.seat)
                if granted:
                    return granted
            seconds = self._pause(first)
            if seconds is None:
                return None
            rung = yield bell.fd, seconds
            if rung:
                bell.silence()
            elif first:
                self._patient = True
                self.ticket.insist()
            stuck = not rung and not first and self._sees_stuck_queue(terms.fair)

    def _terms_now(self) -> Terms:
        """Read the terms; a closed lock is not tried, as to take it for a moment would look like holding it."""
        terms = learn(self.fd, self.request)
        if not terms.limit and self.request.directory.remote:
            refresh(self.fd)
            terms = learn(self.fd, self.request)
        return terms

    def _pause(self, first: bool) -> float | None:
        """Seconds until the next look without a bell; None if time is up."""
        if first:
            seconds = self.request.kind.pause(SAFETY if self._patient else PATIENCE)
        else:
            seconds = next(self._behind, SAFETY_BEHIND[-1]) + self.ticket.seat % 16 * 0.01
        if self.deadline is not None:
            left = self.deadline - monotonic()
            if left <= 0:
                return None
            seconds = min(seconds, left)
        if self.watch is not None:
            seconds = min(seconds, self.watch.look(self.request, self.fd, self.ticket.seat))
        return seconds

    def _sees_stuck_queue(self, fair: bool) -> bool:
        """Whether those in front neither heard the bell that we rang at the last look, nor took the free lock."""
        path, before, was_free = self.request.path, self._fronts, self._was_free
        self._fronts = fronts = self.ticket.fronts(fair)
        self._was_free = is_free(self.fd, ANY_HOLDER) and self.request.terms.limit > 0
        if fronts == before and ((was_free and self._was_free) or all(is_unheard(path, seat) for seat in fronts)):
            return True
        if self._might_be_granted():
            for seat in fronts:
                ring(path, seat)
        return False

    def _might_be_granted(self) -> bool:
        """Whether only the queue is in the way."""
        request = self.request
        if request.mode.lock is not None:
            return is_free(self.fd, request.mode.lock)
        return request.terms.limit > 0 and may_have_room(self.fd, request.terms.limit)
