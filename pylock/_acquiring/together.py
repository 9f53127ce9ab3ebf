"""Waiting for several locks at once, holding none: in the queue of each, until all are to be had together.

It stands in each queue with seat, ticket and bell, and sleeps on all bells, and on the ends of those who keep it out
of a lock. Whenever one of these wakes it, and now and then for what nothing tells, it looks at all locks:

    none is lacking     it takes them one after the other without waiting, and gives all back if one is refused
    one is lacking      it claims its place in that queue, as who waits for that lock alone
    several are         it yields everywhere: those behind it, and newcomers, pass

Where it was rung and does not start it rings whoever comes next: a bell is a baton.

Those who pass cannot go on doing so for ever. A *round* is over once all who held its locks when the round began have
let go of them. After `ROUNDS` of these it *collects*: it takes the locks one by one in the order in which everybody
does that, holding what it has, which ends as each single wait does. While one of its locks is closed no round ends,
and nothing is collected.

Invariants: a part that is taken has a grant and no ticket, any other has a ticket and no grant.
"""

from __future__ import annotations

from errno import ESTALE
from time import monotonic

from .. import _process as process
from .._deadlock.blocks import blocks_around, forget_block, note_taken, refuse_deadlock
from .._errors import LockError
from .._file.byterange import let_go
from .._file.header import Gone
from .._file.lockfile import is_at
from .._file.removal import finish_removal
from .._modes import NULL
from .._queue.bells import Bell
from .._queue.sources import ENDED, OTHER_RUNG, Sources
from .._queue.tickets import LEAVE_SEATS
from .agreement import learn, learn_anew
from .attempt import LET_GO, might_be_had
from .place import SEAT_PAUSE, Place, free_seat, refuse_child, ring_after, ring_next
from .steps import LONG, Doubt, until_opened, watch_for
from .waiting import SAFETY, SAFETY_BEHIND, SOON, TIME_TO_GO_ON, WATCHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._deadlock.cycles import Watch
    from .._queue.drivers import Steps
    from .._queue.sources import Process
    from .._request import Request
    from .claim import Claim

ROUNDS = 3
"""How often all locks may have changed hands before others have to wait for who waits for several."""
MOST_HEARD = 16
"""Ends and bells that are listened to, as each takes a descriptor of the program's; of more, none."""


def steps_to_grants(claims: tuple[Claim, ...], timeout: float | None, waits_as_task: bool) -> Steps[Claim | None]:
    """Wait until all are granted; once the timeout has passed, return a claim that was lacking."""
    begun = monotonic()
    deadline = None if timeout is None else begun + timeout
    nested = [_is_nested(claim.request, waits_as_task) for claim in claims]
    doubts = [Doubt(claim.request.path) for claim in claims]
    while True:
        for claim, doubt in zip(claims, doubts, strict=True):
            if claim.fd < 0:
                claim.take(tries=False)
            if claim.fd < 0 and not (yield from until_opened(claim, deadline, doubt)):
                return claim
            return_grant(claim)
        queued = monotonic()
        try:
            lacking = yield from _wait(claims, nested, deadline, waits_as_task)
            if lacking is not None or monotonic() - queued < LONG or _all_are_there(claims):
                return lacking
        except Gone:
            for claim, doubt in zip(claims, doubts, strict=True):
                claim.close()
                if not finish_removal(claim.request.path):
                    doubt.looks_wrong()
            if deadline is not None and monotonic() >= deadline:
                return claims[0]
            yield -1, SEAT_PAUSE
        except OSError as error:  # removed on another host
            if error.errno != ESTALE:
                raise
        for claim in claims:
            claim.close()
            claim.grant = None


def _is_nested(request: Request, waits_as_task: bool) -> bool:
    """Whether the caller is inside this lock already, so that it passes the queue. Raises Deadlock."""
    request.check_attainable()
    around = blocks_around(request, waits_as_task)
    refuse_deadlock(request, around)
    return bool(around)


def _all_are_there(claims: tuple[Claim, ...]) -> bool:
    return all(is_at(claim.fd, claim.request.path) for claim in claims)


def return_grant(claim: Claim) -> None:
    """Undo a grant that was not used, and wake who could not have the lock meanwhile; the file stays open."""
    if claim.grant is None:
        return
    undo(claim)
    let_go(claim.fd, LEAVE_SEATS)
    ring_next(claim.fd, claim.request)


def undo(claim: Claim) -> None:
    """Undo a grant that was not used, but keep the seat."""
    fd, request, grant = claim.fd, claim.request, claim.grant
    assert grant is not None
    claim.grant = None
    try:
        if request.kind.gives:
            request.kind.take_back(fd, request, grant)
    except (OSError, LockError):
        pass  # what was given is lost, as with a holder that is killed
    finally:
        let_go(fd, LET_GO)


