"""Running a command so that its lock outlives it: signals go through, and nobody lets go before the end.

The order of events is the point:

    0. the program is found         before anybody waits, as execvp(3) would find it
    1. signals are blocked          none can fall between the grant and the command, or between its end and the release
    2. the command is started       with the lock's descriptor, so that the lock survives a SIGKILL of the supervisor
    3. signals are taken one by one and handed on
    4. the command is reaped        (and, if asked, every descendant of it)
    5. the lock is released         by the caller, explicitly: daemons that inherited the descriptor do not keep it

The C module of signals is used directly: ``signal`` itself imports enum, which takes a third of the interpreter's
whole start.

Source for the rules: coreutils timeout(1), tini, and docs/explanation/signals.md.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # in every CPython and PyPy; typeshed has only its wrapper
import os
import stat
from errno import ENOEXEC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from signal import struct_siginfo
    from typing import Any

    from .terminal import Terminal

raw = _signal

FORWARDED = frozenset((
    raw.SIGTERM, raw.SIGHUP, raw.SIGQUIT, raw.SIGINT, raw.SIGUSR1, raw.SIGUSR2, raw.SIGALRM,
    *range(raw.SIGRTMIN, raw.SIGRTMAX + 1),
))  # fmt: skip
"""What a supervisor hands to its command. Source: the set that coreutils timeout forwards, and the real-time ones."""

UNSTOPPABLE = frozenset((raw.SIGKILL, raw.SIGSTOP))
_FROM_TERMINAL = frozenset((raw.SIGINT, raw.SIGQUIT, raw.SIGTSTP))
RESUMING = frozenset((raw.SIGTERM, raw.SIGHUP))
"""Followed by SIGCONT, as one that is stopped could not act on them."""
_IGNORED_BY_PYTHON = frozenset((raw.SIGPIPE, raw.SIGXFSZ))

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit statuses of shells for a command that cannot be run."""


