"""The descendants of a command: adopting those that lose their parent, and waiting for the last."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as in `supervisor`
import os
from errno import EMFILE, ENFILE, ENOMEM
from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from signal import struct_siginfo

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_MOMENT = 0.001


def become_subreaper() -> None:
    """Adopt the orphans among this process's descendants from now on."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become the reaper of the command's descendants (prctl)")


def children() -> list[int] | None:
    """The pids of all children; None where /proc does not tell. Source: proc_pid_task(5), children, since Linux 3.5.

    While somebody else in this process reaps, one that lives may be missing; see there.
    """
    try:
        return [int(pid) for pid in _read("self", f"task/{os.getpid()}/children").split()]
    except OSError:
        return None


def await_all(
    signals: Collection[int],
    hand_on: Callable[[struct_siginfo, list[int]], None],
    announce: Callable[[list[int]], None],
    mark: str,
    others: Collection[int],
) -> None:
    """Wait until the last has ended, and ``hand_on`` to all of them what comes of these blocked signals.

    ``announce`` is told once which pids are waited for. ``others`` are children that are none of the command's; where
    there are some, the command's bear the ``mark`` in their environment.
    """
    told = False
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        known = children()
        left = [pid for pid in known or () if pid not in others and bears(pid, mark)]
        if known is not None and not left:
            return
        if not told:
            announce(left)
            told = True
        taken = _signal.sigwaitinfo(signals)
        if taken.si_signo != _signal.SIGCHLD:
            hand_on(taken, left)


class Family:
    """The orphans of one command that this process has adopted, among its other children, by a variable that it has."""

    def __init__(self, variable: str) -> None:
        self._variable = variable.encode()
        self._others = frozenset(children() or ())
        """Children from before the start."""

    def pids(self) -> list[int]:
        """Who they are, as far as they tell; of zombies it is not known."""
        return [pid for pid in children() or () if self._is_of_command(pid)]

    def await_end(self) -> None:
        """Reap all of them, and wait for those that come.

        Those that hide their variables are waited for as well, if they were not there before, but reaped by whoever
        has started them. Looked at twice, as one may be missing while another thread reaps.
        """
        while left := self._left() or self._left():
            is_ours = self._is_of_command(left[0])
            try:
                os.waitid(os.P_PID, left[0], os.WEXITED | (0 if is_ours else os.WNOWAIT))
            except ChildProcessError:  # somebody else in this program has waited for it
                pass

    def _left(self) -> list[int]:
        return [pid for pid in children() or () if pid not in self._others and self._is_of_command(pid) is not False]

    def _is_of_command(self, pid: int) -> bool | None:
        """None if it does not tell."""
        environment = environment_of(pid)
        return None if environment is None else self._variable in environment.split(b"\0")


def bears(pid: int, mark: str) -> bool:
    """Whether the mark stands in the environment of a process; also if that cannot be read, or is empty."""
    environment = environment_of(pid)
    return not environment or os.fsencode(mark) in environment


def environment_of(pid: int) -> bytes | None:
    """The variables that a process was started with; None if they are hidden, b"" if it has ended."""
    try:
        while not (environment := _variables(pid)):
            has_none = _has_no_variables(pid)
            if has_none is not None:
                return environment if has_none else None
            sleep(_MOMENT)
    except (FileNotFoundError, ProcessLookupError):
        return b""
    except OSError:  # it has become another user
        return None
    return environment


def _variables(pid: int) -> bytes:
    try:
        return _read(pid, "environ")
    except ProcessLookupError:  # a zombie, or one that is gone
        return b""


def _has_no_variables(pid: int) -> bool | None:
    """Whether it has none; None if that is so for a moment only, in the middle of an execve(2).

    The kernel says where the code ends only after it has put the variables there. Those of a process whose first thread
    has ended before the others are hidden. Source: proc_pid_stat(5), fields 3, 20, 27, 50 and 51; load_elf_binary() of
    Linux.
    """
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    state, threads, code_end, begin, end = (fields[place] for place in (0, 17, 24, 47, 48))
    if state in (b"Z", b"X"):
        return int(threads) < 2
    return True if code_end != b"0" and begin == end else None


def _read(pid: int | str, what: str) -> bytes:
    """Read a file of a process, as soon as there is a descriptor and memory for it."""
    while True:
        try:
            with open(f"/proc/{pid}/{what}", "rb") as file:
                return file.read()
        except OSError as error:
            if error.errno not in (EMFILE, ENFILE, ENOMEM):
                raise
        sleep(_MOMENT)
