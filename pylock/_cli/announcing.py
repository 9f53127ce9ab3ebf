"""Waiting visibly: each sleep of a wait is interrupted whenever the waiting line is due."""

from __future__ import annotations

from time import monotonic

from .._queue.drivers import drive, sleeping_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._queue.drivers import Result, Steps, Watched
    from .._request import Request
    from .waiting_line import WaitingLine

FIRST = 1.0
"""Seconds of waiting that are not worth a word, nor the loading of all that a word needs."""


def drive_announcing(steps: Steps[Result], requests: list[Request]) -> Result:
    """Like `drivers.drive`, with a waiting line for whichever of the locks is waited for."""
    announcer = _Announcer(requests)
    try:
        return drive(sleeping_by(announcer.sleep, steps))
    finally:
        announcer.end()


class _Announcer:
    """Shows the line when it is due."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests
        self._begun = monotonic()
        self._line: WaitingLine | None = None
        self.due = self._begun + FIRST

    def sleep(self, watched: Watched, seconds: float) -> Steps[bool]:
        """Sleep in pieces, cut at the moments when the line is due."""
        until = monotonic() + seconds
        ready = False
        while not ready and (left := until - monotonic()) > 0:
            ready = yield watched, max(min(left, self.due - monotonic()), 0)
            self._show_if_due()
        return ready

    def _show_if_due(self) -> None:
        if monotonic() < self.due:
            return
        if self._line is None:
            from .waiting_line import WaitingLine

            self._line = WaitingLine(self._requests, self._begun)
        self.due = self._line.show()

    def end(self) -> None:
        if self._line is not None:
            self._line.end()
