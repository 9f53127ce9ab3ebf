"""Changing the mode of a hold in place: to a stronger mode once nobody else is in the way, to a weaker one at once.

The kernel changes a lock of ours to another in one step (fcntl_locking(2)), so there is no moment in which nobody has
it. What is waited for is waited for in the queue, before all others, through a second descriptor; the bytes change
through that of the hold. Two that each wait for the other to let go are one too many: the later one is refused.

The order, so that an exception at any line leaves a claim that says no more than the kernel holds:

    to a mode that excludes less    1. the claim says so   2. the bytes change          an exception repeats 2
    to one that excludes more       1. the bytes change    2. the claim says so         an exception undoes 1
    to one that excludes others     1. the claim says only what both exclude   2. the bytes change
                                    3. the claim says the new mode              an exception tries 2 once more
"""

from __future__ import annotations

import os
from itertools import pairwise
from time import monotonic

from .._deadlock.blocks import blocks_around, refuse_deadlock
from .._errors import Deadlock, LockError, LockLost, LockTimeout, harmless
from .._file.bytemap import LAST_PRIORITY, ROOM, SEAT_COUNT, UNIT_COUNT, UNITS, UNITS_END
from .._file.byterange import is_free, let_go, try_lock, unlock
from .._file.descriptors import close, drop, noted
from .._file.header import Gone, parse_line
from .._file.layout import SLOT_SIZE, now, seat_slot, unit_slot
from .._file.lockfile import is_at, open_file
from .._modes import BY_NAME, CONCURRENT_READ, NULL, SHARED, ModeRule, rule_of
from .._queue.bells import ring
from .._queue.tickets import LEAVE_SEATS, all_tickets, take_seat
from .._request import Grant, Kind, Request, check_seconds, make_request
from .agreement import learn
from .attempt import ANY_WAITER, LET_GO, PLAIN, attempt_units, last_token, piece_lock, put_record, take_units
from .claim import being_converted, explain
from .events import listeners, tell
from .place import ring_next
from .refusals import refusal
from .steps import watch_for
from .waiting import wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._deadlock.cycles import Watch
    from .._queue.drivers import Steps
    from .._request import Attempt, Pieces
    from .claim import Claim

_LEAVE_UNITS, _LEAVE_ROOM = unlock(UNITS, UNITS_END), unlock(ROOM, UNITS)
_LEFT_OVER = {"CR": _LEAVE_UNITS, "CW": _LEAVE_ROOM, "PW": _LEAVE_ROOM}
"""What a holder lets go of once it has the bytes of a mode that takes only some."""


def steps_to_convert(claim: Claim, mode: str, timeout: float | None, waits_as_task: bool) -> Steps[None]:
    """Convert the claim, as `Hold.convert` says."""
    conversion = _Conversion(claim)
    try:
        try:
            if (yield from _steps(conversion, claim, mode, timeout, waits_as_task)) and listeners:
                tell("converted", claim)
        finally:
            conversion.end()
    except BaseException as error:
        conversion.end()  # once more, as a signal handler may have raised in it
        explain(error, claim.request)
        raise


def _steps(conversion: _Conversion, claim: Claim, mode: str, timeout: float | None, waits_as_task: bool) -> Steps[bool]:
    """Convert the claim; tell whether it has another mode now."""
    if timeout is not None:
        check_seconds("timeout must be None (for ever)", timeout)
    rule = rule_of(mode)
    claim.ensure_held()
    before = claim.request
    if before.kind is not PLAIN:
        raise ValueError(
            f'"{harmless(before.name)}" is a {before.kind.name}, which stays in its mode; only plain locks are'
            " converted"
        )
    if rule is before.mode:
        return False
    begun = monotonic()
    request = conversion.begin(rule)
    try:
        if conversion.attempt(conversion.fd, request, None) is not None:
            if not is_free(conversion.fd, ANY_WAITER):
                ring_next(conversion.fd, request, rule)
            return True
        if timeout != 0:
            around = blocks_around(request, waits_as_task, besides=claim)
            refuse_deadlock(request, around)
            deadline = None if timeout is None else begun + timeout
            if (yield from _wait(conversion.fd, request, deadline, watch_for(request, waits_as_task))):
                return True
    except Gone:
        raise _lost(request, "removed") from None
    raise refusal(LockTimeout, conversion.fd, request, monotonic() - begun)


def _wait(held: int, request: Request, deadline: float | None, watch: Watch | None) -> Steps[bool]:
    fd = open_file(request.path, request.directory)
    try:
        if not is_at(held, request.path):
            raise _lost(request, "replaced")
        return (yield from wait(fd, request, deadline, nested=True, watch=watch)) is not None
    finally:
        drop(fd)


