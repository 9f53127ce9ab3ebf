"""Deadlocks between threads, processes and hosts: found by who waits, from what all who wait have written.

Who begins to wait while it holds other locks writes into its record which: the locks of the ``with`` blocks that its
own thread or task is inside, and those that its command runs under. Nobody else can release these while it waits. Holds
got by ``acquire`` alone are not among them, because another thread may release them.

Each such waiter looks now and then at all who wait. It lets those in who need not wait for ever: who waits only for
holders that do not wait themselves, then who waits for these, and so on. Who is left over waits for ever. As files
are read one after the other, only what two looks saw alike is believed: every wait in it then lasted from the end of
the first look to the beginning of the second, so that there was a moment in which all stood so. Of a cycle the one
who came last gives up.
"""

from __future__ import annotations

import os
import re
from time import monotonic

from .._errors import BadLockFile, Deadlock, harmless
from .._file.bytemap import EXCLUSIVE_LANE, SEAT_COUNT
from .._file.directories import Directory, resolve
from .._file.header import Definition, Gone, look_at_header, parse_line
from .._file.layout import FAIR, POOL, SLOT_SIZE, SUFFIX, seat_slot, slots_start
from .._file.lockfile import Look
from .._modes import BY_CODE, BY_NAME, INTENTS, ModeRule
from .._queue.tickets import all_tickets, is_yielding
from .._status import Holder, shorten, take_census

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._request import Request
    from .blocks import Insider
    from .nesting import OuterHold

_FIRST_LOOK, _SECOND_LOOK, _LAST_LOOK = 0.2, 0.05, 5.0
"""Seconds before the first look, between one that saw a deadlock and the next, and between others at most."""

_WORD = re.compile(r"([0-9a-f]+)\.(/?[A-Z]{2})(?:\.(\d+))?(?:\.(\d+))?")

Held = tuple[int, str, int, int]
"""What a waiter holds: the inode of the lock file, the code of the mode, the weight, the pid that holds it."""
Waiting = tuple[int, int, int]
"""One wait: the inode of the lock file, the seat, and since when."""


class Watch:
    """Looks for deadlocks that a waiter with these ``held`` locks might be in."""

    def __init__(self, held: list[Held], directories: set[str]) -> None:
        self.text = " ".join(map(_word_for, held))
        """For the record of the waiter."""
        self._directories = {real: resolve(real) for real in map(os.path.realpath, directories)}
        self._pause = _FIRST_LOOK
        self._due = monotonic() + _FIRST_LOOK
        self._seen: frozenset[Waiting] = frozenset()

    def look(self, request: Request, fd: int, seat: int) -> float:
        """Raise Deadlock if the waiter in that seat is in one, twice in a row, and came last.

        Does nothing before it is time; returns the seconds until then.
        """
        left = self._due - monotonic()
        if left > 0:
            return left
        inode = os.fstat(fd).st_ino
        waiters = list(_all_waiters(self._directories.values()))
        me = next((waiter for waiter in waiters if (waiter.inode, waiter.seat) == (inode, seat)), None)
        cycle = _cycle_of(me, _Stuck(waiters)) if me else []
        seen = frozenset(waiter.identity for waiter in cycle)
        if seen and seen == self._seen and max((waiter for waiter in cycle if waiter.holds), key=_Waiter.age) is me:
            raise Deadlock(_text(cycle), name=request.name, cycle=tuple(str(waiter) for waiter in cycle))
        self._pause = _SECOND_LOOK if seen != self._seen else min(self._pause * 2, _LAST_LOOK)
        self._seen = seen
        self._due = monotonic() + self._pause
        return self._pause


def watch(around: list[Insider], above: list[OuterHold], request: Request) -> Watch:
    """Return the watch for a waiter inside these blocks, whose process runs under the locks ``above``."""
    pid = os.getpid()
    held = []
    for claim in around:
        try:
            held.append((os.fstat(claim.fd).st_ino, claim.request.mode.code, claim.request.weight, pid))
        except OSError:
            continue  # another thread has released it just now
    directories = {request.directory.path, *(claim.request.directory.path for claim in around)}
    for outer in above:
        try:
            held.append((os.stat(outer.path).st_ino, outer.code, outer.weight, outer.pid))
        except OSError:
            continue  # removed by hand: nobody waits for that one
        directories.add(os.path.dirname(outer.path))
    return Watch(held, directories)