class CannotRun(Exception):
    """The program cannot be run; ``exit_code`` is what shells return for that."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def find_program(name: str, path: str | None) -> str:
    """Return the file to execute. Raises CannotRun."""
    if not name:
        raise CannotRun("the command is an empty string", NOT_FOUND)
    if "/" in name:
        return _checked(name, name)
    denied = None
    for directory in (os.defpath if path is None else path).split(os.pathsep):
        candidate = os.path.join(directory or ".", name)
        try:
            return _checked(candidate, name)
        except CannotRun as error:
            if error.exit_code == NOT_EXECUTABLE:
                denied = denied or error
    raise denied or CannotRun(f"{name}: command not found; look at PATH, or give the whole path", NOT_FOUND)


def _checked(path: str, name: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise CannotRun(f"{name}: {error.strerror}", NOT_FOUND) from None
    if stat.S_ISDIR(mode):
        raise CannotRun(f"{name}: is a directory", NOT_EXECUTABLE)
    if not os.access(path, os.X_OK):
        raise CannotRun(f"{name}: permission denied; it is not executable", NOT_EXECUTABLE)
    return path


class Supervisor:
    """Runs one command at a time in the main thread of a process that has no other threads.

    ``ignore`` are signals that are swallowed and not handed on while the command runs. With ``new_group`` the command
    has a process group of its own and gets each signal exactly once; else it shares this process's group, and a
    signal to the group reaches it directly and is handed on besides. What a terminal sends is not handed on.
    """

    def __init__(self, ignore: Collection[int] = (), new_group: bool = False, whole_tree: bool = False) -> None:
        self._ignore = frozenset(ignore)
        self._new_group = new_group
        self._whole_tree = whole_tree
        inherited = {number for number in FORWARDED if raw.getsignal(number) is raw.SIG_IGN}
        self._taken = ((FORWARDED | self._ignore) - inherited) | {raw.SIGCHLD}
        if new_group:
            self._taken |= {raw.SIGTSTP}
        self._mask: Collection[int] = ()
        self._child = 0
        self.received: set[int] = set()
        """Signals that came while the command ran, but for those to ignore."""
        self._terminal: Terminal | None = None
        if new_group:
            from .terminal import Terminal  # as only a group of its own has to be given the terminal

            self._terminal = Terminal()
        if whole_tree:
            from . import descendants  # noqa: F401  # for later, whatever becomes of pylock's files until then

    def block_signals(self) -> None:
        """From now on signals wait until the command runs."""
        raw.signal(raw.SIGCHLD, raw.SIG_DFL)  # a caller may have it ignored, and then nobody can be waited for
        self._mask = raw.pthread_sigmask(raw.SIG_BLOCK, self._taken)

    def run(
        self, program: str, command: list[str], environment: Mapping[str, str], keep: Iterable[int],
        closed: Iterable[int], started: Callable[[], object], announce: Callable[[list[int]], None],
    ) -> int:  # fmt: skip
        """Run the command until it ends; return its wait status.

        ``keep`` are descriptors that it inherits, ``closed`` those of 0 to 2 that it shall not have. ``started``
        is called once it runs; ``announce`` is told the pids of descendants that are waited for after its own end.
        """
        if self._whole_tree:
            from .descendants import await_all, become_subreaper

            become_subreaper()
        self._child = self._start(program, command, environment, keep, closed)
        started()
        if self._terminal is not None:
            self._terminal.begin(self._child)
        status = self._relay_until_ended()
        if self._terminal is not None:
            self._terminal.take_back_from(self._child)
        if self._whole_tree:
            await_all(self._taken, self._hand_on_to_all, announce)
        return status

    def _start(
        self, program: str, command: list[str], environment: Mapping[str, str], keep: Iterable[int],
        closed: Iterable[int],
    ) -> int:  # fmt: skip
        # A dup2 of a descriptor onto itself makes it inheritable in the child only (posix_spawn(3), glibc 2.29).
        actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in keep]
        actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in closed]

        attributes: dict[str, Any] = {"setsigmask": self._mask, "setsigdef": _IGNORED_BY_PYTHON | self._ignore}
        if self._new_group:
            attributes["setpgroup"] = 0

        def spawn(path: str, words: list[str]) -> int:
            return os.posix_spawn(path, words, environment, file_actions=actions, **attributes)

        try:
            return spawn(program, command)
        except OSError as error:
            if error.errno != ENOEXEC:
                raise
            return spawn("/bin/sh", ["sh", program, *command[1:]])  # a script without #!, as execvp(3) has it

    def _relay_until_ended(self) -> int:
        while True:
            taken = raw.sigwaitinfo(self._taken)
            if taken.si_signo == raw.SIGCHLD:
                pid, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
                if self._whole_tree:
                    from .descendants import reap_orphans

                    reap_orphans(self._child)
                if pid and not os.WIFSTOPPED(status):
                    return status
                if pid and self._terminal is not None:
                    self._terminal.follow_stop(self._child, os.WSTOPSIG(status), self._send)
            else:
                self._hand_on(taken, self._send)

    def _hand_on(self, taken: struct_siginfo, send: Callable[[int], None]) -> None:
        signal = taken.si_signo
        # A positive code means the kernel; these it sends from a terminal, and to the whole group.
        from_terminal = taken.si_code > 0 and signal in _FROM_TERMINAL
        if signal in self._ignore:
            return
        self.received.add(signal)
        if from_terminal and not self._new_group:
            return
        send(signal)
        if signal in RESUMING:
            send(raw.SIGCONT)

    def _hand_on_to_all(self, taken: struct_siginfo, descendants: list[int]) -> None:
        """The same after the command's end; this process is in the terminal's foreground again, and stops with them."""

        def send(signal: int) -> None:
            for pid in descendants:
                os.kill(pid, signal)  # a child of ours, so its pid is its own

        self._hand_on(taken, send)
        has_terminal = self._terminal is not None and self._terminal.is_there
        if taken.si_signo == raw.SIGTSTP and has_terminal and raw.SIGTSTP not in self._ignore:
            from .terminal import stop_this_process

            stop_this_process()
            send(raw.SIGCONT)

    def _send(self, signal: int) -> None:
        """Signal the command; it has not been reaped, so that the pid is its own."""
        if self._new_group:
            os.killpg(self._child, signal)
        else:
            os.kill(self._child, signal)


def die_of(signal: int) -> int:
    """Die of the signal, as another process did, but without a core.

    Where that cannot be, return the exit status that a shell makes of it.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if signal not in UNSTOPPABLE:
        raw.signal(signal, raw.SIG_DFL)
    raw.pthread_sigmask(raw.SIG_UNBLOCK, [signal])
    os.kill(os.getpid(), signal)
    return 128 + signal


def restore_signals() -> None:
    """Undo what Python did to signals at its start, for a process that is about to become another program."""
    for number in _IGNORED_BY_PYTHON:
        raw.signal(number, raw.SIG_DFL)
