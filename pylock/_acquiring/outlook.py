"""What a waiter sees from its place in the queue of one lock: who holds it, who stands before it, who is stuck there.

It is asked for whenever the waiter is about to sleep, so as to know whose end, or whose bell, must wake it; and after a
sleep in which nothing happened, as one that was rung and does not go on is stopped, and is passed.
"""

from __future__ import annotations

import os
from time import monotonic

from .. import _process as process
from .._file.bytemap import UNIT_COUNT, UNITS, UNITS_END
from .._file.byterange import find, find_all, is_free, write_lock
from .._file.layout import SLOT_SIZE, process_in, seat_slot, unit_slot, where_text
from .._modes import ANY_HOLDER
from .._queue.bells import bell_path, is_unheard, ring
from .._queue.tickets import all_seats
from .._request import TOKEN_START
from .attempt import might_be_had

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._queue.sources import Process
    from .._queue.tickets import Ticket
    from .._request import Request

_ALL_UNITS = write_lock(UNITS, UNITS_END)
_MOST_WATCHED = 8
"""Holders whose ends are listened to, as each takes a descriptor of the program's; of more, none."""
_LATELY = 1.0
"""Seconds for which what was seen of the queue may be compared with what is seen now."""


class Outlook:
    """What one waiter sees, and what it saw when it last looked who stands before it."""

    __slots__ = ("_fd", "_fronts", "_nested", "_observed", "_request", "_ticket", "was_free")

    def __init__(self, fd: int, request: Request, ticket: Ticket, nested: bool) -> None:
        self._fd = fd
        self._nested = nested
        """Whether it goes past the queue, so that none of those in it counts."""
        self._request = request
        self._ticket = ticket
        self._observed = 0.0
        self._fronts: list[int] = []
        self.was_free = False
        """Whether the lock was free for those before it, and they had not taken it."""

    def whom_to_hear(self, first: bool) -> tuple[list[Process | None], list[str]]:
        """Whose ends let this waiter go on, None for one that is not known; and whose bells say that it is their turn.

        Each hears the one before it. Who is first hears the holders; and who is second as well, as the first may be
        stopped when they end. Also who is first may have somebody before it, who waits for another mode.
        """
        seats = [] if self._nested else self._ticket.predecessors()
        if not (first or seats):  # who kept it from being first has gone meanwhile, perhaps without a word
            return [None], []
        processes = [self._writer(self._record(seat_slot(seat))) for seat in seats]
        if first or set(seats) & set(self._ticket.fronts(self._request.terms.fair)):
            processes += self._holders()
        return processes, [bell_path(self._request.path, seat) for seat in seats]

    def _holders(self) -> list[Process | None]:
        """Who holds what is waited for: those with units, or, if there are none, those with seats. None: not known.

        Those with seats need not be heard while others have units: once one of these is gone, the waiter looks anew.
        """
        if is_free(self._fd, ANY_HOLDER):
            return []
        held = find(self._fd, _ALL_UNITS)
        if held is None or (_is_whole(held) and not held[2]):
            records = [record for record in map(self._record, self._seat_slots()) if _is_of_holder(record)]
        elif _is_whole(held):
            records = [self._record(0)]
        else:
            units = [unit for unit, _, _ in find_all(self._fd, UNITS, UNITS_END) if unit >= UNITS]
            slots = [unit_slot(unit - UNITS) for unit in units]
            records = [self._record(slot) for slot in slots] if len(slots) <= _MOST_WATCHED else []
        return [self._writer(record) for record in records] if 0 < len(records) <= _MOST_WATCHED else [None]

    def _writer(self, record: bytes) -> Process | None:
        """Who shows itself so; None if that is not known, or it is none of this host and namespace."""
        me = process.identity()
        return process_in(record, where_text(me.host, me.boot, me.namespace))

    def _record(self, slot: int) -> bytes:
        return os.pread(self._fd, SLOT_SIZE, self._request.slot_offset(slot))

    def records_of_holders(self) -> frozenset[bytes]:
        """The records of all who hold the lock: each grant has one that is like no other."""
        slots = self._seat_slots()
        for held in find_all(self._fd, UNITS, UNITS_END):
            if not _is_whole(held):
                slots.add(unit_slot(held[0] - UNITS))
            elif held[2]:
                slots.add(0)
        return frozenset(record for record in map(self._record, slots) if _is_of_holder(record))

    def _seat_slots(self) -> set[int]:
        return {seat_slot(seat) for seat in all_seats(self._fd)}

    def sees_stuck_queue(self) -> bool:
        """Whether those in front neither heard the bell that was rung by the last look, nor took the free lock."""
        path, before, was_free = self._request.path, self._fronts, self.was_free
        lately = monotonic() - self._observed < _LATELY
        self.observe()
        if (
            lately
            and self._fronts == before
            and ((was_free and self.was_free) or all(is_unheard(path, seat) for seat in self._fronts))
        ):
            return True
        if might_be_had(self._fd, self._request, self._ticket.seat):  # only the queue is in the way
            for seat in self._fronts:
                ring(path, seat)
        return False

    def observe(self) -> None:
        """Note how it stands, to compare it with how it stands after a while."""
        terms = self._request.terms
        self._observed = monotonic()
        self._fronts = self._ticket.fronts(terms.fair)
        self.was_free = is_free(self._fd, ANY_HOLDER) and terms.limit > 0


def _is_whole(held: tuple[int, int, bool]) -> bool:
    """Whether these are all units at once."""
    return held[1] - held[0] >= UNIT_COUNT


def _is_of_holder(record: bytes) -> bool:
    """Whether it has a token, as who only waits has none."""
    return record[TOKEN_START : TOKEN_START + 1].isdigit()
