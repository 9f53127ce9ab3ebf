"""A waiter's place in the queue of one lock: seat, bell, record and ticket, from the first to the last of them.

The order is the point. The bell hangs before the ticket is there, as who sees that may ring; and the seat, by which the
bell is named, is given up after it is down. Who leaves wakes who may have the lock now, as the bell may have rung for
this waiter only: it is a baton.
"""

from __future__ import annotations

from time import monotonic

from .. import _process as process
from .._errors import NotHeld
from .._file.byterange import let_go
from .._file.layout import now, seat_slot
from .._file.records import forget_words
from .._modes import EXCLUSIVE
from .._queue.bells import Bell, ring
from .._queue.tickets import Ticket, leave_queue, seat_to_ring, take_seat
from .attempt import put_record
from .outlook import Outlook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._deadlock.cycles import Watch
    from .._modes import ModeRule
    from .._queue.drivers import Steps
    from .._request import Request

SEAT_PAUSE = 0.005
"""Seconds between two looks for a seat, all of which somebody has who removes the file."""


class Place:
    """One place, from `take` to `leave`. ``nested``: past the queue, for who is inside the lock already."""

    __slots__ = ("bell", "fd", "nested", "outlook", "request", "seat", "ticket")

    ticket: Ticket
    outlook: Outlook

    def __init__(self, fd: int, request: Request, seat: int, nested: bool) -> None:
        self.fd = fd
        self.request = request
        self.seat = seat
        self.nested = nested
        self.bell = Bell(request.path, seat)

    def take(self, watch: Watch | None) -> None:
        """Join the queue: behind all of the same priority.

        Who stands directly behind is rung, so that it hears this waiter from now on, and not whom it heard before.
        """
        self.bell.hang(self.request.directory.file_mode)  # before the ticket: who sees that may ring
        self.sign(watch)
        self.ticket = Ticket(self.fd, self.request.mode.lane, self.request.priority, self.seat)
        if not self.request.directory.remote:  # there nobody listens
            for behind in self.ticket.directly_behind():
                ring(self.request.path, behind, self.request.directory.private)
        self.outlook = Outlook(self.fd, self.request, self.ticket, self.nested)

    def sign(self, watch: Watch | None) -> None:
        """Write the record: who waits, and what it holds meanwhile."""
        extra = self.request.kind.extra
        if self.nested:
            extra = extra | {"nested": "yes"}
        if watch is not None:
            extra = extra | {"holds": watch.text}
        record = self.request.record(now(), None, extra)
        put_record(self.fd, self.request, record, self.request.slot_offset(seat_slot(self.seat)))

    def is_first(self) -> bool:
        """Whether nobody stands before it who does not let it pass."""
        return self.nested or self.ticket.is_first(self.request.terms.fair)

    def leave(self, granted: bool) -> None:
        """Give up all of it, save for the seat of a holder who is known by it."""
        try:
            self.bell.take_down()
            self._wipe_words(granted)
        finally:
            self._leave_queue(granted)

    def _wipe_words(self, granted: bool) -> None:
        """See to it that the words of a command do not stay there, for others to read for ever."""
        if self.request.command is None or (granted and self.request.mode.seated):
            return
        try:
            forget_words(self.fd, (self.request.slot_offset(seat_slot(self.seat)),))
        except OSError:  # they stay until somebody else has the seat
            pass

    def _leave_queue(self, granted: bool) -> None:
        request = self.request
        if granted:
            leave_queue(self.fd, keep_seat=request.mode.seated)
        else:
            let_go(self.fd)
        if not (granted and (request.mode is EXCLUSIVE or request.passes_bell_late)):
            ring_next(self.fd, request, request.mode if granted else None)


def free_seat(fd: int, deadline: float | None) -> Steps[int | None]:
    """Lock a free seat and return it; None once the deadline (monotonic) has passed."""
    while (seat := take_seat(fd)) is None:  # somebody removes the file
        if deadline is not None and monotonic() >= deadline:
            return None
        yield -1, SEAT_PAUSE
    return seat


def refuse_child(mark: process.Mark, request: Request) -> None:
    """Raise NotHeld in a child that was forked off during the wait: the place is its parent's."""
    if not mark[0]:
        raise NotHeld(f'this process was forked off while its parent waited for "{request.name}"')


def ring_next(fd: int, request: Request, holding: ModeRule | None = None) -> None:
    """Wake whoever might be granted the lock now; ``holding`` is the mode held through fd itself."""
    ring_after(fd, request, 0, holding)


def ring_after(fd: int, request: Request, ticket: int, holding: ModeRule | None = None) -> None:
    """As `ring_next`, of those who stand behind the ticket, whose owner cannot use the lock."""
    seat = seat_to_ring(fd, request.terms.fair, holding, ticket)
    if seat is not None:
        ring(request.path, seat, request.directory.private)
