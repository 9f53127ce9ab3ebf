"""Timestamps: each holder gets the present time as a text that nobody else gets, ever.

A format has a grain, the shortest time in which its text changes: who comes twice in one grain waits for the next.
The lock file remembers the latest time given. Where the text does not tell the time zone, the clock on the wall
counts, so that the hour which comes twice in autumn gives no text twice; where it does, the time since 1970 counts.
"""

from __future__ import annotations

import re
from _thread import _local
from calendar import timegm
from time import localtime, strftime, time_ns

from .._file.layout import TIMESTAMP
from .._holds import Hold
from .._locks import Lock, checked_timeout
from .._request import Kind, make_request
from .state import attempt_with_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

    from .._modes import ModeRule
    from .._request import Attempt, Grant, Pieces, Request
    from .state import State

_SECOND = 1_000_000  # all times in microseconds
_GRAINS = dict.fromkeys("sScTXr", _SECOND) | dict.fromkeys("MR", 60 * _SECOND) | dict.fromkeys("HIkl", 3600 * _SECOND)
_ZONED = frozenset("zs")  # %Z is not enough: a zone may call its summer time the same
_SPECIFIER = re.compile(r"%[-_0^#]*\d*[EO]?([A-Za-z%+])|(#f+)")
_WIDTH = re.compile(r"%[-_0^#+]*(\d+)")
_MOST_WIDTH = 255
_SHORTEST_PAUSE = 0.001


def timestamp(
    name: str,
    format: str,
    *,
    capacity: int | None = 1,
    timeout: float | None = None,
    priority: int = 0,
    policy: str | None = None,
    reason: str | None = None,
    directory: str | PathLike[str] | None = None,
    create: bool = True,
    idle_lifespan: float | None = None,
) -> Timestamp:
    """Return the `Timestamp` of that name: each holder gets the local time in that format, and no two get the same.

    ``format`` is as for strftime(3), with ``#f`` to ``#ffffff`` for fractions of a second (``%f`` is six digits). It
    must change at least every hour; and be unique only as long as it does not repeat itself: for ever, with the year
    and everything down to its smallest part. The value is waited for until the clock shows a new one: also after the
    clock was set back, and in the hour that summer time repeats, if the format has no zone (``%z``).
    ``capacity`` is how many may have one at the same time. The other parameters are those of `lock`.

    Raises ValueError for a format that changes less often, or has a field of more than 255 characters; and as `lock`.
    """
    checked_timeout(timeout)
    request = make_request(
        name, "shared", capacity=capacity, priority=priority, policy=policy, reason=reason, directory=directory,
        create=create, idle_lifespan=idle_lifespan, kind=_TimestampKind(format),
    )  # fmt: skip
    return Timestamp(request, timeout)


class TimestampHold(Hold):
    """A hold of a timestamp."""

    __slots__ = ()

    @property
    def value(self) -> str:
        """The time, in the format that was asked for."""
        given = self.given
        assert isinstance(given, str)
        return given


class Timestamp(Lock[TimestampHold]):
    """A way to ask for timestamps; made by `timestamp`. All that `Lock` does, with holds that have a ``value``."""

    __slots__ = ()
    _face_of = TimestampHold


class _LastTry(_local):
    """The last try of this thread: one object may serve several."""

    kept_out: _TimestampKind | None = None
    """Who was refused only as the value of that moment was given already, and not by a holder or a clock far behind."""


_last_try = _LastTry()


class _TimestampKind(Kind):
    __slots__ = ("_format", "_grain", "_zoned")

    name = TIMESTAMP
    gives = True
    hindrance = "the value of this moment was given already, and the clock has not gone on"

    def __init__(self, format: str) -> None:
        if not isinstance(format, str):
            raise TypeError(f"the format must be a str, not {format!r}")
        self._format = format
        self._grain = _grain_of(format)
        self._zoned = any(letter in _ZONED for letter, _ in _SPECIFIER.findall(format))

    def attempt_in(self, mode: ModeRule) -> Attempt:
        return self._attempt

    def _attempt(self, fd: int, request: Request, seat: int | None) -> Grant | None:
        _last_try.kept_out = None
        return attempt_with_value(fd, request, self._next)

    def pause(self, seconds: float) -> float:
        """Until the next grain begins, if that is what is waited for."""
        if _last_try.kept_out is not self:
            return seconds
        left = self._grain - _wall(_now()) % self._grain
        return min(seconds, max(left / _SECOND, _SHORTEST_PAUSE))

    def _next(self, state: State, pieces: Pieces) -> str | None:
        """Note and return the text for this moment; None if it was given already."""
        now = _now()
        since = _wall(now) % self._grain  # the grain begins by the clock on the wall, which may stand half an hour off
        times = {"utc": now - since, "wall": _wall(now) - since}
        clock = "utc" if self._zoned else "wall"
        last: int = state.get(clock, 0)
        if times[clock] <= last:
            _last_try.kept_out = self if times[clock] == last else None
            return None
        for each, moment in times.items():
            state[each] = max(moment, state.get(each, 0))
        return _text(self._format, now)


def _grain_of(format: str) -> int:
    """Return the shortest time in which the text changes.

    Raises ValueError if that is more than an hour, and for a field so wide that to write it takes for ever.
    """
    for width in _WIDTH.findall(format):
        if len(width) > len(str(_MOST_WIDTH)) or int(width) > _MOST_WIDTH:
            raise ValueError(f"the format {format!r} has a field of {width} characters; {_MOST_WIDTH} are enough")
    grains = []
    for letter, fraction in _SPECIFIER.findall(format):
        if len(fraction) > len("#ffffff"):
            raise ValueError(f"the format {format!r} asks for {fraction}; a clock has six digits: #f to #ffffff")
        if fraction or letter == "f":
            digits = len(fraction) - 1 if fraction else 6
            grains.append(int(10 ** (6 - digits)))
        elif letter in _GRAINS:
            grains.append(_GRAINS[letter])
    if not grains:
        raise ValueError(f"the format {format!r} changes less than hourly; add %H, %M, %S or a fraction such as #fff")
    return min(grains)


def _now() -> int:
    return time_ns() // 1000


def _wall(moment: int) -> int:
    """The local time as if it were that of Greenwich, which is what a text without a zone shows."""
    seconds: int = timegm(localtime(moment // _SECOND))
    return seconds * _SECOND + moment % _SECOND


def _text(format: str, moment: int) -> str:
    digits = f"{moment % _SECOND:06}"

    def with_fraction(found: re.Match[str]) -> str:
        if found[2]:
            return digits[: len(found[2]) - 1]
        return digits if found[1] == "f" else found[0]

    return strftime(_SPECIFIER.sub(with_fraction, format), localtime(moment // _SECOND))
