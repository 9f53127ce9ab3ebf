"""One try for a lock, without waiting: take the bytes, read what the file says, write who holds.

The order is the point. The header is read *after* the bytes are locked, so whoever changes the definition
sees every holder that did not see the change, and on NFS the read is fresh: the lock empties the page cache, and what
a delegation may keep there is not read from it (`directories.Directory`).

All modes but shared take one range of bytes. A shared holder takes units of the capacity, as many as its weight.
"""

from __future__ import annotations

import os
from os import pwrite

from .._errors import DefinitionMismatch
from .._file.bytemap import END, PENDING, ROOM, SEATS, UNIT_COUNT, UNITS, UNITS_END
from .._file.byterange import find, find_all, is_free, let_go, try_lock, unlock, write_lock
from .._file.layout import LEAST_TOKEN, MOST_TOKEN, NO_ROOM, UNLIMITED, now, seat_slot, unit_slot
from .._file.lockfile import leave_gate, refresh, take_gate
from .._modes import NULL, ModeRule
from .._queue.tickets import take_seat
from .._request import Grant, Kind, Request
from .agreement import learn, read_terms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._request import Attempt, Pieces

ANY_WAITER = write_lock(PENDING, END)
PATIENCE = 0.001
"""Seconds that the next in turn lets newcomers pass before it makes them queue up behind it."""

LET_GO = unlock(ROOM, SEATS)
_LET_GO_UNITS = unlock(UNITS, UNITS_END)
_TRIES = 4
"""Others may take the gaps we saw; and NFSv3 never shows the read locks that another host has in them."""


def attempt_range(fd: int, request: Request, seat: int | None) -> Grant | None:
    """Try to take the lock through a fresh descriptor; None, and nothing changed, if it is held or closed.

    ``seat`` is the one that a waiter has. After an exception the descriptor must be closed, which undoes everything.
    For every mode but shared, which `attempt_units` is for.
    """
    rule = request.mode
    if rule.lock is not None and not try_lock(fd, rule.lock):
        return None
    head, terms = read_terms(fd, request)
    if not terms.limit and rule is not NULL:
        let_go(fd, LET_GO)
        return None
    moment = now()
    token = last_token(head, request, moment)
    if rule.sole:
        # By the clock, so that it grows also where the record of the last one could not be written.
        token = moment if moment > token else token + 1
        offset = request.slots_start
    else:
        seat = take_seat(fd) if seat is None else seat
        if seat is None:
            let_go(fd, LET_GO)
            return None
        offset = request.slot_offset(seat_slot(seat))
    put_record(fd, request, request.record(moment, token, request.kind.extra), offset)
    return Grant(token, (offset,))


def might_be_had(fd: int, request: Request, seat: int) -> bool:
    """Whether the lock looks free to the waiter in that seat; nothing is taken."""
    limit, rule = request.terms.limit, request.mode
    if not limit:
        return rule is NULL
    free = has_room(fd, request) if rule.counted else rule.lock is None or is_free(fd, rule.lock)
    return free and request.kind.lets(fd, request, seat)


def last_token(head: bytes, request: Request, moment: int) -> int:
    """The token of the last sole holder; the moment if there was none, so that tokens go on growing over a removal."""
    try:
        token = int(head[request.token_span])
    except ValueError:
        return moment
    return token if LEAST_TOKEN <= token < MOST_TOKEN else moment


def put_record(fd: int, request: Request, record: bytes, offset: int) -> None:
    """Write the record that shows this holder or waiter to others, as far as the disk has room for it."""
    try:
        pwrite(fd, record, offset)
        if request.directory.remote:
            os.fsync(fd)  # else no other host sees it before the lock is let go
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise


def attempt_units(fd: int, request: Request, seat: int | None = None) -> Grant | None:
    """As `attempt_range`, but take as many units as the request weighs; and for a moment the gate, if in pieces."""
    if request.weight > 1 and seat is None:
        _refuse_weightless(fd, request)
    while True:
        limit = request.terms.limit
        pieces = _take_units(fd, request, limit)
        if pieces is None:
            if request.directory.remote:
                refresh(fd)
            if learn(fd, request).limit == limit:
                return None
            continue
        head, terms = read_terms(fd, request)
        if pieces[-1][1] <= terms.limit and fits(fd, request.weight, terms.limit):
            break
        let_go(fd, _LET_GO_UNITS)
        if terms.limit == limit:
            return None
    moment = now()
    token = last_token(head, request, moment)
    record = request.record(moment, token)
    places = tuple(request.slot_offset(unit_slot(start)) for start, _ in pieces)
    for place in places:
        put_record(fd, request, record, place)
    request.units = piece_lock(*pieces[0]), pieces
    return Grant(token, places, pieces)


