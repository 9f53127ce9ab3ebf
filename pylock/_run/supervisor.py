"""Running a command so that its lock outlives it: signals go through, and nobody lets go before the end.

The order of events is the point:

    0. the program is found         before anybody waits: `programs.find_program`
    1. signals are blocked          none can fall between the grant and the command, or between its end and the release
    2. the command is started       with the lock's descriptor, so that the lock survives a SIGKILL of the supervisor
    3. signals are taken one by one and handed on
    4. the command is reaped        (and, if asked, every descendant of it)
    5. the lock is released         by the caller, explicitly: daemons that inherited the descriptor do not keep it

Only step 2 can fail. From then on nothing but the end of the command leads to step 5: a signal that may not be sent,
because the command has become another user, is told and not handed on.

The C module of signals is used directly: ``signal`` itself imports enum, which takes a third of the interpreter's
whole start.

Source for the rules: coreutils timeout(1), tini, and docs/explanation/signals.md.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # in every CPython and PyPy; typeshed has only its wrapper
import os
from errno import ENOEXEC

from .descendants import await_all, become_subreaper, children
from .programs import CannotRun
from .terminal import Terminal, stop_this_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from signal import struct_siginfo
    from typing import Any

    from .limit import Limit

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


class Supervisor:
    """Runs one command in the main thread of a process that has no other threads.

    ``ignore`` are signals that are swallowed and not handed on while the command runs. With ``new_group`` the command
    has a process group of its own and gets each signal exactly once; else it shares this process's group, and a
    signal to the group reaches it directly and is handed on besides. What a terminal sends is not handed on. With
    ``whole_tree`` every descendant is waited for too. The command is started with the signals of ``keep_ignored``
    ignored, as this process ignores them. ``tell`` is given what the user should know. ``limit`` is how long the
    command may run; ``may_be_ended``: `end_by` may be called.
    """

    def __init__(
        self, ignore: Collection[int], new_group: bool, whole_tree: bool, keep_ignored: Collection[int],
        tell: Callable[[str], object], limit: Limit | None = None, may_be_ended: bool = False,
    ) -> None:  # fmt: skip
        self._limit = limit
        self._ignore = frozenset(ignore)
        self._new_group = new_group
        self._whole_tree = whole_tree
        self._tell = tell
        self._default = (_IGNORED_BY_PYTHON | self._ignore) - frozenset(keep_ignored)
        """What the command gets at its default."""
        inherited = {number for number in FORWARDED if raw.getsignal(number) is raw.SIG_IGN}
        self._taken = ((FORWARDED | self._ignore) - inherited) | {raw.SIGCHLD}
        if new_group:
            self._taken |= {raw.SIGTSTP}
        if limit is not None or may_be_ended:
            self._taken |= {raw.SIGALRM}  # a blocked signal is queued even if it is ignored
        self.received: set[int] = set()
        """Signals that came while the command ran, but for those to ignore."""
        self._undelivered: set[int] = set()
        self._mask: Collection[int] = ()
        self.child = 0
        """The pid of the command, once it runs."""
        self._terminal = Terminal() if new_group else None
        self._others = frozenset(children() or ()) if whole_tree else frozenset()
        """Children that this process had already, by an exec in a shell."""

    def block_signals(self) -> None:
        """From now on signals wait until the command runs."""
        raw.signal(raw.SIGCHLD, raw.SIG_DFL)  # a caller may have it ignored, and then nobody can be waited for
        self._mask = raw.pthread_sigmask(raw.SIG_BLOCK, self._taken)

    def start(
        self, program: str, command: list[str], environment: Mapping[str, str], keep: Iterable[int],
        closed: Iterable[int],
    ) -> None:  # fmt: skip
        """Start the command, which inherits the descriptors ``keep``, and not those of 0 to 2 that are ``closed``.

        Raises CannotRun, and OSError where no process can be made.
        """
        if self._whole_tree:
            become_subreaper()
        # A dup2 of a descriptor onto itself makes it inheritable in the child only (posix_spawn(3), glibc 2.29).
        actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in keep]
        actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in closed]
        attributes: dict[str, Any] = {"setsigmask": self._mask, "setsigdef": self._default}
        if self._new_group:
            attributes["setpgroup"] = 0

        def spawn(path: str, words: list[str]) -> int:
            return os.posix_spawn(path, words, environment, file_actions=actions, **attributes)

        try:
            try:
                self.child = spawn(program, command)
            except OSError as error:
                if error.errno != ENOEXEC:
                    raise
                # a script without #!, as execvp(3) has it
                self.child = spawn("/bin/sh", ["sh", program, *command[1:]])
        except OSError as error:
            raise CannotRun.by(error, command[0], program) from error
        if self._limit is not None:
            self._limit.begin()

    def wait(self, mark: str, announce: Callable[[list[int]], None]) -> int:
        """Wait until the command has ended; return its wait status.

        ``mark`` stands in the environment of the command; ``announce`` is told the pids of descendants that are waited
        for after its own end.
        """
        if self._terminal is not None:
            self._terminal.begin(self.child)
        while (status := self._taken_status()) is None:
            pass
        if self._terminal is not None:
            self._terminal.take_back_from(self.child)
        if self._whole_tree:
            if self._limit is not None and self._limit.is_up:
                self._tell_orphans_to_end()
            await_all(self._taken, self._hand_on_to_all, announce, mark if self._others else "", self._others)
        return status

    def end_by(self, limit: Limit) -> None:
        """Give the running command this limit, unless it is being ended already; from another thread."""
        if self._limit is None or not self._limit.is_up:
            self._limit = limit
            limit.begin()

    def _taken_status(self) -> int | None:
        """Take one signal; return how the command ended if that is what it told."""
        taken = raw.sigwaitinfo(self._taken)
        if taken.si_signo == raw.SIGCHLD:
            return self._reap()
        self._hand_on(taken, self._send)
        return None

    def _reap(self) -> int | None:
        """Reap whoever has ended: also orphans, where this is the first process of a container, or adopts them."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if pid == self.child and not os.WIFSTOPPED(status):
                return status
            if pid == self.child and self._terminal is not None:
                self._terminal.follow_stop(self.child, os.WSTOPSIG(status), self._send)
            elif not pid:
                return None

    def _hand_on(self, taken: struct_siginfo, send: Callable[[int], None]) -> None:
        signal = taken.si_signo
        if self._limit is not None and self._limit.is_told_by(taken):
            self._end_by(self._limit, send)
            return
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

    def _end_by(self, limit: Limit, send: Callable[[int], None]) -> None:
        signal = limit.due()
        if signal is None:
            return
        if signal == raw.SIGTERM:
            self._tell(limit.text)
        send(signal)
        if signal in RESUMING:
            send(raw.SIGCONT)

    def _tell_orphans_to_end(self) -> None:
        """Who has left the command's group was not told when the time was up."""
        for pid in set(children() or ()) - self._others:
            for signal in (raw.SIGTERM, raw.SIGCONT):
                self._deliver(os.kill, pid, signal)

    def _hand_on_to_all(self, taken: struct_siginfo, descendants: list[int]) -> None:
        """The same after the command's end; this process is in the terminal's foreground again, and stops with them."""

        def send(signal: int) -> None:
            for pid in descendants:
                self._deliver(os.kill, pid, signal)  # a child of ours, so its pid is its own

        self._hand_on(taken, send)
        has_terminal = self._terminal is not None and self._terminal.is_there
        if taken.si_signo == raw.SIGTSTP and has_terminal and raw.SIGTSTP not in self._ignore:
            stop_this_process()
            send(raw.SIGCONT)

    def _send(self, signal: int) -> None:
        """Signal the command; it has not been reaped, so that the pid is its own."""
        self._deliver(os.killpg if self._new_group else os.kill, self.child, signal)

    def _deliver(self, send: Callable[[int, int], None], pid: int, signal: int) -> None:
        try:
            send(pid, signal)
        except ProcessLookupError:  # a group whose last process has just ended
            pass
        except OSError as error:
            if signal not in self._undelivered:
                self._undelivered |= {signal, raw.SIGCONT}  # which only follows another
                self._tell(undelivered(f"signal {signal}", pid, error))


def undelivered(signal: str, pid: int, error: OSError) -> str:
    """Say that a signal could not be handed on."""
    return f"{signal} could not be handed on to pid {pid}: {error.strerror}; the lock is held until that ends"


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


def restore_signals(keep_ignored: Collection[int]) -> None:
    """Undo what Python did to signals at its start, for a process that is about to become another program."""
    for number in _IGNORED_BY_PYTHON - frozenset(keep_ignored):
        raw.signal(number, raw.SIG_DFL)
