"""Who holds and who waits: the locks tell that somebody does, the records tell who."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from shlex import join
from time import localtime, strftime, time
from typing import Any

from .bytemap import GATE, ROOM, SEAT_COUNT, UNIT_COUNT, UNITS
from .byterange import find, find_all, is_free, let_go, read_lock, try_lock, unlock, write_lock
from .directories import is_default
from .enums import Mode
from .errors import LockError, LockTimeout, WouldBlock
from .failures import explained
from .headers import parse_line
from .layout import LEAST_TOKEN, MOST_TOKEN, SLOT_SIZE, Gone, seat_slot, unit_slot
from .lockfile import refresh
from .request import Kind, Request
from .tickets import all_seats, all_tickets

ANYBODY = write_lock(GATE + 1, (1 << 63) - 1)
_LOOK = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_SEATED = (Mode.NULL, Mode.CONCURRENT_READ, Mode.CONCURRENT_WRITE)


@dataclass(frozen=True, slots=True)
class Contender:
    """What a process wrote of itself. Fields that could not be read are None."""

    mode: Mode
    weight: int
    pid: int | None
    host: str | None
    user: str | None
    """The name that the host of who looks has for the user's number; the number if it has none."""
    command: str | None
    since: float | None
    """Seconds since 1970: when it was granted the lock, or began to wait."""
    reason: str | None
    priority: int
    below: str | None
    """On a level above it: the path that is really held or waited for."""
    value: str | None
    """Of a holder: its elements of a pool, separated by commas; its number of a sequence; its timestamp."""

    @property
    def code(self) -> str:
        """The code of its mode, as `modes.ModeRule.compatible` has it."""
        return f"{'/' if self.below else ''}{Mode(self.mode).code}"

    def __str__(self) -> str:
        if self.pid is None:
            return "somebody whose record cannot be read"
        text = f'pid {self.pid} on {self.host} "{shorten(self.command or "")}"'
        if self.below:
            text += f' at "{shorten(self.below)}"'
        if self.reason:
            text += f" ({shorten(self.reason)})"
        return text + (f" since {clock(self.since)}" if self.since else "")


@dataclass(frozen=True, slots=True)
class Holder(Contender):
    """Somebody who holds the lock."""

    token: int | None
    """The fencing token that the holder was given."""


@dataclass(frozen=True, slots=True)
class Waiter(Contender):
    """Somebody who waits for the lock."""

    held: str | None
    """The code of the mode that it holds already and waits to convert."""
    place: int
    """In the queue; 1 is next, though under policy shared-first a sharing request may join holders before its turn."""


def shorten(text: str, most: int = 60) -> str:
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def clock(moment: float) -> str:
    """The local time of day, with the date if it is not of today."""
    form = "%H:%M:%S" if localtime(moment)[:3] == localtime(time())[:3] else "%Y-%m-%d %H:%M:%S"
    return strftime(form, localtime(moment))


@contextmanager
def opened(path: str, remote: bool) -> Iterator[int]:
    """Open a lock file to look at it; -1 if there is none. Takes part in nothing, and needs only to read."""
    try:
        fd = _open_to_look(path, remote)
    except FileNotFoundError:
        yield -1
        return
    except OSError as error:
        raise explained(error, path) from error.__cause__
    try:
        if remote:  # any lock of the file makes the next read fresh
            gate = (GATE, GATE + 1)
            if try_lock(fd, read_lock(*gate)):
                let_go(fd, unlock(*gate))
        yield fd
    except OSError as error:
        raise explained(error, path) from error.__cause__
    finally:
        os.close(fd)


def _open_to_look(path: str, remote: bool) -> int:
    try:
        return os.open(path, _LOOK)
    except FileNotFoundError:
        # An NFS client remembers for half a minute that a file was absent; a listing asks the server.
        directory, name = os.path.split(path)
        if not remote or name not in os.listdir(directory):
            raise
        return os.open(path, _LOOK)


def take_census(fd: int, slots_start: int) -> tuple[tuple[Holder, ...], tuple[Waiter, ...]]:
    """Return everybody who holds and waits, but not what is held through this descriptor itself."""
    if is_free(fd, ANYBODY):
        return (), ()
    records = _Records(fd, slots_start)
    tickets = sorted(all_tickets(fd))
    waiters = tuple(
        records.waiter(seat_slot(ticket % SEAT_COUNT), place) for place, (ticket, _) in enumerate(tickets, 1)
    )
    holders = list(_sole_and_unit_holders(fd, records))
    waiting = {ticket % SEAT_COUNT for ticket, _ in tickets}
    for seat in set(all_seats(fd)) - waiting:
        holder = records.holder(seat_slot(seat), Mode.NULL, 1)
        if holder.token and (holder.mode in _SEATED or holder.below):
            holders.append(holder)
    return tuple(sorted(holders, key=lambda holder: holder.since or 0)), waiters