def _wait(
    claims: tuple[Claim, ...], nested: list[bool], deadline: float | None, waits_as_task: bool
) -> Steps[Claim | None]:
    mark = process.current()
    parts: list[_Part] = []
    bells: list[Bell] = []
    sources = Sources(bells)
    lacking: Claim | None = claims[0]
    try:
        for claim, passes in zip(claims, nested, strict=True):
            learn(claim.fd, claim.request)
            seat = yield from free_seat(claim.fd, deadline)
            if seat is None:
                return claim
            part = _Part(claim, Place(claim.fd, claim.request, seat, passes), waits_as_task)
            parts.append(part)
            bells.append(part.place.bell)
            part.queue_up()
        lacking = yield from _Waiter(parts, sources, deadline).turns()
        return lacking
    finally:
        refuse_child(mark, claims[0].request)
        try:
            sources.close()
        finally:
            _leave_all(parts, lacking is None)


def _leave_all(parts: list[_Part], granted: bool) -> None:
    """Leave each queue; what a signal handler raises meanwhile keeps us in none."""
    try:
        while parts:
            parts.pop().leave(granted)
    finally:
        if parts:
            _leave_all(parts, granted)


class _Part:
    """One of the locks, and its waiter's place there."""

    __slots__ = ("_at_start", "_passes", "_waits_as_task", "claim", "place", "request", "rung", "watch")

    watch: Watch | None

    def __init__(self, claim: Claim, place: Place, waits_as_task: bool) -> None:
        self.claim = claim
        self.place = place
        self.request = claim.request
        self._passes = False
        """Whether those before it are stuck, and are passed."""
        self._waits_as_task = waits_as_task
        self.rung = False
        self._at_start: frozenset[bytes] = frozenset()
        """The records of those who held it when the round began; empty once they have all let go."""

    @property
    def is_closed(self) -> bool:
        return not self.request.terms.limit and self.request.mode is not NULL

    def queue_up(self) -> None:
        self.watch = watch_for(self.request, self._waits_as_task)
        self.place.take(self.watch)

    def sign(self) -> None:
        """Write the record of a waiter anew, with what it holds by now."""
        self.watch = watch_for(self.request, self._waits_as_task)
        self.place.sign(self.watch)

    def learn(self) -> None:
        learn_anew(self.place.fd, self.request)
        self.request.check_attainable()

    def is_to_be_had(self) -> bool:
        """Whether it looks as if it could be taken now."""
        return (self._passes or self.place.is_first()) and might_be_had(self.place.fd, self.request, self.place.seat)

    def wake(self, ready: bool, happened: int) -> None:
        """Take note of what happened during a sleep."""
        self.rung = self.place.bell.silence()
        if happened & (OTHER_RUNG | ENDED):
            self.place.outlook.observe()
        waits_in_vain = not ready and self.claim.grant is None and not self.place.is_first()
        self._passes = waits_in_vain and self.place.outlook.sees_stuck_queue()

    def take(self) -> bool:
        self.claim.grant = self.request.attempt(self.place.fd, self.request, self.place.seat)
        return self.claim.grant is not None

    def undo(self) -> None:
        undo(self.claim)
        if self.request.mode.seated:
            self.sign()  # where the record of the holder was

    def stand(self, claims_place: bool) -> None:
        """Claim the place in the queue or yield it; who was kept waiting by us and is not any more is rung."""
        if claims_place:
            self.place.ticket.claim_place()
            self.place.ticket.insist()
        elif not self.place.ticket.yields:
            self.place.ticket.yield_place()
            self.rung = True

    def pass_baton(self) -> None:
        if self.rung:
            self.rung = False
            ring_after(self.place.fd, self.request, self.place.ticket.number)

    def begin_round(self) -> None:
        self._at_start = self.place.outlook.records_of_holders()

    def has_moved(self) -> bool:
        """Whether all who held the lock when the round began have let go; a closed one does not move."""
        if self._at_start and self._at_start.isdisjoint(self.place.outlook.records_of_holders()):
            self._at_start = frozenset()
        return not self._at_start and not self.is_closed

    def leave(self, granted: bool) -> None:
        """As who waits for one lock leaves its queue."""
        try:
            if not granted:
                if self.claim.grant is not None:
                    undo(self.claim)
                forget_block(self.claim)
        finally:
            self.place.leave(granted)


