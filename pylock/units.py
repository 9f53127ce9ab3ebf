"""Units of capacity: one try for a shared lock. A shared holder holds as many of them as its weight."""

from __future__ import annotations

import os
from os import pread

from .bytemap import UNIT_COUNT, UNITS
from .byterange import find, find_all, is_free, let_go, try_lock, unlock, write_lock
from .grants import last_token, put_record
from .layout import now, unit_slot
from .lockfile import leave_gate, refresh, take_gate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .grants import Grant, Pieces
    from .request import Request

_END = UNITS + UNIT_COUNT
_LET_GO_UNITS = unlock(UNITS, _END)
_TRIES = 4
"""Others may take the gaps we saw; and NFSv3 never shows the read locks that another host has in them."""


def attempt_units(fd: int, request: Request, seat: int | None = None) -> Grant | None:
    """As `grants.attempt_range`, but take as many units as the request weighs, and touch no other bytes."""
    if request.weight > 1 and seat is None:
        request.refuse_weightless(fd)
    while True:
        limit = request.terms.limit
        pieces = _take_units(fd, request, limit)
        if pieces is None:
            if request.directory.remote:
                refresh(fd)
            if request.learn(fd).limit == limit:
                return None
            continue
        head = pread(fd, request.head_size, 0)
        terms = request.terms
        if not head.startswith(terms.header):
            terms = request.learn(fd)
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
    return token, pieces, None, places


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
    if limit == UNIT_COUNT or is_free(fd, write_lock(UNITS + limit, _END)):
        return True
    return weight + sum(stop - start for start, stop, _ in find_all(fd, UNITS, _END)) <= limit
