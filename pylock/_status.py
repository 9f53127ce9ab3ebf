"""Who holds and who waits: the locks tell that somebody does, the records tell who. `status` and `inspect`."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from os import PathLike
from time import localtime, strftime, time
from typing import Any

from . import _process as process
from ._enums import Mode
from ._errors import BadLockFile, harmless
from ._file.bytemap import ROOM, SEAT_COUNT, UNIT_COUNT, UNITS, UNITS_END
from ._file.byterange import ANYBODY, find, find_all, is_free, write_lock
from ._file.closing import closing_fields, settings_fields
from ._file.directories import Directory, resolve
from ._file.header import Definition, Gone, look_at_header, parse_line, read_head
from ._file.layout import (
    CHILD,
    LEAST_TOKEN,
    MOST_TOKEN,
    SLOT_SIZE,
    SUFFIX,
    child_in,
    file_name,
    seat_slot,
    slots_start,
    unit_slot,
)
from ._file.lockfile import Look, is_being_removed
from ._modes import BY_CODE
from ._queue.tickets import all_seats, all_tickets
from ._request import check_name


@dataclass(frozen=True, slots=True)
class Contender:
    """What a process wrote of itself. Fields that could not be read are None."""

    mode: Mode
    weight: int
    pid: int | None
    start: int | None
    """When that process started, in clock ticks from the boot of its host: with the pid it names one process."""
    boot: str | None = field(default=None, kw_only=True)
    """The boot of its host that this was."""
    namespace: int | None = field(default=None, kw_only=True)
    """The pid namespace that the pid is of, as the number of the file /proc/PID/ns/pid."""
    child: int | None = field(default=None, kw_only=True)
    """Of a supervisor as `pylock run`: the pid of its command, which holds the lock too."""
    child_start: int | None = field(default=None, kw_only=True)
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
    def is_here(self) -> bool:
        """Whether it is a process of this host that can be seen from here, and still the one that it was."""
        return self._is_seen(self.pid, self.start)

    def _is_seen(self, pid: int | None, start: int | None) -> bool:
        in_sight = self.was_here and self.namespace in (None, process.identity().namespace)
        return bool(in_sight and pid and start and process.start_time(pid) == start)

    @property
    def present(self) -> tuple[int, int] | None:
        """The process that is here, and its start: the one that wrote this or, once that has ended, its command."""
        return next(self._here(), None)

    @property
    def is_stopped(self) -> bool:
        """Whether it, or its command, is here and does not go on, as after Ctrl-Z, until somebody lets it."""
        return any(process.is_stopped(pid) for pid, _ in self._here())

    def _here(self) -> Iterator[tuple[int, int]]:
        for pid, start in ((self.pid, self.start), (self.child, self.child_start)):
            if pid and start and self._is_seen(pid, start):
                yield pid, start

    @property
    def shown_pid(self) -> int | None:
        """That of `present`; if nobody is, what the record says."""
        present = self.present
        return present[0] if present else self.pid

    @property
    def was_here(self) -> bool:
        """Whether it is, or was, a process of this host, since it was started the last time."""
        return bool(self.boot and process.identity().boot.startswith(self.boot))

    @property
    def is_known(self) -> bool:
        """Whether its record can be true. One that found no room for its own shows nobody, or somebody who is gone."""
        return self.pid is not None and (self.is_here or not self.was_here)

    @property
    def whereabouts(self) -> str:
        """Where it is, as seen from here: "here", "another host", "another pid namespace", "gone" or "unknown"."""
        if self.pid is None:
            return "unknown"
        if not self.was_here:
            return "another host"
        if self.present:
            return "here"
        return "gone" if self.namespace in (None, process.identity().namespace) else "another pid namespace"

    @property
    def code(self) -> str:
        """The code of its mode, as `modes.ModeRule.compatible` has it."""
        return f"{'/' if self.below else ''}{self.mode.code}"

    def __str__(self) -> str:
        if self.pid is None:
            return "somebody whose record cannot be read"
        text = f"pid {self.shown_pid} on {harmless(self.host or '?')}"
        if self.whereabouts in ("gone", "another pid namespace"):
            text += f" ({self.whereabouts})"
        if self.is_stopped:
            text += " (stopped)"
        text += f' "{shorten(self.command or "")}"'
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
    """Return the text harmless, and cut."""
    text = harmless(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def clock(moment: float) -> str:
    """The local time of day, with the date if it is not of today."""
    form = "%H:%M:%S" if localtime(moment)[:3] == localtime(time())[:3] else "%Y-%m-%d %H:%M:%S"
    return strftime(form, localtime(moment))


def take_census(fd: int, slots_start: int) -> tuple[tuple[Holder, ...], tuple[Waiter, ...]]:
    """Return everybody who holds and waits, but not what is held through this descriptor itself."""
    if is_free(fd, ANYBODY) or is_being_removed(fd):
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
        if holder.token and BY_CODE[holder.code].seated:
            holders.append(holder)
    return tuple(sorted(holders, key=lambda holder: holder.since or 0)), waiters


def _sole_and_unit_holders(fd: int, records: _Records) -> Iterator[Holder]:
    room, units = write_lock(ROOM, UNITS), (UNITS, UNITS_END)
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
    texts = {key: _text(fields.get(key)) for key in ("host", "boot", "command", "reason", "below", "value")}
    child, child_start = child_in(str(fields.get(CHILD, "")))
    return texts | {
        "mode": mode,
        "child": child,
        "child_start": child_start,
        "namespace": _whole(fields.get("ns")),
        "weight": _whole(fields.get("weight")) or weight,
        "pid": _whole(fields.get("pid")),
        "start": _whole(fields.get("start")),
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


@dataclass(frozen=True, slots=True)
class Closing:
    """Who closed a lock. Fields that are not known are None."""

    user: str | None
    host: str | None
    since: float | None
    """Seconds since 1970."""
    reason: str | None

    def __str__(self) -> str:
        text = f"by {harmless(self.user or '?')} on {harmless(self.host or '?')}"
        text += f" since {day(self.since)}" if self.since else ""
        return text + (f": {shorten(self.reason)}" if self.reason else "")


def day(moment: float) -> str:
    """As `clock`, to the minute, and with the day's name if it is of this week."""
    days = (time() - moment) / 86400
    today = localtime(moment)[:3] == localtime(time())[:3]
    return strftime("%H:%M" if today else "%A %H:%M" if days < 6 else "%Y-%m-%d %H:%M", localtime(moment))