class _Waiter:
    """One who waits for several locks, from its first look to its grants."""

    __slots__ = ("_behind", "_collects", "_deadline", "_parts", "_rounds", "_soon", "_sources")

    def __init__(self, parts: list[_Part], sources: Sources, deadline: float | None) -> None:
        self._parts = parts
        self._sources = sources
        self._deadline = deadline
        self._rounds = 0
        self._collects = False
        self._soon: Iterator[float] = iter(())
        self._behind = iter(SAFETY_BEHIND)

    def turns(self) -> Steps[Claim | None]:
        """Look whenever something happens; return None once all are taken, or one that is lacking when time is up."""
        happened = 0
        for part in self._parts:
            part.begin_round()
        while True:
            for part in self._parts:
                part.learn()
            lacking = self._collect() if self._collects else self._take_all()
            if not lacking:
                return None
            waiting = [part for part in self._parts if part.claim.grant is None]
            alone = lacking[0] if len(lacking) == 1 and not lacking[0].is_closed else None
            for part in waiting:
                part.stand(part is alone)
            for part in waiting:
                if part is not alone:
                    part.pass_baton()
                part.rung = False
            if not self._collects and self._is_passed_too_often(lacking):
                self._collects = True
                continue
            seconds = self._pause(lacking, happened)
            if seconds is None:
                return lacking[0].claim
            if self._sources.are_new():
                continue
            ready = yield self._sources.watched, seconds
            happened = self._sources.take() if ready else 0
            if happened & ENDED:
                self._soon = iter(SOON)
            for part in self._parts:
                part.wake(ready, happened)

    def _take_all(self) -> list[_Part]:
        """Take all of them, or none; return those that are lacking."""
        lacking = [part for part in self._parts if not part.is_to_be_had()]
        if lacking:
            return lacking
        taken: list[_Part] = []
        for part in self._parts:
            if not part.take():
                for other in reversed(taken):
                    other.undo()
                    other.rung = True  # somebody may have come in vain meanwhile
                return [part]
            taken.append(part)
        return []

    def _collect(self) -> list[_Part]:
        """Take them in the common order as far as they are to be had, and keep them; return the first that is not."""
        if any(part.is_closed and part.claim.grant is None for part in self._parts):
            self._stop_collecting()
            return self._take_all()
        for part in self._parts:
            if part.claim.grant is None:
                if not (part.is_to_be_had() and part.take()):
                    return [part]
                part.place.ticket.step_out()
                note_taken(part.claim)  # who waits for the rest cannot let go of this
                ring_next(part.place.fd, part.request, part.request.mode)
                for other in self._parts:
                    if other.claim.grant is None:
                        other.sign()
        for part in self._parts:
            forget_block(part.claim)
        return []

    def _stop_collecting(self) -> None:
        """Give all back: a closed lock is to stop nobody who does not use it."""
        self._collects, self._rounds = False, 0
        for part in self._parts:
            if part.claim.grant is not None:
                forget_block(part.claim)
                undo(part.claim)
                part.place.ticket.step_in()
                part.place.ticket.yield_place()
                part.rung = True
        for part in self._parts:
            part.sign()
            part.begin_round()

    def _is_passed_too_often(self, lacking: list[_Part]) -> bool:
        if all(part.is_to_be_had() for part in lacking):
            return False  # it is the clock that a timestamp waits for, and nobody
        moved = [part.has_moved() for part in self._parts]  # each notes it by being asked
        if all(moved):
            self._rounds += 1
            for part in self._parts:
                part.begin_round()
        return self._rounds >= ROUNDS and not any(part.is_closed for part in self._parts)

    def _pause(self, lacking: list[_Part], happened: int) -> float | None:
        """Seconds until the next look, if nothing happens before; None if time is up."""
        seconds = self._pause_of(lacking, happened)
        for part in lacking:
            seconds = part.request.kind.pause(seconds)
        if self._deadline is not None:
            left = self._deadline - monotonic()
            if left <= 0:
                return None
            seconds = min(seconds, left)
        for part in self._parts:
            if part.watch is not None and part.claim.grant is None:
                seconds = min(seconds, part.watch.look(part.request, part.place.fd, part.place.seat))
        return seconds

    def _pause_of(self, lacking: list[_Part], happened: int) -> float:
        """As who waits for one of them alone; but who yields has others to count as they pass, each second."""
        if (soon := next(self._soon, None)) is not None:
            return soon
        first = [part.place.is_first() for part in lacking]
        if happened & OTHER_RUNG or (
            not all(first) and (happened & ENDED or any(part.place.outlook.was_free for part in lacking))
        ):
            return TIME_TO_GO_ON
        if self._listens(lacking, first):
            return WATCHED
        if len(lacking) == 1 and first[0]:
            return SAFETY
        return next(self._behind, SAFETY_BEHIND[-1]) + lacking[0].place.seat % 16 * 0.01

    def _listens(self, lacking: list[_Part], first: list[bool]) -> bool:
        """Listen to what keeps it out of each; False if that cannot be, or each question is one for a file server."""
        processes: set[Process | None] = set()
        bells: set[str] = set()
        for part, is_first in zip(lacking, first, strict=True):
            if part.request.directory.remote or len(processes) + len(bells) > MOST_HEARD:
                return False
            more = part.place.outlook.whom_to_hear(is_first)
            processes.update(more[0])
            bells.update(more[1])
        return len(processes) + len(bells) <= MOST_HEARD and self._sources.watch(processes, bells)
