"""One try for a lock, without waiting: take the bytes, read what the file says, write who holds.

The order is the point. The header is read *after* the bytes are locked, so whoever changes the definition
sees every holder that did not see the change, and on NFS the read is fresh (the lock empties the page cache).
"""

from __future__ import annotations

import os
from errno import ENOSPC
from os import pread, pwrite

from .bytemap import END, PENDING, ROOM, SEATS, UNIT_COUNT, UNITS
from .byterange import let_go, try_lock, unlock, write_lock
from .layout import LEAST_TOKEN, MOST_TOKEN, SLOT_SIZE, first_token, seat_slot, unit_slot
from .lockfile import refresh
from .modes import NULL
from .units import fits, piece_lock, take_units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Request
    from .units import Pieces

ANY_WAITER = write_lock(PENDING, END)
PATIENCE = 0.001
"""Seconds that the next in turn lets newcomers pass before it makes them queue up behind it."""

LET_GO = unlock(ROOM, SEATS)
_LET_GO_UNITS = unlock(UNITS, UNITS + UNIT_COUNT)

Grant = tuple[int, "Pieces | None", object]
"""The token, the units got by a shared request, and what a kind of lock gives besides: an element, a value."""


def attempt(fd: int, request: Request, seat: int | None = None) -> Grant | None:
    """Try to take the lock through a fresh descriptor; None, and nothing changed, if it is held or closed.

    ``seat`` is the one that a waiter has. After an exception the descriptor must be closed, which undoes everything.
    """
    if request.kind is not None:
        return request.kind.attempt(fd, request, seat)
    return attempt_plainly(fd, request, seat)


def attempt_plainly(fd: int, request: Request, seat: int | None) -> Grant | None:
    rule = request.mode
    if rule.counted:
        return attempt_units(fd, request)
    if rule.lock is not None and not try_lock(fd, rule.lock):
        return None
    head = pread(fd, request.head_size, 0)
    terms = request.terms
    if not head.startswith(terms.header):
        terms = request.learn(fd)
    if not terms.limit and rule is not NULL:
        let_go(fd, LET_GO)
        return None
    if rule.sole:
        token = last_token(head, request) + 1
        offset = request.slots_start
    else:
        token = last_token(head, request)
        if seat is None:
            from .tickets import take_seat  # with all that belongs to waiting, which most programs never need

            seat = take_seat(fd)
        if seat is None:
            let_go(fd, LET_GO)
            return None
        offset = request.slot_offset(seat_slot(seat))
    put_record(fd, request, request.record(token), offset)
    return token, None, None


def attempt_units(fd: int, request: Request) -> Grant | None:
    """Take as many units as the request weighs, touching no other bytes."""
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
        terms = request.terms if head.startswith(request.terms.header) else request.learn(fd)
        if pieces[-1][1] <= terms.limit and fits(fd, request.weight, terms.limit):
            break
        let_go(fd, _LET_GO_UNITS)
        if terms.limit == limit:
            return None
    token = last_token(head, request)
    record = request.record(token)
    for start, _ in pieces:
        put_record(fd, request, record, request.slot_offset(unit_slot(start)))
    request.units = piece_lock(*pieces[0]), pieces
    return token, pieces, None


def _take_units(fd: int, request: Request, limit: int) -> Pieces | None:
    if request.units is not None:
        lock, pieces = request.units
        if len(pieces) == 1 and pieces[0][1] <= limit and try_lock(fd, lock):
            return pieces
    return take_units(fd, request.weight, limit)


def last_token(head: bytes, request: Request) -> int:
    try:
        token = int(head[request.token_span])
    except ValueError:
        return first_token()
    return token if LEAST_TOKEN <= token < MOST_TOKEN else first_token()


def put_record(fd: int, request: Request, record: bytes, offset: int) -> None:
    """Write the record that shows this holder or waiter to others."""
    if pwrite(fd, record, offset) != SLOT_SIZE:
        raise OSError(ENOSPC, "cannot write all of the record", request.path)
    if request.directory.remote:
        os.fsync(fd)  # else no other host sees it before the lock is let go