def _sole_and_unit_holders(fd: int, records: _Records) -> Iterator[Holder]:
    room, units = write_lock(ROOM, UNITS), (UNITS, UNITS + UNIT_COUNT)
    whole = find(fd, write_lock(*units))
    if whole is not None and whole[1] - whole[0] >= UNIT_COUNT:
        if whole[2]:
            alone = find(fd, room)
            mode = Mode.EXCLUSIVE if alone is not None and alone[2] else Mode.PROTECTED_WRITE
            yield records.holder(0, mode, 1)
        return
    lacking: dict[bytes, int] = {}
    for start, stop, _ in sorted(find_all(fd, *units)):
        if start < UNITS or stop - start >= UNIT_COUNT:
            continue  # a sole holder came while we looked
        slot, size = unit_slot(start - UNITS), stop - start
        raw = records.raw(slot)
        if lacking.get(raw, 0) >= size:  # a further stretch of units of one that was shown already
            lacking[raw] -= size
            continue
        holder = records.holder(slot, Mode.SHARED, size)
        lacking[raw] = holder.weight - size
        yield holder


class _Records:
    """The records of one lock file."""

    def __init__(self, fd: int, slots_start: int) -> None:
        self._fd = fd
        self._slots_start = slots_start

    def raw(self, slot: int) -> bytes:
        return os.pread(self._fd, SLOT_SIZE, self._slots_start + slot * SLOT_SIZE)

    def holder(self, slot: int, mode: Mode, weight: int) -> Holder:
        fields = parse_line(self.raw(slot)) or {}
        return Holder(**_common(fields, mode, weight), token=_whole(fields.get("token")))

    def waiter(self, slot: int, place: int) -> Waiter:
        fields = parse_line(self.raw(slot)) or {}
        return Waiter(**_common(fields, Mode.EXCLUSIVE, 1), held=_text(fields.get("held")), place=place)


def _common(fields: dict[str, object], mode: Mode, weight: int) -> dict[str, Any]:
    """The fields of a Contender; ``mode`` and ``weight`` stand in where the record does not say."""
    try:
        mode = Mode(str(fields["mode"]))
    except (KeyError, ValueError):
        pass
    since = _whole(fields.get("since"))
    texts = {key: _text(fields.get(key)) for key in ("host", "command", "reason", "below", "value")}
    return texts | {
        "mode": mode,
        "weight": _whole(fields.get("weight")) or weight,
        "pid": _whole(fields.get("pid")),
        "user": _user_name(_whole(fields.get("uid"))),
        "since": since / 1e6 if since and LEAST_TOKEN <= since <= MOST_TOKEN else None,
        "priority": _whole(fields.get("priority")) or 0,
    }


@cache
def _user_name(uid: int | None) -> str | None:
    """The name that the user has on this host, the number if none."""
    try:
        return None if uid is None else pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _is_closed(fd: int, request: Request) -> bool:
    try:
        return request.learn(fd).limit == 0
    except (Gone, LockError):
        return False


def _used(holders: tuple[Holder, ...]) -> int:
    return sum(holder.weight for holder in holders if holder.code == "PR")


def _status_command(request: Request) -> str:
    """What shows the lock to a shell."""
    directory = [] if is_default(request.directory.path) else ["-d", request.directory.path]
    ending = ["--"] if request.name.startswith("-") else []
    return join(["pylock", "status", *directory, *ending, request.name])


def refusal(
    kind: type[WouldBlock] | type[LockTimeout], fd: int, request: Request, waited: float
) -> WouldBlock | LockTimeout:
    """Make the error for a request that was not granted: what happened, who is in the way, what to do."""
    if request.directory.remote:
        refresh(fd)
    holders, waiters = take_census(fd, request.slots_start)
    mode = Mode(request.mode.name)
    blocking = [holder for holder in holders if holder.code not in request.mode.compatible]
    below = request.kind.below if request.kind else None
    wanted = f'"{below or request.name}" ({mode})' + (f' at "{request.name}"' if below else "")
    if kind is LockTimeout:
        text = f"gave up on {wanted} after {waited:.1f} s: "
    else:
        text = f"{wanted} is not to be had at once: "
    before = [waiter for waiter in waiters if waiter.priority >= request.priority]
    if _is_closed(fd, request):
        text += "the lock is closed (capacity 0)"
    elif blocking:
        others = f" and {len(blocking) - 1} more" if len(blocking) > 1 else ""
        text += f"held by {blocking[0]}{others}"
    elif request.mode.counted and (used := _used(holders)) + request.weight > request.terms.limit:
        text += f"{used} of {request.terms.limit} units are held, {request.weight} asked for"
    elif before:
        text += f"promised to {before[0]}"
    else:
        text += request.kind.hindrance if request.kind else Kind.hindrance
    if before:
        text += f", {len(before)} {'waiter' if len(before) == 1 else 'waiters'} ahead"
    text += f'; see "{_status_command(request)}"'
    return kind(text, name=below or request.name, mode=mode, waited=waited, holders=holders, waiters=waiters)
