"""Changing the mode of a hold in place: to a stronger mode once nobody else is in the way, to a weaker one at once.

The kernel changes a lock of ours to another in one step (fcntl_locking(2)), so there is no moment in which nobody has
it. What is waited for is waited for in the queue, before all others, through a second descriptor; the bytes change
through that of the hold. Two that each wait for the other to let go are one too many: the later one is refused.
"""

from __future__ import annotations

import os
from time import monotonic

from .blocks import blocks_around, change_block, refuse_deadlock
from .bytemap import LAST_PRIORITY, ROOM, UNIT_COUNT, UNITS
from .byterange import is_free, let_go, try_lock, unlock
from .census import refusal, take_census
from .contention import watch_for
from .descriptors import close
from .errors import Deadlock, LockLost, LockTimeout
from .grants import ANY_WAITER, LET_GO, last_token, put_record
from .headers import parse_line
from .layout import SLOT_SIZE, seat_slot, unit_slot
from .lockfile import is_at, open_file
from .modes import BY_CODE, NULL, SHARED, ModeRule, rule_of
from .request import Kind, Request, check_seconds, make_request
from .tickets import LEAVE_SEATS, take_seat
from .units import attempt_units, piece_lock, take_units
from .waiting import ring_next, wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .deadlocks import Watch
    from .fronts import Steps
    from .grants import Grant, Pieces
    from .holds import Hold

_END_OF_UNITS = UNITS + UNIT_COUNT
_LEAVE_UNITS, _LEAVE_ROOM = unlock(UNITS, _END_OF_UNITS), unlock(ROOM, UNITS)
_LEFT_OVER = {"CR": _LEAVE_UNITS, "CW": _LEAVE_ROOM, "PW": _LEAVE_ROOM}
"""What a holder lets go of once it has the bytes of a mode that takes only some."""


def steps_to_convert(hold: Hold, mode: str, timeout: float | None, waits_as_task: bool) -> Steps[None]:
    """Convert the hold, as `Hold.convert` says."""
    if timeout is not None:
        check_seconds("timeout must be None (for ever)", timeout)
    rule = rule_of(mode)
    now = hold._request
    if not hold._is_alive():
        raise hold._not_held()
    if now.kind is not None:
        raise ValueError(f'"{now.name}" is a {now.kind.name}, which stays in its mode; only plain locks are converted')
    if rule is now.mode:
        return
    begun = monotonic()
    conversion = _Conversion(hold, rule)
    request = _target(now, rule, conversion)
    if conversion.attempt(hold._fd, request, None) is not None:
        if not is_free(hold._fd, ANY_WAITER):
            ring_next(hold._fd, request, rule)
        return
    if timeout != 0:
        around = blocks_around(request, waits_as_task, besides=hold._fd)
        refuse_deadlock(request, around)
        deadline = None if timeout is None else begun + timeout
        if (yield from _wait(hold, request, deadline, watch_for(request, waits_as_task))):
            return
    raise refusal(LockTimeout, hold._fd, request, monotonic() - begun)


def _wait(hold: Hold, request: Request, deadline: float | None, watch: Watch | None) -> Steps[bool]:
    fd = open_file(request.path, request.directory)
    try:
        if not is_at(hold._fd, request.path):
            raise LockLost(f'"{request.name}" is lost: its file was replaced: {request.path}', name=request.name)
        return (yield from wait(fd, request, deadline, nested=True, watch=watch)) is not None
    finally:
        close(fd)


def _target(now: Request, rule: ModeRule, kind: Kind | None) -> Request:
    """Return the request for the same lock in another mode; while it waits it stands before all others."""
    given = now.expected
    return make_request(
        now.name, rule.name, capacity=given.given_capacity, priority=LAST_PRIORITY if kind else now.priority,
        policy=given.given_policy, reason=now.reason, directory=now.directory.path, create=now.create,
        idle_lifespan=now.idle_lifespan, kind=kind,
    )  # fmt: skip