class _File:
    """A lock file as one look saw it."""

    def __init__(self, name: str, definition: Definition, holders: tuple[Holder, ...]) -> None:
        self.name = name
        self.definition = definition
        self.holders = holders
        self.waiters: list[_Waiter] = []


class _Waiter:
    """One who waits, and what it holds meanwhile."""

    def __init__(self, file: _File, inode: int, ticket: int, lane: int, fields: dict[str, object]) -> None:
        def whole(key: str) -> int:
            value = fields.get(key)
            return value if isinstance(value, int) else 0

        self.file = file
        self.inode = inode
        self.ticket = ticket
        self.lane = lane
        self.seat = ticket % SEAT_COUNT
        rule = BY_NAME[str(fields["mode"])]
        self.rule: ModeRule = INTENTS[rule.code] if fields.get("below") else rule
        self.weight = whole("weight") or 1
        self.pid = whole("pid")
        self.host = fields.get("host")
        self.since = whole("since")
        self.nested = "nested" in fields
        """Whether it passes the queue."""
        self.yields = bool(fields.get("yields"))
        """Whether it lets those behind it pass, as it lacks other locks too."""
        self.held = fields.get("held")
        """The code of the mode that it wants to convert."""
        self.holds = list(_parsed(str(fields.get("holds", "")), self.pid))
        self.command = str(fields.get("command", ""))

    def __str__(self) -> str:
        return f'pid {self.pid} on {harmless(str(self.host))} "{shorten(self.command)}"'

    @property
    def identity(self) -> Waiting:
        return self.inode, self.seat, self.since

    def age(self) -> tuple[int, str, int, int, int]:
        return self.since, str(self.host), self.pid, self.inode, self.seat

    def yields_to(self, other: _Waiter) -> bool:
        """Whether the queue lets the other one go first."""
        if self.nested or self.held or other.yields or other.ticket >= self.ticket:
            return False
        return self.lane in (other.lane, EXCLUSIVE_LANE) or self.file.definition.policy == FAIR


def _word_for(held: Held) -> str:
    """Write one hold as short as can be, because a record has little room; what goes without saying is left out."""
    inode, code, weight, pid = held
    words = [f"{inode:x}", code, str(weight), str(pid)]
    if pid == os.getpid():
        del words[3 if weight > 1 else 2 :]
    return ".".join(words)


def _parsed(text: str, own_pid: int) -> Iterator[Held]:
    """Read the holds; a word that was cut off means none, or one that nobody has."""
    for word in text.split():
        found = _WORD.fullmatch(word)
        if found and found[2] in BY_CODE:
            yield int(found[1], 16), found[2], int(found[3] or 1), int(found[4] or own_pid)


def _all_waiters(directories: Iterable[Directory]) -> Iterator[_Waiter]:
    """Read everybody who waits in the directories; the bells show in which files to look."""
    for directory in directories:
        for name in _names_with_bells(directory.path):
            if name.endswith(SUFFIX):
                try:
                    yield from _waiters_of(os.path.join(directory.path, name), directory)
                except (OSError, BadLockFile, Gone, KeyError):  # somebody else's, or being changed just now
                    continue


def _names_with_bells(path: str) -> set[str]:
    try:
        return {name.rpartition(".")[0] for name in os.listdir(path)}
    except OSError:  # it may be used, but not listed
        return set()


def _waiters_of(path: str, directory: Directory) -> list[_Waiter]:
    with Look(path, directory) as fd:
        head, definition = look_at_header(fd, None, path) if fd >= 0 else (b"", None)
        if definition is None:
            return []
        name = str((parse_line(head) or {})["name"])
        start = slots_start(name, definition.kind)
        file = _File(name, definition, take_census(fd, start)[0])
        inode = os.fstat(fd).st_ino
        for ticket, lane in sorted(all_tickets(fd)):
            seat = ticket % SEAT_COUNT
            fields = parse_line(os.pread(fd, SLOT_SIZE, start + SLOT_SIZE * seat_slot(seat))) or {}
            file.waiters.append(_Waiter(file, inode, ticket, lane, fields | {"yields": is_yielding(fd, seat)}))
        return file.waiters


