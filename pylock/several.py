"""Several locks at once: all or none, and no deadlock, in whatever order anybody names them.

Everybody takes them in one order, that of their files. A waiter holds what stands before it in that order, so that
nobody who asks for many is starved by those who ask for few.
"""

from __future__ import annotations

from time import monotonic

from .locks import Hold, Lock, check_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from .locks import Front


class Holds:
    """The holds of several locks, released together. ``holds`` are in the order in which the locks were named."""

    def __init__(self, holds: tuple[Hold, ...]) -> None:
        self.holds = holds

    def release(self) -> None:
        """Release all; if one fails the others are released all the same, and the first error is raised."""
        failures: list[BaseException] = []
        for hold in reversed(self.holds):
            try:
                hold.release()
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def check(self) -> None:
        """As `Hold.check`, for each."""
        for hold in self.holds:
            hold.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Several:
    """A way to ask for several locks at once; made by `all_of`."""

    def __init__(self, locks: tuple[Lock, ...]) -> None:
        self._locks = locks
        self._entered: list[Holds] = []

    def acquire(self, timeout: float | None = None, front: Front | None = None) -> Holds:
        """Wait for all of them, ``timeout`` seconds in all; the locks' own timeouts do not count.

        Raises as `Lock.acquire`; then none is held.
        """
        taken: dict[Lock, Hold] = {}
        try:
            for lock, left in self._turns(timeout):
                taken[lock] = lock.acquire(left, front)
        except BaseException:
            _let_go(taken)
            raise
        return Holds(tuple(taken[lock] for lock in self._locks))

    async def acquire_async(self, timeout: float | None = None) -> Holds:
        """As `acquire`, for asyncio."""
        taken: dict[Lock, Hold] = {}
        try:
            for lock, left in self._turns(timeout):
                taken[lock] = await lock.acquire_async(left)
        except BaseException:
            _let_go(taken)
            raise
        return Holds(tuple(taken[lock] for lock in self._locks))

    def _turns(self, timeout: float | None) -> Iterator[tuple[Lock, float | None]]:
        """Each lock in the order in which everybody takes them, with the time that is left for it."""
        check_timeout(timeout)
        deadline = None if timeout is None else monotonic() + timeout
        for lock in sorted(self._locks, key=lambda lock: lock._request.path):
            yield lock, None if deadline is None else max(deadline - monotonic(), 0)

    def __enter__(self) -> Holds:
        self._entered.append(self.acquire())
        return self._entered[-1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.pop().release()

    async def __aenter__(self) -> Holds:
        self._entered.append(await self.acquire_async())
        return self._entered[-1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.pop().release()


def _let_go(taken: dict[Lock, Hold]) -> None:
    for hold in reversed(taken.values()):
        hold.release()


def all_of(*locks: Lock) -> Several:
    """Return what asks for all the locks at once. Raises ValueError if one is named twice."""
    paths = [lock._request.path for lock in locks]
    if not locks or len(set(paths)) < len(paths):
        raise ValueError("all_of needs different locks, at least one; the same lock twice would wait for itself")
    return Several(locks)
