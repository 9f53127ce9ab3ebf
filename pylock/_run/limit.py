"""How long a command may run: TERM when the time is up, KILL when the grace is over too. Source: timeout(1)."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as in `supervisor`
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import struct_siginfo

GRACE = 10.0
"""Seconds between TERM and KILL, if nobody has said."""
TIMED_OUT = 124
_KILLED = 128 + int(_signal.SIGKILL)

_AGAIN = 1.0
"""The timer goes on each second: its signal is one with a SIGALRM that somebody sent and nobody has taken yet."""
_NEXT = 0.02
"""The same once there is nothing left but to kill: each generation of descendants shows when its parents have ended."""
_LONGEST = 1e9
"""Seconds that a timer can count everywhere."""


class Limit:
    """The limit of one command. The kernel's timer tells by a SIGALRM, which the supervisor takes as all signals.

    Invariants: the timer's signal comes from the kernel, all others from a process, which is how they are told apart.
    """

    def __init__(self, seconds: float, grace: float, text: str | None = None) -> None:
        self._seconds = seconds
        self.text = text or f"the command has run for {seconds:g} s, which is its limit: it is told to end"
        self._grace = grace
        self._deadline = 0.0
        self.is_up = False
        self._killed = False

    def begin(self) -> None:
        """The command has started."""
        self._set(self._seconds)

    def _set(self, seconds: float) -> None:
        self._deadline = monotonic() + seconds
        _signal.setitimer(_signal.ITIMER_REAL, min(max(seconds, 1e-6), _LONGEST), _AGAIN)

    def is_told_by(self, taken: struct_siginfo) -> bool:
        """Whether this signal is the timer's."""
        return bool(taken.si_signo == _signal.SIGALRM and taken.si_code > 0)

    def due(self) -> int | None:
        """Return the signal that the command gets now, if any."""
        if monotonic() < self._deadline - 0.001:
            return None
        if self.is_up:
            if not self._killed:
                _signal.setitimer(_signal.ITIMER_REAL, _NEXT, _NEXT)
            self._killed = True
            return int(_signal.SIGKILL)
        self.is_up = True
        self._set(self._grace)
        return int(_signal.SIGTERM)

    @property
    def exit_code(self) -> int:
        """What timeout(1) returns once the time was up."""
        return _KILLED if self._killed else TIMED_OUT