class _Stuck:
    """Those who wait for ever, and for whom."""

    def __init__(self, waiters: list[_Waiter]) -> None:
        self.waiters = set(waiters)
        self._claims = _claims_of(waiters)
        while free := self._free():
            self.waiters -= free

    def blockers_of(self, waiter: _Waiter) -> list[_Waiter]:
        """Those without whom it could go on: who hold what it waits for, and who stand before it."""
        found = [other for holder in self._in_the_way(waiter) for other in self._claimants(waiter, holder)]
        return found + [other for other in waiter.file.waiters if other in self.waiters and waiter.yields_to(other)]

    def _free(self) -> set[_Waiter]:
        """Find all who need not wait, in one walk along each queue."""
        found = set()
        for file in {id(waiter.file): waiter.file for waiter in self.waiters}.values():
            before: dict[int, _Waiter] = {}  # of each lane somebody who stays, and so keeps those behind
            for waiter in file.waiters:
                if waiter not in self.waiters:
                    continue
                if any(map(waiter.yields_to, before.values())) or self._in_the_way(waiter):
                    if not waiter.yields:
                        before.setdefault(waiter.lane, waiter)
                else:
                    found.add(waiter)
        return found

    def _in_the_way(self, waiter: _Waiter) -> list[Holder]:
        """The holders that will not let go, as far as they keep the waiter out."""
        definition = waiter.file.definition
        staying = [holder for holder in waiter.file.holders if self._claimants(waiter, holder)]
        excluding = [holder for holder in staying if holder.code not in waiter.rule.compatible]
        counted = [holder for holder in staying if holder.code == "PR"] if waiter.rule.counted else []
        used = sum(_units_of(holder, definition) for holder in counted)
        if 0 < definition.capacity < waiter.weight + used:
            return excluding + counted
        return excluding

    def _claimants(self, waiter: _Waiter, holder: Holder) -> list[_Waiter]:
        claimants = [other for other in self._claims.get(id(holder), ()) if other in self.waiters]
        # Who converts its own hold does not wait for itself.
        return [other for other in claimants if not (other is waiter and waiter.held)]


def _units_of(holder: Holder, definition: Definition) -> int:
    """How many units of the capacity it holds; an element of a pool that was taken out meanwhile is none."""
    if definition.kind != POOL or holder.value is None:
        return holder.weight
    return sum(element in definition.elements for element in holder.value.split(","))


def _claims_of(waiters: list[_Waiter]) -> dict[int, list[_Waiter]]:
    """Return which waiters each holder belongs to, by its id; of holders that look alike each gets its share."""
    files = {waiter.inode: waiter.file for waiter in waiters}
    claims: dict[int, list[_Waiter]] = {}
    for waiter in waiters:
        for inode, code, weight, pid in waiter.holds:
            alike = [
                holder
                for holder in (files[inode].holders if inode in files else ())
                if (holder.code, holder.weight, holder.pid, holder.host) == (code, weight, pid, waiter.host)
            ]
            if alike:
                least = min(alike, key=lambda holder: len(claims.get(id(holder), ())))
                claims.setdefault(id(least), []).append(waiter)
    return claims


def _cycle_of(me: _Waiter, stuck: _Stuck) -> list[_Waiter]:
    """Return those who wait for me and I for them, each for the next one; nothing if I am in no cycle."""
    paths: dict[_Waiter, list[_Waiter]] = {}
    level = [[me]] if me in stuck.waiters else []
    while level:
        following = []
        for path in level:
            for other in stuck.blockers_of(path[-1]):
                if other is me:
                    return path
                if other not in paths:
                    paths[other] = [*path, other]
                    following.append(paths[other])
        level = following
    return []


def _text(cycle: list[_Waiter]) -> str:
    mine = cycle[0]
    links = []
    for before, waiter in zip([cycle[-1], *cycle], cycle, strict=False):
        queued = waiter.file is before.file and waiter.inode not in {inode for inode, *_ in waiter.holds}
        has = "stands first in the queue of" if queued else "holds"
        links.append(f'{waiter} {has} "{before.file.name}" and waits for "{waiter.file.name}" ({waiter.rule.name})')
    return f'would wait for ever for "{mine.file.name}" ({mine.rule.name}): ' + "; ".join(links)
