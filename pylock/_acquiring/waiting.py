"""Waiting in the queue of a lock, as steps that `drivers` drives: written once for threads and for asyncio."""

from __future__ import annotations

import os
from time import monotonic

from .. import _process as process
from .._errors import NotHeld
from .._file.bytemap import UNIT_COUNT, UNITS
from .._file.byterange import find, find_all, is_free, let_go, write_lock
from .._file.layout import SLOT_SIZE, now, process_in, seat_slot, unit_slot, where_text
from .._file.lockfile import refresh
from .._file.records import forget_words
from .._modes import ANY_HOLDER, EXCLUSIVE
from .._queue.bells import Bell, is_unheard, ring
from .._queue.sources import ENDED, OTHER_RUNG, RUNG, Process, Sources
from .._queue.tickets import Ticket, leave_queue, seat_to_ring, take_seat
from .agreement import learn
from .attempt import PATIENCE, may_have_room, put_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._deadlock.cycles import Watch
    from .._modes import ModeRule
    from .._queue.drivers import Steps
    from .._request import Grant, Request, Terms

SAFETY = 0.125
"""Seconds between two looks of the next in turn, where something may happen that nothing tells, as on another host."""
SAFETY_BEHIND = (0.1, 0.2, 0.4, 0.5)
"""Seconds between two looks of those who stand further back; the last one again and again."""
WATCHED, WATCHED_BEHIND = 1.0, 10.0
"""The same where everything that may happen wakes the waiter."""
_ALL_UNITS = write_lock(UNITS, UNITS + UNIT_COUNT)
_MOST_WATCHED = 8
"""Holders of a counted lock whose ends are listened to."""
_LATELY = 1.0
"""Seconds for which what was seen of the queue may be compared with what is seen now."""
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
    sources = Sources(bell)
    try:
        bell.hang(request.directory.file_mode)  # before the ticket: who sees that may ring
        record = request.record(now(), None, note_of(request, nested, watch))
        put_record(fd, request, record, request.slot_offset(seat_slot(seat)))
        ticket = Ticket(fd, request.mode.lane, request.priority, seat)
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
                _leave(fd, request, granted is not None)


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

    It sleeps until its bell rings. Who is next lets newcomers pass for a moment, and then insists; from then on it
    listens to the ends of those who hold. Who stands further back listens to the one before it: to its end, and to its
    bell, as one that was rung and does not go on is stopped, and is passed; and who is second to the holders too, as
    the first may be stopped when they end. Where all of that can be listened to, a look without a cause is only for
    what nobody has thought of; else, as on another host, it is what finds out.

    Invariants: the bell hangs and the ticket is held as long as this lives, so that who lets go finds them.
    """

    __slots__ = (
        "_behind", "_fronts", "_heard", "_hurry", "_listens_anew", "_observed", "_patient", "_was_free", "bell",
        "deadline", "fd", "nested", "request", "sources", "ticket", "watch",
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
        self._patient = False
        self._hurry = SAFETY
        """Seconds to the next look after an end, when the kernel may still be letting go of what that held."""
        self._behind = iter(SAFETY_BEHIND)
        self._observed = 0.0
        self._fronts: list[int] = []
        self._was_free = False
        self._heard: object = None
        """Whom it listens to, besides its own bell."""
        self._listens_anew = False
        """Whether it listens to others than when it looked: what befell them meanwhile, it has not heard."""

    def turns(self) -> Steps[Grant | None]:
        """Try whenever it is this waiter's turn; return the grant, or None once time is up."""
        request = self.request
        stuck, happened = False, 0
        while True:
            terms = self._terms_now()
            request.check_attainable()
            first = self.nested or self.ticket.is_first(terms.fair)
            if (first or stuck) and (terms.limit or not request.kind.starts):
                granted = request.attempt(self.fd, request, self.ticket.seat)
                if granted:
                    return granted
            seconds = self._pause(first, happened)
            if seconds is None:
                return None
            if self._listens_anew:
                self._listens_anew = stuck = False
                continue
            ready = yield self.sources.fd, seconds
            happened = self.sources.take() if ready else 0
            if happened & RUNG:
                self.bell.silence()
            elif first and not ready:
                self._patient = True
                self.ticket.insist()
            if happened & ENDED:
                self._hurry = PATIENCE
            stuck = not first and not ready and self._sees_stuck_queue(terms.fair)
            if happened & (OTHER_RUNG | ENDED):
                self._observe(terms.fair)

    def _terms_now(self) -> Terms:
        """Read the terms; a closed lock is not tried, as to take it for a moment would look like holding it."""
        terms = learn(self.fd, self.request)
        if not terms.limit and self.request.directory.remote:
            refresh(self.fd)
            terms = learn(self.fd, self.request)
        return terms

    def _pause(self, first: bool, happened: int) -> float | None:
        """Seconds until the next look, if nothing happens before; None if time is up."""
        if first:
            seconds = self.request.kind.pause(self._pause_of_first())
        elif happened & (OTHER_RUNG | ENDED) or self._was_free:
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

    def _pause_of_first(self) -> float:
        if not self._patient:
            return PATIENCE
        if self._hurry < SAFETY:
            self._hurry *= 2
            return self._hurry / 2
        is_remote = self.request.directory.remote  # where each question is one for the file server
        return WATCHED if not is_remote and self._listens(self._holders(), ()) else SAFETY

    def _pause_behind(self) -> float:
        seconds = next(self._behind, None)
        has_looked = seconds is None or seconds > SAFETY_BEHIND[0]
        if has_looked and not self.request.directory.remote:
            seats = self.ticket.predecessors()
            before = [self._who_wrote(seat_slot(seat)) for seat in seats]
            if set(seats) & set(self.ticket.fronts(self.request.terms.fair)):
                before += self._holders()
            if self._listens(before, seats):
                return WATCHED_BEHIND
        return (seconds or SAFETY_BEHIND[-1]) + self.ticket.seat % 16 * 0.01

    def _listens(self, processes: list[Process | None], seats: Sequence[int]) -> bool:
        """Listen to the ends of these, and to the bells in these seats; False if one cannot be listened to."""
        if self._heard != (processes, seats):
            self._heard, self._listens_anew = (processes, seats), True
        return self.sources.watch(processes, self.request.path, seats)

    def _holders(self) -> list[Process | None]:
        """Who holds what is waited for, as far as it is the sole holder or has units; None for others."""
        if is_free(self.fd, ANY_HOLDER):
            return []
        held = find(self.fd, _ALL_UNITS)
        if held is None:
            return [None]
        if held[1] - held[0] >= UNIT_COUNT:
            return [self._who_wrote(0) if held[2] else None]
        units = [start - UNITS for start, stop, _ in find_all(self.fd, UNITS, UNITS + UNIT_COUNT) if start >= UNITS]
        if len(units) > _MOST_WATCHED:
            return [None]
        return [self._who_wrote(unit_slot(unit)) for unit in units]

    def _who_wrote(self, slot: int) -> Process | None:
        """Who shows itself in that slot; None if that is not known, or it is none of this host and namespace."""
        record = os.pread(self.fd, SLOT_SIZE, self.request.slot_offset(slot))
        me = process.identity()
        return process_in(record, where_text(me.host, me.boot, me.namespace))

    def _sees_stuck_queue(self, fair: bool) -> bool:
        """Whether those in front neither heard the bell that was rung by the last look, nor took the free lock."""
        path, before, was_free = self.request.path, self._fronts, self._was_free
        lately = monotonic() - self._observed < _LATELY
        self._observe(fair)
        if (
            lately
            and self._fronts == before
            and ((was_free and self._was_free) or all(is_unheard(path, seat) for seat in self._fronts))
        ):
            return True
        if self._might_be_granted():
            for seat in self._fronts:
                ring(path, seat)
        return False

    def _observe(self, fair: bool) -> None:
        """Note how it stands, to compare it with how it stands after a while."""
        self._observed = monotonic()
        self._fronts = self.ticket.fronts(fair)
        self._was_free = is_free(self.fd, ANY_HOLDER) and self.request.terms.limit > 0

    def _might_be_granted(self) -> bool:
        """Whether only the queue is in the way."""
        request = self.request
        if request.mode.lock is not None:
            return is_free(self.fd, request.mode.lock)
        return request.terms.limit > 0 and may_have_room(self.fd, request.terms.limit)
