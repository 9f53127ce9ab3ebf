"""One try for a lock, without waiting: take the bytes, read what the file says, write who holds.

The order is the point. The header is read *after* the bytes are locked, so whoever changes the definition
sees every holder that did not see the change, and on NFS the read is fresh (the lock empties the page cache).
"""

from __future__ import annotations

import os
from errno import ENOSPC
from os import pread, pwrite

from .bytemap import END, PENDING, ROOM, SEATS
from .byterange import let_go, try_lock, unlock, write_lock
from .layout import LEAST_TOKEN, MOST_TOKEN, SLOT_SIZE, first_token, seat_slot
from .modes import NULL

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

Grant = tuple[int, "Pieces | None", object]
"""The token, the units got by a shared request, and what a kind of lock gives besides: an element, a value."""


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
