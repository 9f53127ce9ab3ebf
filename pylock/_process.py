"""Who this process is, and whether it was forked off since. What people are told of it is from /proc."""

from __future__ import annotations

import os
import sys
from _io import FileIO
from _thread import RLock, get_ident
from itertools import compress
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MADV_WIPEONFORK = 18
"""Source: madvise(2), since Linux 4.14; Python 3.11 does not name it."""


_STAT, _BOOT_ID = "/proc/self/stat", "/proc/sys/kernel/random/boot_id"


class _RLock(RLock):  # type: ignore[misc]  # typeshed says that it is final, and it is not
    """For Python 3.14, whose with statement looks for signals after it has entered and before its block begins.

    A handler that raises there would leave the lock taken for ever, and every other thread hang. Neither 3.13 nor 3.15
    looks there; of 50 000 signals every second one hit in 3.14.8 and 3.14.10.
    """

    def __enter__(self) -> bool:  # type: ignore[override]
        taken: list[bool] = []
        try:
            taken.extend(map(self.acquire, (True,)))  # stored before any Python code can run
        except BaseException:
            if taken:
                self.release()
            raise
        return True


new_lock: type[RLock] = _RLock if sys.version_info[:2] == (3, 14) else RLock
"""Makes what ``with`` lets go of in any case, also when a signal handler raises."""

loading = new_lock()
"""Held while a room is loaded that is needed seldom: no fork falls between, whose child would wait for it for ever."""

_held_over_fork: list[Callable[[], RLock]] = [lambda: loading]
_taken: dict[int, list[RLock]] = {}
"""Those that are held over a fork, by the thread that forks."""
_forgetting: list[Callable[[], None]] = []
_identity: Identity | None = None


class Identity:
    """What identifies a process for people: shown in status and errors, never used to decide who holds."""

    __slots__ = ("boot", "host", "namespace", "pid", "start", "uid")

    def __init__(self, pid: int, start: int, host: str, boot: str, uid: int, namespace: int) -> None:
        self.pid = pid
        self.start = start
        """Clock ticks from boot to the start of the process: with pid and boot id, unique for ever."""
        self.host = host
        self.boot = boot
        self.uid = uid
        """The number, as in a file's owner: to ask for the name, of a server perhaps, is left to whoever looks."""
        self.namespace = namespace
        """In which its pid counts: pid_namespaces(7)."""

    @property
    def is_whole(self) -> bool:
        """Whether /proc told all that it has, as it does not where no descriptor is left for a look."""
        return bool(self.start or not os.path.exists(_STAT)) and bool(self.boot or not os.path.exists(_BOOT_ID))


class _Pid:
    """Stands in for the page where the kernel cannot wipe it: a system call takes six times as long to tell."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, place: int) -> bool:
        return os.getpid() == self._pid


Mark = mmap | _Pid | tuple[int]
"""What says, by its first element, whether it is still in the process that made it: see `mark`."""


def _new_mark() -> Mark:
    try:
        page = mmap(-1, 1, MAP_PRIVATE | MAP_ANONYMOUS)
        page.madvise(_MADV_WIPEONFORK)
    except OSError:
        return _Pid()
    page[0] = 1
    return page


mark = _new_mark()
"""A page of memory that the kernel wipes in every forked child, so that ``mark[0]`` is true in this process alone.

So whatever keeps it knows, for the price of reading a byte, that it belongs to a parent; also in a child that C code
forked without Python's hooks, as uWSGI does. A child has a mark of its own, from `current` on.
"""
ELSEWHERE: Mark = (0,)
"""The mark of what belongs to another process, whichever it is."""


def current() -> Mark:
    """Return the mark of this process, after a look whether it was forked off unnoticed."""
    if not mark[0]:
        _forget_parent()
    return mark


def forget_in_child(forget: Callable[[], None]) -> None:
    """Have it called in each forked child, before anything else is done there; perhaps more than once."""
    _forgetting.append(forget)


def _forget_parent() -> None:
    global _identity, mark
    for forget in _forgetting:
        forget()
    _identity = None
    mark = _new_mark()


def hold_over_fork(lock: Callable[[], RLock]) -> None:
    """Have the lock that this returns taken before each fork, so that none falls between what is done under it."""
    _held_over_fork.append(lock)


def _before_fork() -> None:
    """Take all of them, waiting for none with another one in hand, as other threads may take them in any order.

    What is taken is noted, and let go of, before any Python code can run, as a signal handler may raise.
    """
    taken = _taken[get_ident()] = []
    locks = [lock() for lock in _held_over_fork]
    while len(taken) < len(locks):
        wanted = locks[len(taken)]
        before = len(taken)
        taken.extend(compress((wanted,), map(wanted.acquire, (not taken,))))
        if len(taken) == before:
            _let_go(taken)
            locks.sort(key=lambda each: each is not wanted)  # which is the one to wait for


def _after_fork() -> None:
    _let_go(_taken.get(get_ident(), []))


def _let_go(taken: list[RLock]) -> None:
    any(map(RLock.release, taken))
    taken.clear()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
os.register_at_fork(after_in_child=_forget_parent)


def identity() -> Identity:
    """Return the identity of this process, read until it is whole."""
    if _identity is None or not _identity.is_whole:
        speak_for(os.getpid() if _identity is None else _identity.pid)
    assert _identity is not None
    return _identity


def speak_for(pid: int) -> None:
    """From now on `identity` is that of another process, for which this one takes locks."""
    global _identity
    _identity = Identity(pid, start_time(pid), os.uname().nodename, _boot_id(), os.geteuid(), _namespace())


def command_line(pid: int | str = "self") -> str:
    """Return the command line of a process as it is now, or at least as much as a record has room for."""
    words = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0")
    return b" ".join(words).decode("utf-8", "surrogateescape")  # as names are, whatever the locale


def start_time(pid: int) -> int:
    """Return when the process started, as `Identity.start`; 0 if there is none, or it cannot be told."""
    fields = stat_fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def is_stopped(pid: int) -> bool:
    """Whether a signal, as Ctrl-Z sends one, or a debugger keeps the process from going on."""
    return stat_fields(pid)[:1] in ([b"T"], [b"t"])


def stat_fields(pid: int) -> list[bytes]:
    """The fields that follow the command in parentheses; none if it is gone. Source: proc_pid_stat(5), from field 3."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _boot_id() -> str:
    return _read(_BOOT_ID).decode("ascii", "replace").strip()


def _read(path: str) -> bytes:
    """Read a small file, without a buffer, which takes longer to make than the file to read.

    And without ``open``, which is no builtin any more when objects are collected at the interpreter's end.
    """
    try:
        with FileIO(path) as file:
            return file.read(4096)
    except OSError:  # /proc may be hidden or absent; an identity is only for show
        return b""
