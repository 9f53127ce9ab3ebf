"""How long an acquisition goes on, from what filelock calls timeout, blocking and cancel_check."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LEAST_INTERVAL = 0.01
"""Seconds between two looks at a cancel_check, at least; a poll_interval of 0 would spin."""


class Patience:
    """One wait, or short ones in a row if it can be cancelled."""

    def __init__(self, seconds: float | None, interval: float, is_cancelled: Callable[[], bool] | None) -> None:
        self.endless = seconds is None
        self._deadline = inf if seconds is None else monotonic() + seconds
        self._interval = max(interval, _LEAST_INTERVAL)
        self._is_cancelled = is_cancelled

    def tries(self) -> Iterator[float | None]:
        """Yield how long the next try may take, None for ever. There is a first one even if the time is over."""
        yield 0.0 if self._is_cancelled else self._left()
        while monotonic() < self._deadline and not (self._is_cancelled and self._is_cancelled()):
            yield self._left()

    def _left(self) -> float | None:
        left = max(0.0, self._deadline - monotonic())
        if self._is_cancelled:
            left = min(left, self._interval)
        return None if left == inf else left


def limit(timeout: float, blocking: bool) -> float | None:
    """Say it in pylock's way: None is for ever, 0 one try."""
    if not blocking:
        return 0.0
    return None if timeout < 0 or timeout == inf else timeout


def as_seconds(timeout: float) -> float:
    if isinstance(timeout, bool):
        raise TypeError("timeout must be a number of seconds, not bool")
    return float(timeout)