class _Conversion(Kind):
    """The conversion of one hold."""

    __slots__ = ("_hold", "_now", "_rule", "extra", "starts")

    def __init__(self, hold: Hold, rule: ModeRule) -> None:
        self._hold = hold
        self._now = hold._request.mode
        self._rule = rule
        self.extra = {"held": self._now.code}
        self.starts = self._now is NULL

    def attempt(self, fd: int, request: Request, seat: int | None) -> Grant | None:
        grant = self._change(self._hold._fd, request)
        if grant is None and seat is not None:
            self._refuse_rivals(fd, request, seat)
        return grant

    def _change(self, fd: int, request: Request) -> Grant | None:
        rule = self._rule
        if not self._hold._is_alive():  # another thread has released it meanwhile
            raise self._hold._not_held()
        if self.starts and not request.learn(fd).limit:
            return None
        pieces: Pieces | None = None
        if rule is NULL:
            let_go(fd, LET_GO)
        elif rule is SHARED:
            pieces = self._units(fd, request)
            if pieces is None:
                return None
        elif rule.lock is not None and try_lock(fd, rule.lock):
            if rule.code in _LEFT_OVER:
                let_go(fd, _LEFT_OVER[rule.code])
        else:
            return None
        return self._written(fd, request, pieces)

    def _units(self, fd: int, request: Request) -> Pieces | None:
        """Take one unit; who has them all keeps the first."""
        if self._now.seated and self._now.code != "CW":
            pieces = self._free_units(fd, request)
            if pieces is not None:
                let_go(fd, _LEAVE_ROOM)
            return pieces
        if not try_lock(fd, piece_lock(0, 1)):
            return None
        let_go(fd, _LEAVE_ROOM)
        let_go(fd, unlock(UNITS + 1, _END_OF_UNITS))
        return ((0, 1),)

    def _free_units(self, fd: int, request: Request) -> Pieces | None:
        if request.learn(fd).limit or self.starts:
            grant = attempt_units(fd, request)
            return grant and grant[1]
        return take_units(fd, 1, UNIT_COUNT)  # a closed lock does not keep its holders from changing

    def _written(self, fd: int, request: Request, pieces: Pieces | None) -> Grant:
        """Make it known, to the hold first: its bytes have changed whatever happens now."""
        hold, rule = self._hold, self._rule
        token = last_token(os.pread(fd, request.head_size, 0), request) + rule.sole
        grant = token, pieces, None
        hold._request, hold._grant = _target(hold._request, rule, None), grant
        change_block(fd, hold._request)
        let_go(fd, LEAVE_SEATS)
        seat = take_seat(fd) if rule.seated else None
        if seat is not None:
            offset = request.slot_offset(seat_slot(seat))
        else:
            offset = request.slot_offset(unit_slot(pieces[0][0])) if pieces else request.slots_start
        put_record(fd, hold._request, hold._request.record(token), offset)
        return grant

    def _refuse_rivals(self, fd: int, request: Request, seat: int) -> None:
        """Raise Deadlock if somebody who converts too, and came before, waits for us as we wait for it."""
        mine = parse_line(os.pread(fd, SLOT_SIZE, request.slot_offset(seat_slot(seat)))) or {}
        for rival in take_census(fd, request.slots_start)[1]:
            if rival.held not in BY_CODE or rival.since is None:
                continue
            both = rival.held not in self._rule.compatible and self._now.code not in BY_CODE[rival.code].compatible
            if both and rival.since * 1e6 < float(str(mine.get("since", 0))):
                raise Deadlock(
                    f'would wait for ever to convert "{request.name}" from {self._now.name} to {self._rule.name}:'
                    f" {rival} converts it too, and neither lets go; release this hold, and ask anew",
                    name=request.name,
                    cycle=(f"pid {os.getpid()}", str(rival)),
                )