def _lost(request: Request, how: str) -> LockLost:
    return LockLost(f'"{request.name}" is lost: its file was {how}: {request.path}', name=request.name)


def _target(before: Request, rule: ModeRule, kind: Kind = PLAIN) -> Request:
    """Return the request for the same lock in another mode; while it waits it stands before all others."""
    given = before.expected
    return make_request(
        before.name, rule.name, capacity=given.given_capacity,
        priority=before.priority if kind is PLAIN else LAST_PRIORITY, policy=given.given_policy, reason=before.reason,
        directory=before.directory.path, create=before.create, idle_lifespan=before.idle_lifespan, kind=kind,
    )  # fmt: skip


class _Conversion(Kind):
    """The conversion of one claim, from the mode that it has to another one; of a claim there is one at a time.

    Another thread may release the claim meanwhile. So the bytes change through a copy of its descriptor, which stands
    for nothing else as long as this lasts, and whose number nobody else can get.
    """

    __slots__ = ("_after", "_before", "_claim", "_grant", "_has_begun", "extra", "fd", "starts")

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._has_begun = False
        self.fd = -1

    def begin(self, rule: ModeRule) -> Request:
        """Return what is asked for. Raises NotHeld; LockError if the claim is being converted already."""
        claim = self._claim
        if being_converted.setdefault(claim, self) is not self:
            raise LockError(
                f'"{harmless(claim.request.name)}" is being converted already, by another thread or task',
                name=claim.request.name,
            )
        self._copy_descriptor()
        assert claim.grant is not None
        self._before, self._grant = claim.request, claim.grant
        self._after = _target(claim.request, rule)
        self.extra = {"held": claim.request.mode.code}
        self.starts = claim.request.mode is NULL
        self._has_begun = True
        return _target(claim.request, rule, self)

    def _copy_descriptor(self) -> None:
        claim = self._claim
        held = claim.fd
        claim.ensure_held()
        try:
            self.fd = noted(False, os.dup, held)
        except OSError:
            claim.ensure_held()  # else it was released meanwhile
            raise
        if claim.fd != held:  # it was, and what has been copied may be anything
            raise claim.not_held()

    def end(self) -> None:
        """Close the copy, and let go first of what was taken after the claim was released."""
        claim = self._claim
        try:
            if self._has_begun and self.fd >= 0 and claim.is_released and claim.mark[0]:
                let_go(self.fd)
                ring_next(self.fd, claim.request)
        finally:
            if being_converted.get(claim) is self:
                del being_converted[claim]
            fd, self.fd = self.fd, -1
            if fd >= 0:
                close(fd)

    def attempt_in(self, mode: ModeRule) -> Attempt:
        return self.attempt

    def attempt(self, fd: int, request: Request, seat: int | None) -> Grant | None:
        """As `attempt_range`, through the copy of the claim's descriptor, and not through fd, which is the waiter's."""
        self._claim.ensure_held()
        if self.starts and not learn(self.fd, request).limit:
            return None
        grant = self._change(self.fd, request)
        if grant is not None:
            self._record(self.fd, grant)
            self._claim.ensure_held()
        elif seat is not None:
            self._refuse_rivals(fd, request, seat)
        return grant

    def _change(self, fd: int, request: Request) -> Grant | None:
        """Change the bytes and what the claim says, in the order that is told above."""
        claim, before, after = self._claim, self._before, self._after
        excludes_less = before.mode.compatible <= after.mode.compatible
        excludes_more = after.mode.compatible <= before.mode.compatible
        try:
            if not excludes_more:
                claim.request = after if excludes_less else _target(before, CONCURRENT_READ)
            pieces = self._settle(fd, request)
            return self._say(pieces, self._token(fd))
        except BaseException:
            if excludes_more:
                claim.request, claim.grant = before, self._grant
                self._undo(fd)
            else:
                self._say(self._settle(fd, request), self._grant.token)
            raise

    def _say(self, pieces: Pieces | None, token: int) -> Grant | None:
        """Let the claim say what came of it; None is that nothing has changed."""
        claim = self._claim
        if pieces is None:
            claim.request, claim.grant = self._before, self._grant
            return None
        grant = Grant(token, (), pieces)
        claim.request, claim.grant = self._after, grant
        return grant

    def _token(self, fd: int) -> int:
        """The token of the new grant: as in any grant, read after the bytes are ours."""
        moment = now()
        token = last_token(os.pread(fd, self._after.head_size, 0), self._after, moment)
        return max(token + 1, moment) if self._after.mode.sole else token

    def _settle(self, fd: int, request: Request) -> Pieces | None:
        """Make the bytes those of the new mode, and return the units among them; None, and nothing changed, if that
        cannot be. To call it again changes nothing more, but for which units are had where none were before.
        """
        rule = self._after.mode
        if rule is NULL:
            let_go(fd, LET_GO)
        elif rule is SHARED:
            return self._settle_in_units(fd, request)
        elif not try_lock(fd, rule.lock or b""):
            return None
        if rule.code in _LEFT_OVER:
            let_go(fd, _LEFT_OVER[rule.code])
        return ()

    def _settle_in_units(self, fd: int, request: Request) -> Pieces | None:
        """Take one unit; who has them all keeps the first."""
        if self._before.mode.code in ("NL", "CR"):
            pieces = self._free_units(fd, request)
        else:
            pieces = ((0, 1),) if try_lock(fd, piece_lock(0, 1)) else None
            if pieces is not None:
                let_go(fd, unlock(UNITS + 1, UNITS_END))
        if pieces is not None:
            let_go(fd, _LEAVE_ROOM)
        return pieces

    def _free_units(self, fd: int, request: Request) -> Pieces | None:
        if learn(fd, request).limit or self.starts:
            grant = attempt_units(fd, request)
            return grant.pieces if grant else None
        return take_units(fd, 1, UNIT_COUNT)  # a closed lock does not keep its holders from changing

    def _undo(self, fd: int) -> None:
        """Give back what the new mode takes more than the one before."""
        rule = self._before.mode
        if rule.lock is not None:
            try_lock(fd, rule.lock)  # never in anybody's way, as all of it is ours
            if rule.code in _LEFT_OVER:
                let_go(fd, _LEFT_OVER[rule.code])
        elif rule is NULL:
            let_go(fd, LET_GO)
        else:
            let_go(fd, _LEAVE_ROOM)
            kept = sorted(self._grant.pieces)
            for (_, stop), (start, _) in pairwise([(0, 0), *kept, (UNIT_COUNT, UNIT_COUNT)]):
                if stop < start:
                    let_go(fd, unlock(UNITS + stop, UNITS + start))

    def _record(self, fd: int, grant: Grant) -> None:
        """Show it to others: the bytes have changed, whatever becomes of the record."""
        request, pieces = self._after, grant.pieces
        places = self._grant.places  # none if an exception kept the last conversion from writing its record
        since = request.since_in(os.pread(fd, SLOT_SIZE, places[0])) if places else now()
        let_go(fd, LEAVE_SEATS)
        seat = take_seat(fd) if request.mode.seated else None
        if seat is not None:
            place = request.slot_offset(seat_slot(seat))
        else:
            place = request.slot_offset(unit_slot(pieces[0][0])) if pieces else request.slots_start
        grant.places = (place,)
        put_record(fd, request, request.record(since, grant.token), place)

    def _refuse_rivals(self, fd: int, request: Request, seat: int) -> None:
        """Raise Deadlock if somebody who converts too, and came before, waits for us as we wait for it.

        One that came after is rung: it may have looked before our ticket was there to be seen.
        """
        mine = _fields(fd, request, seat)
        for ticket, _ in all_tickets(fd):
            rival = _fields(fd, request, ticket % SEAT_COUNT)
            held, wanted = BY_NAME.get(str(rival.get("held"))), BY_NAME.get(str(rival.get("mode")))
            if held is None or wanted is None:
                continue
            both = held.code not in self._after.mode.compatible and self._before.mode.code not in wanted.compatible
            if not both:
                continue
            if _age(rival, ticket % SEAT_COUNT) > _age(mine, seat):
                ring(request.path, ticket % SEAT_COUNT, request.directory.private)
            else:
                who = f"pid {rival.get('pid')} on {harmless(str(rival.get('host')))}"
                raise Deadlock(
                    f'would wait for ever to convert "{request.name}" from {self._before.mode.name} to'
                    f" {self._after.mode.name}: {who} converts it too, and neither lets go; release this hold, and ask"
                    " anew",
                    name=request.name,
                    cycle=(f"pid {os.getpid()}", who),
                )


def _fields(fd: int, request: Request, seat: int) -> dict[str, object]:
    """What the waiter in the seat has written of itself."""
    return parse_line(os.pread(fd, SLOT_SIZE, request.slot_offset(seat_slot(seat)))) or {}


def _age(fields: dict[str, object], seat: int) -> tuple[int, int]:
    """By which of two that came in the same microsecond, or by a clock that stands, one comes first all the same."""
    since = fields.get("since")
    return (since if isinstance(since, int) else 0), seat
