"""The queue of one lock: seats, tickets, and whose turn it is. All of it is kernel locks, so a dead waiter is gone.

A *seat* is a small number that one contender has for itself: it names its record and its bell.
A *ticket* is a place in the queue: (priority class, arrival, seat) as one number, and the byte at that offset is
locked for as long as its owner waits. The lowest ticket is next. There are two lanes, one for sole modes and one for
sharing modes, because policy shared-first lets sharing requests pass sole ones but not each other.

Once the first of a lane has waited a moment it takes the lane's PENDING byte, which makes newcomers queue up.

Who waits for several locks stands in the queue of each, and *yields* where it could not use the lock, as it lacks
others: it keeps its ticket and is rung in its turn, but those behind it, and newcomers, go as if it were not there.
"""

from __future__ import annotations

import os
from time import time_ns

from .._file.bytemap import (
    ARRIVAL_SHIFT,
    CLASS_SHIFT,
    END,
    EXCLUSIVE_LANE,
    LANE_BASES,
    LAST_PRIORITY,
    PENDING,
    SEAT_COUNT,
    SEATS,
    SHARING_LANE,
    UNITS,
    UNITS_END,
    YIELDING,
)
from .._file.byterange import byte_lock, find, find_all, find_lowest, is_free, let_go, try_lock, unlock, write_lock
from .._modes import ANY_HOLDER, ModeRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ARRIVAL_EPOCH = 1_577_836_800_000  # ms: 2020-01-01, so that 41 bits last until 2089
_ARRIVAL_MASK = (1 << (CLASS_SHIFT - ARRIVAL_SHIFT)) - 1
_LANE_STOPS = (LANE_BASES[1], END)

_MOST = END - LANE_BASES[1]
"""Above every ticket."""
_ANY_UNIT_HOLDER = write_lock(UNITS, UNITS_END)
_ANY_PENDING = write_lock(PENDING, PENDING + 2)
_LANE_PENDING = tuple(byte_lock(PENDING + lane) for lane in (EXCLUSIVE_LANE, SHARING_LANE))
_LANE_QUEUES = tuple(
    write_lock(base + (1 << CLASS_SHIFT), stop) for base, stop in zip(LANE_BASES, _LANE_STOPS, strict=True)
)
LEAVE_SEATS = unlock(SEATS, SEATS + SEAT_COUNT)
_LEAVE_QUEUE, _LEAVE_SEAT_AND_QUEUE = unlock(YIELDING, END), unlock(SEATS, END)


class Ticket:
    """A waiter's place in the queue, held through the descriptor ``fd`` until `leave_queue`."""

    __slots__ = ("_before_here", "_before_there", "fd", "lane", "number", "pending", "seat", "yields")

    def __init__(self, fd: int, lane: int, priority: int, seat: int) -> None:
        self.fd = fd
        self.lane = lane
        self.seat = seat
        self.number = _take_number(fd, lane, LAST_PRIORITY + 1 - priority, seat)
        self.pending = False
        self.yields = False
        # What stands before it in its own lane and in the other one, made here, as it is asked for after each ring.
        self._before_here, self._before_there = (
            write_lock(_lane_start(each), self._stop_in(each)) for each in (lane, 1 - lane)
        )

    def is_first(self, fair: bool) -> bool:
        """Whether it is this waiter's turn, by the policy."""
        return self._leads(self.lane, self._before_here) and (
            not self._yields_to_other_lane(fair) or self._leads(1 - self.lane, self._before_there)
        )

    def _leads(self, lane: int, before: bytes) -> bool:
        """Whether nobody stands before it in the lane who would not let it pass."""
        return is_free(self.fd, before) or not any(_insisting(self.fd, lane, self.number))

    def fronts(self, fair: bool) -> list[int]:
        """The seats of those whose turn it is, for want of which this waiter has to wait."""
        lanes = (self.lane, 1 - self.lane) if self._yields_to_other_lane(fair) else (self.lane,)
        fronts = (_first_insisting(self.fd, lane, self.number) for lane in lanes)
        return [front % SEAT_COUNT for front in fronts if front is not None]

    def _yields_to_other_lane(self, fair: bool) -> bool:
        # shared-first: sharing requests join present holders, whatever waits in the other lane.
        return fair or self.lane == EXCLUSIVE_LANE or is_free(self.fd, ANY_HOLDER)

    def _stop_in(self, lane: int) -> int:
        return LANE_BASES[lane] + self.number

    def predecessors(self) -> list[int]:
        """The seats of those who stand directly before this waiter, in each lane."""
        found = (_find_last(self.fd, _lane_start(lane), self._stop_in(lane)) for lane in (self.lane, 1 - self.lane))
        return [last % SEAT_COUNT for last in found if last is not None]

    def directly_behind(self) -> list[int]:
        """The seats of those who stand directly behind this waiter, in each lane."""
        found = (first_waiter(self.fd, lane, self.number) for lane in (self.lane, 1 - self.lane))
        return [first % SEAT_COUNT for first in found if first is not None]

    def insist(self) -> None:
        """Make newcomers queue up from now on; does nothing while an earlier waiter still does so."""
        self.pending = self.pending or try_lock(self.fd, _LANE_PENDING[self.lane])

    def yield_place(self) -> None:
        """Let those behind, and newcomers, pass from now on."""
        if not self.yields:
            self.yields = try_lock(self.fd, _yielding(self.seat))
            if self.pending:
                self.pending = False
                let_go(self.fd, unlock(PENDING + self.lane, PENDING + self.lane + 1))

    def claim_place(self) -> None:
        """Keep those behind waiting from now on."""
        if self.yields:
            self.yields = False
            let_go(self.fd, unlock(YIELDING + self.seat, YIELDING + self.seat + 1))

    def step_out(self) -> None:
        """Give up the place for as long as the lock is held, but keep the seat."""
        self.yields = self.pending = False
        let_go(self.fd, _LEAVE_QUEUE)

    def step_in(self) -> None:
        """Take the place again, which nobody else can have taken: the seat is part of its number."""
        place = LANE_BASES[self.lane] + self.number
        try_lock(self.fd, byte_lock(place))


