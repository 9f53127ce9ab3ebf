"""One try for a lock, without waiting: take the bytes, read what the file says, write who holds.

The order is the point. The header is read *after* the bytes are locked, so whoever changes the definition
sees every holder that did not see the change, and on NFS the read is fresh (the lock empties the page cache).
"""

from __future__ import annotations

import os
from os import pread, pwrite

from .bytemap import END, PENDING, ROOM, SEATS
from .byterange import let_go, try_lock, unlock, write_lock
from .layout import LEAST_TOKEN, MOST_TOKEN, NO_ROOM, now, seat_slot
from .modes import NULL
from .tickets import take_seat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .request import Request

    Attempt = Callable[[int, Request, int | None], "Grant | None"]

ANY_WAITER = write_lock(PENDING, END)
PATIENCE = 0.001
"""Seconds that the next in turn lets newcomers pass before it makes them queue up behind it."""

LET_GO = unlock(ROOM, SEATS)
Pieces = tuple[tuple[int, int], ...]
"""Units held: (first, one past the last) of each stretch."""

Grant = tuple[int, "Pieces | None", object, tuple[int, ...]]
"""The token, the units got by a shared request, what a kind of lock gives besides (an element, a value), and the
places of the records that show the holder."""


def attempt_range(fd: int, request: Request, seat: int | None) -> Grant | None:
    """Try to take the lock through a fresh descriptor; None, and nothing changed, if it is held or closed.

    ``seat`` is the one that a waiter has. After an exception the descriptor must be closed, which undoes everything.
    For every mode but shared, which `units.attempt_units` is for.
    """
    rule = request.mode
    if rule.lock is not None and not try_lock(fd, rule.lock):
        return None
    head = pread(fd, request.head_size, 0)
    terms = request.terms
    if not head.startswith(terms.header):
        terms = request.learn(fd)
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
    put_record(fd, request, request.record(moment, token), offset)
    return token, None, None, (offset,)


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
