"""The descendants of a command: adopting those that lose their parent, and waiting for the last."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as in `supervisor`
import os

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
    """Whether the mark stands in the environment of a process; also if that cannot be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return True
    return not environment or os.fsencode(mark) in environment