def _lane_start(lane: int) -> int:
    return LANE_BASES[lane] + (1 << CLASS_SHIFT)


def _take_number(fd: int, lane: int, priority_class: int, seat: int) -> int:
    """Lock a byte above all that wait in the same class, in either lane."""
    arrival = _ARRIVAL_MASK & (time_ns() // 1_000_000 - _ARRIVAL_EPOCH)
    while True:
        arrival = _after_all(fd, priority_class, arrival)
        number = priority_class << CLASS_SHIFT | arrival << ARRIVAL_SHIFT | seat
        if try_lock(fd, byte_lock(LANE_BASES[lane] + number)):
            return number


def _after_all(fd: int, priority_class: int, arrival: int) -> int:
    """Return the arrival, or one above the latest in the class if there are later ones; found by bisection.

    Arrivals run ahead of the clock where more than a thousand come in a second.
    """
    start, stop = priority_class << CLASS_SHIFT, priority_class + 1 << CLASS_SHIFT

    def later_than(moment: int) -> int | None:
        found = _find_from(fd, start + (moment << ARRIVAL_SHIFT), stop)
        return None if found is None else found - start >> ARRIVAL_SHIFT

    latest = later_than(arrival)
    if latest is None:
        return arrival
    step = 1
    while (later := later_than(latest + step)) is not None:
        latest, step = later, step * 2
    while step > 1:
        step //= 2
        if (later := later_than(latest + step)) is not None:
            latest = later
    return latest + 1


def _find_last(fd: int, start: int, stop: int) -> int | None:
    """Return where the last lock of somebody else between start and stop begins.

    The kernel tells any one. So from each that it told, a look goes from the end back, twice as far each time.
    """
    last = None
    while start < stop and (held := find(fd, write_lock(start, stop))):
        last, start = held[0], held[1]
        step = 1 << ARRIVAL_SHIFT
        while step < stop - start:
            if held := find(fd, write_lock(stop - step, stop)):
                last, start = held[0], held[1]
                break
            step *= 2
    return last


def _find_from(fd: int, start: int, stop: int) -> int | None:
    for base in LANE_BASES:
        if held := find(fd, write_lock(base + start, base + stop)):
            return held[0] - base
    return None


def take_seat(fd: int) -> int | None:
    """Lock a free seat and return its number: a low one, found without looking at all that are taken.

    None if all are taken, as they are while somebody removes the file.
    """
    span = 1
    for _ in range(30):
        seat = int.from_bytes(os.urandom(2)) % span
        if try_lock(fd, byte_lock(SEATS + seat)):
            return seat
        span = min(span * 4, SEAT_COUNT)
    return None


def all_seats(fd: int) -> Iterator[int]:
    """Find every seat that somebody else has, in no order."""
    for start, stop, _ in find_all(fd, SEATS, SEATS + SEAT_COUNT):
        if stop - start == 1:
            yield start - SEATS


def leave_queue(fd: int, keep_seat: bool) -> None:
    let_go(fd, _LEAVE_QUEUE if keep_seat else _LEAVE_SEAT_AND_QUEUE)


def _yielding(seat: int) -> bytes:
    return byte_lock(YIELDING + seat)


def is_yielding(fd: int, seat: int) -> bool:
    """Whether the waiter in the seat, who is somebody else, lets others pass."""
    return not is_free(fd, _yielding(seat))


def _insisting(fd: int, lane: int, stop: int) -> Iterator[int]:
    """Find the tickets below ``stop`` of those in the lane who let nobody pass, in no order."""
    for start, end, _ in find_all(fd, _lane_start(lane), LANE_BASES[lane] + stop):
        ticket = start - LANE_BASES[lane]
        if end - start > 1 or not is_yielding(fd, ticket % SEAT_COUNT):
            yield ticket


def _first_insisting(fd: int, lane: int, stop: int) -> int | None:
    """Return the lowest of these tickets, without looking at all of them: who waits in a long queue asks often."""
    start = _lane_start(lane)
    while held := find_lowest(fd, start, LANE_BASES[lane] + stop):
        ticket = held[0] - LANE_BASES[lane]
        if not is_yielding(fd, ticket % SEAT_COUNT):
            return ticket
        start = held[1]
    return None


def may_skip_queue(fd: int, mode: ModeRule, fair: bool) -> bool:
    """Whether a newcomer may try for the lock although somebody waits."""
    if fair:
        return not any(any(_insisting(fd, lane, _MOST)) for lane in (EXCLUSIVE_LANE, SHARING_LANE))
    if mode.sole:
        return is_free(fd, _ANY_PENDING)
    if not is_free(fd, _LANE_PENDING[SHARING_LANE]):
        return False
    return is_free(fd, _LANE_PENDING[EXCLUSIVE_LANE]) or not is_free(fd, ANY_HOLDER)


def first_waiter(fd: int, lane: int, after: int = 0) -> int | None:
    """Return the lowest ticket of somebody else in the lane, above ``after``."""
    start = LANE_BASES[lane] + after + 1 if after else _lane_start(lane)
    held = find(fd, write_lock(start, _LANE_STOPS[lane]) if after else _LANE_QUEUES[lane])
    if held is None:
        return None
    lower = find_lowest(fd, start, held[0])
    return (lower or held)[0] - LANE_BASES[lane]


def seat_to_ring(fd: int, fair: bool, holding: ModeRule | None, after: int = 0) -> int | None:
    """Return the seat of the waiter who might be granted the lock now, None if nobody can.

    ``holding`` is the mode held through fd, which the kernel does not report to its owner. ``after`` is the ticket of
    one who was rung and cannot use the lock.
    """
    while True:
        sole = first_waiter(fd, EXCLUSIVE_LANE, after)
        seat = _next_seat(fd, fair, holding, sole, first_waiter(fd, SHARING_LANE, after))
        if seat is not None or sole is None or not is_yielding(fd, sole % SEAT_COUNT):
            return seat
        after = sole


def _next_seat(fd: int, fair: bool, holding: ModeRule | None, sole: int | None, sharing: int | None) -> int | None:
    """Of the first of each lane, return the seat of the one who might be granted the lock."""
    if sharing is not None:
        if sole is None or sharing < sole:
            return sharing % SEAT_COUNT
        if not fair and (holding is not None or not is_free(fd, ANY_HOLDER)):
            return sharing % SEAT_COUNT
    # One of the highest priority may be converting a hold of its own, which others see as a holder.
    if sole is not None and (
        sole >> CLASS_SHIFT == 1 or ((holding is None or "PW" in holding.compatible) and is_free(fd, _ANY_UNIT_HOLDER))
    ):
        return sole % SEAT_COUNT
    return None


def all_tickets(fd: int) -> Iterator[tuple[int, int]]:
    """Find the (ticket, lane) of every waiter but this one, in no order."""
    for lane in (EXCLUSIVE_LANE, SHARING_LANE):
        for start, stop, _ in find_all(fd, _lane_start(lane), _LANE_STOPS[lane]):
            if stop - start == 1:  # else somebody removes the file
                yield start - LANE_BASES[lane], lane