def closing(fd: int, slots_start: int) -> Closing | None:
    """Read who closed the lock; None if nobody wrote it."""
    fields = closing_fields(fd, slots_start)
    if fields is None:
        return None
    since = _whole(fields.get("since"))
    return Closing(
        _user_name(_whole(fields.get("uid"))), _text(fields.get("host")), since / 1e6 if since else None,
        _text(fields.get("reason")),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LockStatus:
    """One lock at one moment."""

    name: str
    path: str
    definition: Definition
    holders: tuple[Holder, ...]
    waiters: tuple[Waiter, ...]
    """In the order in which they are served."""
    closed: Closing | None = None
    """Of a closed lock, who closed it, if that is known."""
    settings: dict[str, object] | None = None
    """What settings files last said of it, if they did."""

    @property
    def used(self) -> int:
        """Units of the capacity that are held."""
        return sum(holder.weight for holder in self.holders if holder.code == "PR")


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that is called like a lock file, and cannot be used as one."""

    file: str
    path: str
    problem: str
    """"damaged", "foreign" or "unreadable"."""
    why: str


def inspect(name: str, directory: str | PathLike[str] | None = None) -> LockStatus:
    """Return the state of one lock; one that nobody has used yet is free. Raises BadLockFile, OSError."""
    return find_lock(name, directory) or LockStatus(name, _path(name, resolve(directory)), Definition(), (), ())


def find_lock(name: str, directory: str | PathLike[str] | None = None) -> LockStatus | None:
    """Return the state of one lock, None if there is none of that name. Raises as `inspect`."""
    check_name(name)
    where = resolve(directory)
    return _look(_path(name, where), where, name)


def _name_of(path: str) -> str:
    """The name of the lock that the file is called after, as far as it is not cut."""
    from urllib.parse import unquote

    return unquote(os.path.basename(path).removesuffix(SUFFIX), errors="surrogatepass")


def _path(name: str, where: Directory) -> str:
    return os.path.join(where.path, file_name(name))


def status(directory: str | PathLike[str] | None = None) -> tuple[LockStatus, ...]:
    """Return the state of every lock in the directory, by name. What is no lock file, or not readable, is left out.

    Raises FileNotFoundError, NotADirectoryError, PermissionError, Unsupported and LockError for the directory.
    """
    return survey(directory)[0]


def survey(directory: str | PathLike[str] | None = None) -> tuple[tuple[LockStatus, ...], tuple[Unusable, ...]]:
    """Return the state of every lock in the directory, by name; and the files that cannot be used as lock files."""
    where = resolve(directory)
    locks, unusable = [], []
    for entry in os.scandir(where.path):
        if entry.name.endswith(SUFFIX):
            try:
                found = _look(entry.path, where, None)
            except (BadLockFile, OSError) as error:
                unusable.append(describe(error, entry.path))
                continue
            if found is not None:
                locks.append(found)
    return tuple(sorted(locks, key=lambda lock: lock.name)), tuple(sorted(unusable, key=lambda bad: bad.file))


def describe(error: BadLockFile | OSError, path: str) -> Unusable:
    """Return what the error says of the file."""
    file = os.path.basename(path)
    if isinstance(error, OSError):
        return Unusable(file, path, "unreadable", error.strerror or str(error))
    why = str(error).partition(" cannot be used as a lock file: ")[2] or str(error)
    return Unusable(file, path, "damaged" if _is_ours(path) else "foreign", why)


def _is_ours(path: str) -> bool:
    """Whether the file begins as a lock file does."""
    try:
        with Look(path, None) as fd:
            return fd >= 0 and read_head(fd).startswith(b'{"pylock"')
    except (BadLockFile, OSError):
        return False


def _look(path: str, where: Directory, name: str | None) -> LockStatus | None:
    with Look(path, where) as fd:
        if fd < 0:
            return None
        try:
            head, definition = look_at_header(fd, name, path)
        except Gone:
            return None
        if definition is None:
            if is_free(fd, ANYBODY):
                return None
            definition = Definition()  # of a plain lock, for which no header is needed where the disk is full
        if name is None:
            name = str((parse_line(head) or {}).get("name") or _name_of(path))
        start = slots_start(name, definition.kind)
        closed = None if definition.capacity else closing(fd, start)
        return LockStatus(name, path, definition, *take_census(fd, start), closed, settings_fields(fd, start))
