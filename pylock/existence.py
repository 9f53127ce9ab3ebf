"""Whether a lock exists for those who are not to create it: somebody uses it, or its idle life is not over yet.

Who releases with an idle lifespan leaves in the file until when the lock goes on existing. Where that is 0, the file
is removed.
"""

from __future__ import annotations

import os
from time import monotonic, time_ns

from .byterange import ANYBODY, is_free
from .headers import parse_line
from .layout import LIFE_SLOT, SLOT_SIZE
from .lockfile import Look, is_being_removed, leave_gate, take_gate
from .removal import remove_if_idle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fronts import Steps
    from .request import Request

_TRIES = 50
"""Of the gate, a millisecond each; without it the end of the life is written all the same."""
_LONGEST = 1e10
"""Seconds of an idle life: three centuries are for ever."""
_LOOK = 0.1
"""Seconds between two looks: nobody knows of those who wait for a lock to exist, so that nobody can ring for them."""


def exists(request: Request) -> bool:
    with Look(request.path, request.directory.remote) as fd:
        if fd < 0 or is_being_removed(fd):
            return False
        return not is_free(fd, ANYBODY) or _end_of_life(fd, request) > time_ns() // 1000


def until_it_exists(request: Request, deadline: float | None) -> Steps[bool]:
    """Wait for somebody else to use the lock; False once the deadline (monotonic) has passed."""
    while not exists(request):
        left = _LOOK if deadline is None else min(_LOOK, deadline - monotonic())
        if left <= 0:
            return False
        yield -1, left
    return True


def outlive(fd: int, request: Request, lifespan: float) -> None:
    """Let the lock, which is still held through fd, exist for so many seconds from now, unless it does longer."""
    if not lifespan:
        return
    end = time_ns() // 1000 + int(min(lifespan, _LONGEST) * 1_000_000)
    gate = take_gate(fd, _TRIES)  # so that of two sharers who leave at once neither shortens the other's
    try:
        if end > _end_of_life(fd, request):
            os.pwrite(fd, f'{{"until":{end}}}'.encode().ljust(SLOT_SIZE - 1) + b"\n", request.slot_offset(LIFE_SLOT))
    finally:
        if gate:
            leave_gate(fd)


def end_use(request: Request) -> None:
    """After the release: remove the file if its idle life is nothing. Where other hosts see it, it stays."""
    if not request.idle_lifespan and not request.directory.remote:
        remove_if_idle(request.path)


def _end_of_life(fd: int, request: Request) -> int:
    fields = parse_line(os.pread(fd, SLOT_SIZE, request.slot_offset(LIFE_SLOT))) or {}
    until = fields.get("until")
    return until if isinstance(until, int) else 0
