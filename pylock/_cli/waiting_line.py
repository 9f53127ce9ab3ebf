"""The waiting line: what ``pylock run`` says on standard error while it waits."""

from __future__ import annotations

import os
import sys
from time import monotonic

from .._errors import harmless
from .._file.layout import POOL
from .._file.lockfile import Look
from .._process import identity
from .._run.terminal import in_foreground, is_dumb
from .._status import Contender, Holder, Waiter, closing, shorten, take_census

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._request import Request

AGAIN_ON_TERMINAL, AGAIN = 1.0, 60.0
"""Seconds from one line to the next."""

_Look = tuple["Request", tuple[Holder, ...], tuple[Waiter, ...], int, str]
"""The request that is waited for, who holds that lock, who waits for it, our place in the queue (0: none), and who
closed the lock, if it is."""


class WaitingLine:
    """One line, kept up to date in place in the foreground of a terminal, repeated once a minute elsewhere."""

    def __init__(self, requests: list[Request], begun: float) -> None:
        self._requests = requests
        self._begun = begun
        self._on_terminal = sys.stderr is not None and sys.stderr.isatty() and not is_dumb()
        self._in_place = False
        self._again = 0.0
        self._unread = False

    def show(self) -> float:
        """Write it, unless it is too early; return when it is due again."""
        now = monotonic()
        self._in_place = self._on_terminal and in_foreground()
        if self._in_place:
            room = _columns() - len("^C") - 1
            look = self._look()
            text = _text(now - self._begun, *look)
            if len(text) > room:
                text = _text(now - self._begun, *look, brief=True)
            self._emit(f"\r\x1b[K{shorten(text, max(room, 20))}")
        elif now >= self._again:
            self._again = now + AGAIN
            self._emit(_text(now - self._begun, *self._look()) + "\n")
        if self._unread:
            return float("inf")
        return now + (AGAIN_ON_TERMINAL if self._on_terminal else AGAIN)

    def end(self) -> None:
        if self._in_place and in_foreground():
            self._emit("\r\x1b[K")

    def _emit(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # nobody is there to read it
            self._unread = True

    def _look(self) -> _Look:
        """Of several locks show the first that is in the way: all are waited for, and some may be free."""
        looks = [self._look_at(request) for request in self._requests]
        queued = [look for look in looks if look[3]]
        return next((look for look in queued if look[4] or _blocking(*look[:2])), (queued or looks[-1:])[0])

    def _look_at(self, request: Request) -> _Look:
        with Look(request.path, request.directory) as fd:
            holders, waiters = take_census(fd, request.slots_start) if fd >= 0 else ((), ())
            is_closed = request.terms.limit == 0
            closed = f"closed {closing(fd, request.slots_start) or ''}".rstrip() if is_closed and fd >= 0 else ""
        place = next((waiter.place for waiter in waiters if waiter.pid == identity().pid), 0)
        return request, holders, waiters, place, closed


def _text(
    waited: float, request: Request, holders: tuple[Holder, ...], waiters: tuple[Waiter, ...], place: int, closed: str,
    brief: bool = False,
) -> str:  # fmt: skip
    """Say all; ``brief`` in so few words that on a narrow terminal only the end of the holder's command is cut."""
    name = shorten(request.name, 20 if brief else 255)
    text = f'waiting {_duration(waited)} for "{name}"{"" if brief else f" ({request.mode.name})"}'
    if request.kind.below:
        text += f' above "{request.kind.below}"'
    if not place and not request.create:
        text += ", which nobody else uses yet"
    if place:
        text += f", {'' if brief else 'place '}{place} of {len(waiters)}"
    if closed:
        text += f", which is {'closed' if brief else closed}"
    blocking = _blocking(request, holders)
    if not blocking and place > 1:
        text += _behind(waiters[0], brief)
    elif holders:
        text += _held_briefly(blocking or holders) if brief else _held(blocking or holders)
    return harmless(f"pylock: {text}")


def _blocking(request: Request, holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """Who of the holders keeps the request out; none if it is only kept waiting by those who are before it."""
    if request.kind.name == POOL:  # whose elements are not all alike
        return holders
    excluding = tuple(holder for holder in holders if holder.code not in request.mode.compatible)
    if excluding:
        return excluding
    sharing = tuple(holder for holder in holders if holder.code == "PR")
    used = sum(holder.weight for holder in sharing)
    return sharing if request.mode.counted and used + request.weight > request.terms.limit else ()


def _behind(first: Contender, brief: bool) -> str:
    """Who is before us, for a lock that we could have otherwise."""
    if brief and first.pid is not None:
        return f"; behind {_briefly(first)}"
    return f", behind {first}{_user(first)}, who waits for it before us ({first.mode})"


def _held(holders: tuple[Holder, ...]) -> str:
    more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    return f", held by {holders[0]}{_user(holders[0])}{more}"


def _user(contender: Contender) -> str:
    return f" (user {contender.user})" if contender.user else ""


def _held_briefly(holders: tuple[Holder, ...]) -> str:
    first = holders[0]
    more = f" +{len(holders) - 1}" if len(holders) > 1 else ""
    if first.pid is None:
        return f"; {first}{more}"
    return f"; held by {_briefly(first, more)}"


def _briefly(contender: Contender, more: str = "") -> str:
    """Who that is, and what for: the reason, or else the command."""
    where = "" if contender.present else f" on {contender.host}"
    stopped = " (stopped)" if contender.is_stopped else ""
    return f"pid {contender.shown_pid}{more}{where}{stopped}: {contender.reason or contender.command}"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80  # 0 where nobody has said
    except OSError:
        return 80


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
