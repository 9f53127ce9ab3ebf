"""Whether a lock exists for those who are not to create it: somebody uses it, or its idle life is not over yet.

The file says until when the lock exists unused, and for how long: each release of a request that renews begins that
time anew, the longest that a use asked for since the lock began to exist. What is over is forgotten by the next use.
With an idle lifespan of 0 the file is removed. The turns of a rotating pool are counted beside, as they end with it.
"""

from __future__ import annotations

import os
from time import monotonic, time_ns

from .._file.byterange import ANYBODY, is_free
from .._file.closing import closing_fields, life_line, settings_fields
from .._file.header import parse_line
from .._file.layout import LIFE_SLOT, SLOT_SIZE
from .._file.lockfile import Look, is_being_removed, leave_gate, take_gate
from .._file.removal import remove_if_idle
from .attempt import put_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._queue.drivers import Steps
    from .._request import Request

_TRIES = 50
"""Of the gate, a millisecond each; without it the end of the life is written all the same."""
_LONGEST = 100 * 366 * 86400 * 1_000_000
"""Of an idle life, in microseconds; as good as for ever, and short enough to be written down."""
_NO_LIFE = 0, 0, 0
_LOOK = 0.1
"""Seconds between two looks: nobody knows of those who wait for a lock to exist, so that nobody can ring for them."""


def exists(request: Request) -> bool:
    with Look(request.path, request.directory) as fd:
        return fd >= 0 and not is_being_removed(fd) and not _is_over(fd, request)


def until_it_exists(request: Request, deadline: float | None) -> Steps[bool]:
    """Wait for somebody else to use the lock; False once the deadline (monotonic) has passed."""
    while not exists(request):
        left = _LOOK if deadline is None else min(_LOOK, deadline - monotonic())
        if left <= 0:
            return False
        yield -1, left
    return True


def begin_use(fd: int, request: Request) -> None:
    """Before the lock opened as fd is taken: forget an earlier life of it, if that is over."""
    if _life(fd, request) == _NO_LIFE or not _is_over(fd, request):
        return
    if take_gate(fd, _TRIES):
        try:
            if _is_over(fd, request):
                _write(fd, request, *_NO_LIFE)
        finally:
            leave_gate(fd)


def outlive(fd: int, request: Request) -> None:
    """Let the lock, which is still held through fd, exist for its idle life from now on."""
    gate = take_gate(fd, _TRIES)  # so that of two sharers who leave at once neither shortens the other's
    try:
        _, longest, turns = _life(fd, request)
        lifespan = int(min(max(longest, (request.idle_lifespan or 0) * 1_000_000), _LONGEST))
        if lifespan:
            _write(fd, request, time_ns() // 1000 + lifespan, lifespan, turns)
    finally:
        if gate:
            leave_gate(fd)


def end_use(request: Request) -> None:
    """After the release: remove the file if its idle life is nothing. Where other hosts see it, it stays."""
    if request.idle_lifespan == 0 and not request.directory.remote:
        remove_if_idle(request.path)


def turn(fd: int, request: Request) -> int:
    """Return how many turns were counted since the lock began to exist."""
    return _life(fd, request)[2]


def count_turn(fd: int, request: Request) -> None:
    """Count one more. Call it under the gate."""
    until, lifespan, turns = _life(fd, request)
    _write(fd, request, until, lifespan, turns + 1)


def _is_over(fd: int, request: Request) -> bool:
    """Whether the lock does not exist any more: nobody uses it, and its idle life has ended."""
    return is_free(fd, ANYBODY) and _life(fd, request)[0] <= time_ns() // 1000


def _life(fd: int, request: Request) -> tuple[int, int, int]:
    """Until when the lock exists unused; the lifespan that each release begins anew, in microseconds; turns taken."""
    fields = parse_line(os.pread(fd, SLOT_SIZE, request.slot_offset(LIFE_SLOT))) or {}
    until, lifespan, turns = (fields.get(key) for key in ("until", "lifespan", "turns"))
    return _whole(until), _whole(lifespan), _whole(turns)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _write(fd: int, request: Request, until: int, lifespan: int, turns: int) -> None:
    life: dict[str, object] = {"until": until, "lifespan": lifespan, "turns": turns}
    if (settings := settings_fields(fd, request.slots_start)) is not None:
        life["settings"] = settings
    line = life_line(life, closing_fields(fd, request.slots_start))
    put_record(fd, request, line, request.slot_offset(LIFE_SLOT))
