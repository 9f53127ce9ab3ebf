"""Waiting visibly: the steps of a wait, interrupted whenever the waiting line is due."""

from __future__ import annotations

from time import monotonic

from .._queue.drivers import Finished, advance, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._queue.drivers import Result, Steps
    from .._request import Request
    from .waiting_line import WaitingLine

FIRST = 1.0
"""Seconds of waiting that are not worth a word, nor the loading of all that a word needs."""


def drive_announcing(steps: Steps[Result], requests: list[Request]) -> Result:
    """Like `drivers.drive`, with a waiting line for whichever of the locks is waited for."""
    announcer = _Announcer(requests)
    try:
        return drive(_interrupted(steps, announcer))
    finally:
        announcer.end()


class _Announcer:
    """Shows the line when it is due."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests
        self._begun = monotonic()
        self._line: WaitingLine | None = None
        self.due = self._begun + FIRST

    def show_if_due(self) -> None:
        if monotonic() < self.due:
            return
        if self._line is None:
            from .waiting_line import WaitingLine

            self._line = WaitingLine(self._requests, self._begun)
        self.due = self._line.show()

    def end(self) -> None:
        if self._line is not None:
            self._line.end()


def _interrupted(steps: Steps[Result], announcer: _Announcer) -> Steps[Result]:
    """The same steps, each sleep cut in pieces at the moments when the line is due."""
    try:
        fd, seconds = advance(steps)
        while True:
            until = monotonic() + seconds
            rung = False
            while not rung and (left := until - monotonic()) > 0:
                rung = yield fd, max(min(left, announcer.due - monotonic()), 0)
                announcer.show_if_due()
            fd, seconds = advance(steps, rung)
    except Finished as end:
        result: Result = end.result
        return result
    finally:
        steps.close()
