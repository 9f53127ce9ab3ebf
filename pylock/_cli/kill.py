"""``pylock kill``: ends who holds a lock on this host, and says what it did.

1  a process is named by its pid and the moment of its start; both are looked at again before each signal. A record is
   no evidence: only who has the lock file open is signalled, which a forger of records cannot bring about
2  the signal goes to who is in the record: of `pylock run` it hands it on to its command
3  after the grace KILL goes to what that has started with the lock's descriptor, so that `run` reports it and lets
   go; a moment later to the process itself
4  whoever has the descriptor still, after that or because the process of the record is gone, holds it alone
"""

from __future__ import annotations

import os
import signal as signals
import sys
from errno import ENOSYS
from time import monotonic, sleep

from .._errors import harmless
from .._file.bytemap import ROOM, SEATS
from .._file.texts import from_os
from .._process import start_time, stat_fields
from .._run.limit import GRACE
from .._run.signals import name_of, number_of
from .._status import Contender, LockStatus, find_lock
from . import complain
from .options import exactly_one
from .settings import place
from .status import FREE, UNKNOWN
from .table import as_table
from .view import terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .options import Values

    _Bytes = frozenset[tuple[str, str]]
    """The first and last byte of each lock."""

SURVIVED = 1
"""Exit status if somebody still holds, or waits, who should not."""

_PARENT, _THREADS = 1, 17
"""Places in `stat_fields`."""
_LOOK = 0.02
_MOMENT = 1.0
"""Seconds after a KILL in which the dead are gone, and `run` has let go."""


class Process:
    """One process, not whoever has its number later."""

    __slots__ = ("pid", "start")

    def __init__(self, pid: int, start: int) -> None:
        self.pid = pid
        self.start = start

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and (self.pid, self.start) == (other.pid, other.start)

    def __hash__(self) -> int:
        return hash((self.pid, self.start))

    @property
    def is_there(self) -> bool:
        return bool(self.start) and start_time(self.pid) == self.start and not self._is_zombie()

    def _is_zombie(self) -> bool:
        """Whether all its threads have ended."""
        fields = stat_fields(self.pid)
        return not fields or (fields[0] == b"Z" and int(fields[_THREADS]) < 2)

    def send(self, number: int) -> bool:
        """Signal it; False if it is gone. Raises PermissionError."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        except OSError as error:
            if error.errno != ENOSYS:  # Linux before 5.3, where its number may be used again in the next line
                raise
            return self.is_there and _sent(lambda: os.kill(self.pid, number))
        try:
            # Whoever is found to have this start now is who the descriptor is of, or that one is dead.
            return self.is_there and _sent(lambda: signals.pidfd_send_signal(fd, number))
        finally:
            os.close(fd)


def _sent(send: Callable[[], None]) -> bool:
    try:
        send()
    except ProcessLookupError:
        return False
    return True


def kill(values: Values, operands: list[str]) -> int:
    """Carry out ``pylock kill``; return the exit status."""
    name = from_os(exactly_one(operands, "NAME"))
    where = place(values)
    number = number_of(values.get("signal", "TERM"))
    found = find_lock(name, where.directory)
    if found is None:
        complain(f'there is no lock "{name}"; looked {where}')
        return UNKNOWN
    wanted = _wanted(found, "waiters" in values)
    if not wanted:
        print(f'nobody holds "{harmless(name)}"')
        return FREE
    if "yes" not in values and sys.stdin is not None and sys.stdin.isatty() and not _confirmed(found):
        complain("nothing was done")
        return SURVIVED
    return _End(name, found.path, where.directory, "waiters" in values).carry_out(number, values.get("grace", GRACE))


def _wanted(found: LockStatus, with_waiters: bool) -> list[Contender]:
    """Who is to end, the last who waits first, so that none of them starts because others end."""
    return [*(reversed(found.waiters) if with_waiters else ()), *found.holders]


def _confirmed(found: LockStatus) -> bool:
    print(as_table((found,), found.path, width=terminal_width()))
    print("end them? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class _End:
    """The end of those who hold one lock."""

    def __init__(self, name: str, path: str, directory: str | None, with_waiters: bool) -> None:
        self._name = name
        self._path = path
        self._directory = directory
        self._with_waiters = with_waiters
        self._marked: dict[tuple[int | None, int | None, float | None], Contender] = {}
        """Who held, or waited, at the beginning; those who come later are not meant."""

    def carry_out(self, number: int, grace: float) -> int:
        self._marked = {self._key(contender): contender for contender in self._now()}
        begun = [self._begin(contender, number) for contender in self._marked.values()]
        if any(begun):
            self._wait(grace)
        for stage in (self._children, self._themselves, self._heirs):
            left = self._left()
            targets = [target for contender in left for target in stage(contender)]
            if targets:
                self._kill(targets)
                self._wait(_MOMENT)
        for contender in self._left():
            print(f"{harmless(str(contender))}: still {'waits' if hasattr(contender, 'place') else 'holds'}")
        return SURVIVED if self._left() else FREE

    def _now(self) -> list[Contender]:
        found = find_lock(self._name, self._directory)
        return _wanted(found, self._with_waiters) if found else []

    def _left(self) -> list[Contender]:
        """Those of the beginning who are still there."""
        return [contender for contender in self._now() if self._key(contender) in self._marked]

    def _key(self, contender: Contender) -> tuple[int | None, int | None, float | None]:
        since = None if self._with_waiters else contender.since  # who waited may hold meanwhile
        return contender.pid, contender.start, since

    def _begin(self, contender: Contender, number: int) -> bool:
        """Send it the signal; False if there is nobody to send it to."""
        if own := self._themselves(contender):
            self._send(own[0], number, str(contender))
            return True
        if heirs := self._heirs(contender):
            for heir in heirs:
                self._send(heir, number, f"pid {heir.pid}, which has the lock of {contender}")
            return True
        why = "is no process of this host that can be seen from here"
        if contender.present:
            why = f"is not seen to have the lock file open, which only its user {contender.user} and root can see"
        print(f"{harmless(str(contender))}: {why}; left alone")
        return False

    def _kill(self, targets: list[Process]) -> None:
        for target in dict.fromkeys(targets):
            self._send(target, signals.SIGKILL, f"pid {target.pid}")

    def _send(self, target: Process, number: int, text: str) -> None:
        try:
            sent = target.send(number)
            if sent and number in (signals.SIGTERM, signals.SIGHUP):
                target.send(signals.SIGCONT)  # one that is stopped could not act on it
            done = f"{name_of(number)} sent" if sent else "is gone already"
        except OSError as error:
            done = f"{name_of(number)} could not be sent: {error.strerror}"
        print(f"{harmless(text)}: {done}", flush=True)

    def _wait(self, seconds: float) -> None:
        until = monotonic() + seconds
        while self._left() and monotonic() < until:
            sleep(_LOOK)

    def _children(self, contender: Contender) -> list[Process]:
        """What the process of the record has started with the lock's descriptor, and holds by no other."""
        if not contender.present:
            return []
        having, pid = _who_has(self._path), contender.present[0]
        held = {locked for each in having if each.pid == pid for locked in each.locked}
        return [each.process for each in having if each.parent == pid and each.locked & held]

    def _themselves(self, contender: Contender) -> list[Process]:
        """The process of the record, if it can be true."""
        present = contender.present
        return [Process(*present)] if present and _descriptors(present[0], _file_at(self._path)) else []

    def _heirs(self, contender: Contender) -> list[Process]:
        """Who holds it in place of a process that is gone."""
        if contender.present or not (contender.was_here or contender.pid is None):
            return []
        others = {other.present[0] for other in self._now() if other.present}
        having = _who_has(self._path)
        theirs = {locked for each in having if each.pid in others for locked in each.locked}
        return [each.process for each in having if each.locked - theirs]


