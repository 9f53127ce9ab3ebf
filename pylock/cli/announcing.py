"""The waiting line: what ``pylock run`` says on standard error while it waits."""

from __future__ import annotations

import os
import sys
from time import monotonic

from ..fronts import drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..census import Holder, Waiter
    from ..fronts import Result, Steps
    from ..request import Request

FIRST = 1.0
"""Seconds of waiting that are not worth a word."""
AGAIN_ON_TERMINAL, AGAIN = 1.0, 60.0


def drive_announcing(steps: Steps[Result], requests: list[Request]) -> Result:
    """Like `fronts.drive`, with a waiting line for whichever of the locks is waited for."""
    line = _WaitingLine(requests)
    try:
        return drive(_interrupted(steps, line))
    finally:
        line.end()


def _interrupted(steps: Steps[Result], line: _WaitingLine) -> Steps[Result]:
    """The same steps, each sleep cut in pieces at the moments when the line is due."""
    try:
        fd, seconds = next(steps)
        while True:
            until = monotonic() + seconds
            rung = False
            while not rung and (left := until - monotonic()) > 0:
                rung = yield fd, max(min(left, line.due - monotonic()), 0)
                if monotonic() >= line.due:
                    line.show()
            fd, seconds = steps.send(rung)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        steps.close()


class _WaitingLine:
    """One line, kept up to date in place on a terminal, repeated once a minute elsewhere."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests
        self._begun = monotonic()
        self._on_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = False
        self.due = self._begun + FIRST

    def show(self) -> None:
        now = monotonic()
        self.due = now + (AGAIN_ON_TERMINAL if self._on_terminal else AGAIN)
        self._write(self._text(now - self._begun))

    def end(self) -> None:
        if self._shown and self._on_terminal:
            self._emit("\r\x1b[K")

    def _write(self, text: str) -> None:
        from ..census import shorten

        self._shown = True
        if self._on_terminal:
            self._emit(f"\r\x1b[K{shorten(text, _columns() - len('^C') - 1)}")
        else:
            self._emit(text + "\n")

    def _emit(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # nobody is there to read it
            self.due = float("inf")

    def _text(self, waited: float) -> str:
        for request in self._requests:
            holders, waiters = _census(request)
            place = next((waiter.place for waiter in waiters if waiter.pid == os.getpid()), 0)
            if place:
                break
        text = f'pylock: waiting {_duration(waited)} for "{request.name}" ({request.mode.name})'
        if request.kind and request.kind.below:
            text += f' above "{request.kind.below}"'
        if not place and not request.create:
            text += ", which nobody else uses yet"
        if place:
            text += f", place {place} of {len(waiters)}"
        if request.terms.limit == 0:
            text += ", which is closed"
        if holders:
            more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
            text += f", held by {holders[0]} (user {holders[0].user}){more}"
        return text


def _census(request: Request) -> tuple[tuple[Holder, ...], tuple[Waiter, ...]]:
    from ..census import opened, take_census  # with all that a short wait never needs

    with opened(request.path, request.directory.remote) as fd:
        return take_census(fd, request.slots_start) if fd >= 0 else ((), ())


def _columns() -> int:
    try:
        return max(os.get_terminal_size(sys.stderr.fileno()).columns, 40)
    except OSError:
        return 80


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
