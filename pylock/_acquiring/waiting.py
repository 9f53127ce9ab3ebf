"""Waiting in the queue of a lock, as steps that `drivers` drives: written once for threads and for asyncio."""

from __future__ import annotations

from time import monotonic

from .. import _process as process
from .._errors import NotHeld
from .._file.byterange import let_go
from .._file.layout import now, seat_slot
from .._file.records import forget_words
from .._modes import EXCLUSIVE
from .._queue.bells import Bell, ring
from .._queue.sources import ENDED, OTHER_RUNG, RUNG, Sources
from .._queue.tickets import Ticket, leave_queue, seat_to_ring, take_seat
from .agreement import learn, learn_anew
from .attempt import PATIENCE, put_record
from .outlook import Outlook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._deadlock.cycles import Watch
    from .._modes import ModeRule
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
GRACE = 0.2
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
    while (seat := take_seat(fd)) is None:  # somebody removes the file
        if deadline is not None and monotonic() >= deadline:
            return None
        yield -1, 0.005
    granted = None
    bell = Bell(request.path, seat)
    sources = Sources((bell,))
    try:
        bell.hang(request.directory.file_mode)  # before the ticket: who sees that may ring
        record = request.record(now(), None, note_of(request, nested, watch))
        put_record(fd, request, record, request.slot_offset(seat_slot(seat)))
        ticket = take_place(fd, request, seat)
        granted = yield from _Wait(fd, request, ticket, bell, sources, deadline, nested, watch).turns()
        return granted
    finally:
        if not mark[0]:
            raise NotHeld(f'this process was forked off while its parent waited for "{request.name}"')
        try:
            sources.close()
        finally:
            try:
                bell.take_down()
                leave_record(fd, request, seat, granted is not None)
            finally:
                leave(fd, request, granted is not None)


def take_place(fd: int, request: Request, seat: int) -> Ticket:
    """Join the queue: behind all of the same priority.

    Who stands directly behind is rung, so that it hears this waiter from now on, and not whom it heard before.
    """
    ticket = Ticket(fd, request.mode.lane, request.priority, seat)
    if not request.directory.remote:  # there nobody listens
        for behind in ticket.directly_behind():
            ring(request.path, behind, request.directory.private)
    return ticket


def note_of(request: Request, nested: bool, watch: Watch | None) -> dict[str, str]:
    """What others should know of this waiter besides who it is."""
    extra = request.kind.extra
    if nested:
        extra = extra | {"nested": "yes"}
    return extra | {"holds": watch.text} if watch is not None else extra


def leave_record(fd: int, request: Request, seat: int, granted: bool) -> None:
    """See to it that the words of a command do not stay in the seat of who waited, for others to read for ever."""
    if request.command is None or (granted and request.mode.seated):
        return
    try:
        forget_words(fd, (request.slot_offset(seat_slot(seat)),))
    except OSError:  # they stay until somebody else has the seat
        pass


def leave(fd: int, request: Request, granted: bool) -> None:
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

    It sleeps until its bell rings. Who is next lets newcomers pass for a moment, and then insists; from then on it
    listens to the ends of those who hold. Who stands further back listens to the one before it: to its end, and to its
    bell, as one that was rung and does not go on is stopped, and is passed; and who is second to the holders too, as
    the first may be stopped when they end. Where all of that can be listened to, a look without a cause is only for
    what nobody has thought of; else, as on another host, it is what finds out.

    Invariants: the bell hangs and the ticket is held as long as this lives, so that who lets go finds them.
    """

    __slots__ = (
        "_behind", "_insists", "_insists_at", "_soon", "bell", "deadline", "fd", "nested", "outlook", "request",
        "sources", "ticket", "watch",
    )  # fmt: skip

    def __init__(
        self, fd: int, request: Request, ticket: Ticket, bell: Bell, sources: Sources, deadline: float | None,
        nested: bool, watch: Watch | None,
    ) -> None:  # fmt: skip
        self.fd = fd
        self.request = request
        self.ticket = ticket
        self.bell = bell
        self.sources = sources
        self.deadline = deadline
        self.nested = nested
        self.watch = watch
        self.outlook = Outlook(fd, request, ticket, nested)
        self._insists = False
        self._insists_at = float("inf")
        """When it lets newcomers pass no more; known once it is first."""
        self._soon: Iterator[float] = iter(())
        self._behind = iter(SAFETY_BEHIND)

    def turns(self) -> Steps[Grant | None]:
        """Try whenever it is this waiter's turn; return the grant, or None once time is up."""
        request = self.request
        stuck, happened = False, 0
        while True:
            terms = learn_anew(self.fd, request)
            request.check_attainable()
            first = self.nested or self.ticket.is_first(terms.fair)
            if first:
                self._lose_patience()
            if (first or stuck) and (terms.limit or not request.kind.starts):
                granted = request.attempt(self.fd, request, self.ticket.seat)
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
                self.bell.silence()
            elif first and not ready:
                self._insists_at = 0.0  # also where the clock stands still
            if happened & ENDED:
                self._soon = iter(SOON)
            if happened & (OTHER_RUNG | ENDED):
                self.outlook.observe()
            stuck = not (first or ready) and self.outlook.sees_stuck_queue()

    def _lose_patience(self) -> None:
        """Let newcomers pass no more, once they could for a moment; however often it was rung meanwhile in vain."""
        moment = monotonic()
        self._insists_at = min(self._insists_at, moment + PATIENCE)
        self._insists = moment >= self._insists_at
        if self._insists:
            self.ticket.insist()

    def _pause(self, first: bool, happened: int) -> float | None:
        """Seconds until the next look, if nothing happens before; None if time is up."""
        if first:
            seconds = self.request.kind.pause(self._pause_of_first(happened))
        elif happened & (OTHER_RUNG | ENDED) or self.outlook.was_free:
            seconds = GRACE
        else:
            seconds = self._pause_behind()
        if self.deadline is not None:
            left = self.deadline - monotonic()
            if left <= 0:
                return None
            seconds = min(seconds, left)
        if self.watch is not None:
            seconds = min(seconds, self.watch.look(self.request, self.fd, self.ticket.seat))
        return seconds

    def _pause_of_first(self, happened: int) -> float:
        if not self._insists:
            return max(0.0, self._insists_at - monotonic())
        if (soon := next(self._soon, None)) is not None:
            return soon
        if happened & OTHER_RUNG:  # and if it is not heard there, it would be here again and again
            return GRACE
        return WATCHED if self._listens(first=True) else SAFETY

    def _pause_behind(self) -> float:
        seconds = next(self._behind, None)
        has_looked = seconds is None or seconds > SAFETY_BEHIND[0]
        if has_looked and self._listens(first=False):
            return WATCHED_BEHIND
        return (seconds or SAFETY_BEHIND[-1]) + self.ticket.seat % 16 * 0.01

    def _listens(self, first: bool) -> bool:
        """Listen to what may let it go on; False if that cannot be, or each question is one for a file server."""
        return not self.request.directory.remote and self.sources.watch(*self.outlook.whom_to_hear(first))