class _Having:
    """A process that has descriptors through which the lock is held."""

    __slots__ = ("locked", "parent", "process")

    def __init__(self, pid: int, locked: frozenset[_Bytes]) -> None:
        self.process = Process(pid, start_time(pid))
        fields = stat_fields(pid)
        self.parent = int(fields[_PARENT]) if fields else 0
        self.locked = locked
        """What is locked through each: no two holders lock the same, and who has copies of one descriptor does."""

    @property
    def pid(self) -> int:
        return self.process.pid


def _who_has(path: str) -> list[_Having]:
    file = _file_at(path)
    pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isascii() and entry.name.isdigit()]
    seen = [(pid, frozenset(filter(None, map(_locked, _descriptors(pid, file))))) for pid in pids]
    return [_Having(pid, locked) for pid, locked in seen if locked]


def _file_at(path: str) -> os.stat_result | None:
    """Which file it is; None if it is gone, so that nobody can be seen to have it open."""
    try:
        return os.stat(path)
    except OSError:
        return None


def _descriptors(pid: int, file: os.stat_result | None) -> list[str]:
    """The descriptors, in /proc, through which the process has the file open, as far as they can be seen."""
    return [fd for fd in _all_descriptors(pid) if file is not None and _is_of(fd, file)]


def _all_descriptors(pid: int) -> Iterator[str]:
    """Those of each thread; where the first one has ended, the others show them still."""
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            home = f"/proc/{pid}/task/{task}/fd"
            found = os.listdir(home)
            yield from (f"{home}/{fd}" for fd in found)
            if found:
                return
    except OSError:  # somebody else's, or it has just ended
        return


def _is_of(fd: str, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(fd), file)
    except OSError:  # closed meanwhile, or on a file server that is away
        return False


def _locked(fd: str) -> _Bytes | None:
    """What is locked through the descriptor, if some of it only holders lock. Source: proc_pid_fdinfo(5), lock."""
    task, _, number = fd.rpartition("/fd/")
    try:
        with open(f"{task}/fdinfo/{number}", encoding="ascii") as lines:
            locks = [line.split() for line in lines if line.startswith("lock:") and "OFDLCK" in line]
    except OSError:  # closed meanwhile
        return None
    holds = any(ROOM <= int(lock[-2]) < SEATS for lock in locks)
    return frozenset((lock[-2], lock[-1]) for lock in locks) if holds else None
