"""The controlling terminal: which process group is in its foreground, and handing that place on and taking it back."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as in `supervisor`
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def is_dumb() -> bool:
    """Whether the terminal, by what it is called, knows no way to write in place."""
    return os.environ.get("TERM") in ("dumb", "unknown")


class Terminal:
    """The controlling terminal, if this process has one."""

    def __init__(self) -> None:
        self._own = os.getpgrp()
        self._fd = next((fd for fd in (0, 1, 2) if _foreground_of(fd) is not None), -1)
        self._opened = -1
        if self._fd < 0:
            try:
                self._fd = self._opened = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
            except OSError:
                pass

    @property
    def is_there(self) -> bool:
        return self._fd >= 0

    def begin(self, group: int) -> None:
        """Hand it to a group that was just started; one without it among 0 to 2 gets it when it asks for it."""
        if self._opened < 0:
            self.hand_to(group)

    def hand_to(self, group: int) -> bool:
        """Make the group the foreground one; False if this process is in the background, and has nothing to give."""
        return self.is_there and _foreground_of(self._fd) == self._own and self._set(group)

    def take_back_from(self, group: int) -> None:
        if self.is_there and _foreground_of(self._fd) == group:
            self._set(self._own)

    def follow_stop(self, group: int, signal: int, send: Callable[[int], None]) -> None:
        """The group was stopped by the signal: stop too, so that the shell gets its terminal, and go on with it later.

        ``send`` signals the group.
        """
        if not self.is_there or signal == _signal.SIGSTOP:
            return  # no terminal did this, and who has stopped the group will let it go on
        has_it = _foreground_of(self._fd) == group
        if signal in (_signal.SIGTTIN, _signal.SIGTTOU) and (has_it or self.hand_to(group)):
            send(_signal.SIGCONT)  # it asked for the terminal before it was given to it
            return
        self.take_back_from(group)
        stop_this_process()
        self.hand_to(group)
        send(_signal.SIGCONT)

    def close(self) -> None:
        if self._opened >= 0:
            os.close(self._opened)
            self._fd = self._opened = -1

    def _set(self, group: int) -> bool:
        # From the background this is allowed only while SIGTTOU is blocked: tcsetpgrp(3).
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGTTOU])
        try:
            os.tcsetpgrp(self._fd, group)
        except OSError:
            return False
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
        return True


def stop_this_process() -> None:
    """Stop as by Ctrl-Z, from the main thread; where no shell is there to let this go on, the kernel stops nobody.

    Source: setpgid(2), orphaned process groups.
    """
    before = _signal.signal(_signal.SIGTSTP, _signal.SIG_DFL)
    os.kill(os.getpid(), _signal.SIGTSTP)
    mask = _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGTSTP])  # and here it stops
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
    if before is not None:
        _signal.signal(_signal.SIGTSTP, before)


def _foreground_of(fd: int) -> int | None:
    """The group in the foreground of the terminal; None if that is not this process's own terminal."""
    try:
        return os.tcgetpgrp(fd)
    except OSError:
        return None


def in_foreground() -> bool:
    """Whether a terminal's Ctrl-C reaches this process, and so a command in its group."""
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