def _take_units(fd: int, request: Request, limit: int) -> Pieces | None:
    if request.units is not None:
        lock, pieces = request.units
        if len(pieces) == 1 and pieces[0][1] <= limit and try_lock(fd, lock):
            return pieces
    return take_units(fd, request.weight, limit)


def piece_lock(start: int, stop: int) -> bytes:
    return write_lock(UNITS + start, UNITS + stop)


def take_units(fd: int, weight: int, limit: int) -> Pieces | None:
    """Lock ``weight`` free units below ``limit``; None if there are not as many."""
    if weight > limit or not may_have_room(fd, limit):
        return None
    span = 4
    while span <= limit - weight:
        # With few holders a guess hits at once; to look at all of them would cost one call each.
        start = int.from_bytes(os.urandom(4)) % span
        if try_lock(fd, piece_lock(start, start + weight)):
            return ((start, start + weight),)
        span *= 4
    return take_lowest(fd, weight, limit)


def may_have_room(fd: int, limit: int) -> bool:
    """Whether there might be a free unit below the limit; certainly not while somebody holds all of them."""
    held = find(fd, piece_lock(0, limit))
    return held is None or held[0] > UNITS or held[1] < UNITS + limit


def has_room(fd: int, request: Request) -> bool:
    """Whether as many units as the request weighs look free.

    Of a pool only its elements count: one that was taken out is held without being one, whatever unit that is.
    """
    limit, places = request.terms.limit, request.terms.definition.places
    if limit == UNIT_COUNT:
        return may_have_room(fd, limit)
    held = [(start - UNITS, stop - UNITS) for start, stop, _ in find_all(fd, UNITS, UNITS_END)]
    if places:
        taken = sum(any(start <= unit < stop for start, stop in held) for _, unit in places)
    else:
        taken = sum(stop - start for start, stop in held)
    return request.weight + taken <= limit


def take_lowest(fd: int, weight: int, limit: int) -> Pieces | None:
    """Lock the lowest free units, in one stretch if there is one, else in several under the gate."""
    for _ in range(_TRIES):
        gaps = _gaps(fd, limit)
        for start, stop in gaps:
            if stop - start >= weight:
                if try_lock(fd, piece_lock(start, start + weight)):
                    return ((start, start + weight),)
                break
        else:
            return _take_pieces(fd, weight, limit) if _size(gaps) >= weight else None
    return None


def _take_pieces(fd: int, weight: int, limit: int) -> Pieces | None:
    """Gather units from several gaps; the gate keeps two gatherers from each holding what the other lacks."""
    if not take_gate(fd):
        return None
    try:
        taken: list[tuple[int, int]] = []
        for start, stop in _gaps(fd, limit):
            stop = min(stop, start + weight - _size(taken))
            if stop > start and try_lock(fd, piece_lock(start, stop)):
                taken.append((start, stop))
        if _size(taken) == weight:
            return tuple(taken)
        let_go(fd, _LET_GO_UNITS)
        return None
    finally:
        leave_gate(fd)


def _gaps(fd: int, limit: int) -> list[tuple[int, int]]:
    gaps, start = [], 0
    for held_start, held_stop, _ in sorted(find_all(fd, UNITS, UNITS + limit)):
        if held_start - UNITS > start:
            gaps.append((start, held_start - UNITS))
        start = max(start, held_stop - UNITS)
    if start < limit:
        gaps.append((start, limit))
    return gaps


def _size(pieces: list[tuple[int, int]]) -> int:
    return sum(stop - start for start, stop in pieces)


def fits(fd: int, weight: int, limit: int) -> bool:
    """Whether all units held by others, and these, are within the limit: it may have been lowered under them."""
    if limit == UNIT_COUNT or is_free(fd, write_lock(UNITS + limit, UNITS_END)):
        return True
    return weight + sum(stop - start for start, stop, _ in find_all(fd, UNITS, UNITS_END)) <= limit


class _Plain(Kind):
    """A plain lock."""

    __slots__ = ()

    def attempt_in(self, mode: ModeRule) -> Attempt:
        return attempt_in(mode)

    def __reduce__(self) -> str:
        return "PLAIN"


PLAIN = _Plain()


def attempt_in(mode: ModeRule) -> Attempt:
    """Return what tries for a plain lock in that mode."""
    return attempt_units if mode.counted else attempt_range


def _refuse_weightless(fd: int, request: Request) -> None:
    """Raise DefinitionMismatch if any number may share the lock, so that to take several units means nothing."""
    if learn(fd, request).limit == UNLIMITED:
        raise DefinitionMismatch(
            f'{request.weight} units of lock "{request.name}" mean nothing: it has no capacity, so that any number'
            " share it; give the capacity too. (To wait so many seconds is a timeout, -t in the shell.)",
            name=request.name,
        )
