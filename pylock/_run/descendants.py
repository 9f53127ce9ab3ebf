"""The descendants of a command: adopting those that lose their parent, and waiting for the last."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as in `supervisor`
import os
from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from signal import struct_siginfo

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def become_subreaper() -> None:
    """Adopt the orphans among this process's descendants from now on."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become the reaper of the command's descendants (prctl)")


def children() -> list[int] | None:
    """The pids of all children; None where /proc does not tell. Source: proc_pid_task(5), children, since Linux 3.5."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
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


def bears(pid: int, mark: str) -> bool:
    """Whether the mark stands in the environment of a process; also if that cannot be read, or is empty."""
    environment = environment_of(pid)
    return not environment or os.fsencode(mark) in environment


def environment_of(pid: int) -> bytes | None:
    """The variables that a process was started with; None if they are hidden. A zombie has none."""
    try:
        while not (environment := _read(pid, "environ")) and not _has_no_variables(pid):
            sleep(0.001)
    except OSError:
        return None
    return environment


def _has_no_variables(pid: int) -> bool:
    """Whether it has none, and not only for a moment, as in the middle of an execve(2).

    The kernel says where the code ends only after it has put the variables there. Source: proc_pid_stat(5), fields 3,
    27, 50 and 51; load_elf_binary() of Linux.
    """
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    state, code_end, begin, end = fields[0], fields[24], fields[47], fields[48]
    return state in (b"Z", b"X") or (code_end != b"0" and begin == end)


def _read(pid: int, what: str) -> bytes:
    with open(f"/proc/{pid}/{what}", "rb") as file:
        return file.read()
