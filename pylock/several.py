"""Several locks at once: all or none, and no deadlock, in whatever order anybody names them.

Everybody takes them in one order, that of their names. A waiter holds what stands before it in that order, so that
nobody who asks for many is starved by those who ask for few.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from .blocks import enter_block, leave_block, note_taken
from .errors import LockTimeout, WouldBlock
from .fronts import drive, drive_async
from .holds import Hold
from .locks import OWN_TIMEOUT, Asking, Lock, checked_timeout, forget_released

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .blocks import Whoever
    from .fronts import Steps
    from .locks import Front
    from .request import Request


class Holds:
    """The holds of several locks, released together. ``holds`` are in the order in which the locks were named."""

    def __init__(self, holds: tuple[Hold | Holds, ...]) -> None:
        self.holds = holds
        self._entered_by: Whoever | None = None

    @property
    def waited(self) -> float:
        """Seconds from the request to the grant of the last of them; 0.0 if all were free."""
        return sum(hold.waited for hold in self.holds)

    def release(self) -> None:
        """Release all; if one fails the others are released all the same, and the first error is raised."""
        self._finish(failed=False)

    def _finish(self, failed: bool) -> None:
        failures: list[BaseException] = []
        try:
            for hold in reversed(self.holds):
                try:
                    hold._finish(failed)
                except Exception as error:
                    failures.append(error)
        finally:
            self._close()
        if failures:
            raise failures[0]

    def _close(self) -> None:
        for hold in self._each():
            hold._close()

    def check(self) -> None:
        """As `Hold.check`, for each."""
        for hold in self.holds:
            hold.check()

    def __enter__(self) -> Self:
        for hold in self._each():
            self._entered_by = enter_block(hold._fd, hold._request, 2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered_by = None
        if error is None and self._is_alive():
            self.release()
        else:
            for hold in reversed(self.holds):
                hold.__exit__(kind, error, trace)

    def _each(self) -> tuple[Hold, ...]:
        return tuple(single for hold in self.holds for single in hold._each())

    def _is_alive(self) -> bool:
        return any(hold._is_alive() for hold in self.holds)

    def _is_released(self) -> bool:
        return all(hold._is_released() for hold in self.holds)


HoldsType = TypeVar("HoldsType", bound=Holds)


class Composite(Asking[HoldsType]):
    """What is asked for as one, and taken as several locks. May be used from several threads and tasks at once."""

    def __init__(self, parts: tuple[Lock, ...], timeout: float | None = None) -> None:
        super().__init__()
        self._parts = tuple(sorted(parts, key=_common_order))
        self._timeout = timeout

    def acquire_nowait(self) -> HoldsType:
        """Take all of them if that can be done at once. Raises WouldBlock, and as `acquire`; then none is held."""
        return self._keep(drive(self._acquiring(0, waits_as_task=False, refusal=WouldBlock)))

    def acquire(self, timeout: float | None = OWN_TIMEOUT, front: Front | None = None) -> HoldsType:
        """Wait for all of them, ``timeout`` seconds in all; the timeouts of the locks do not count.

        Raises as `Lock.acquire`; then none is held.
        """
        return self._keep((front or drive)(self._acquiring(timeout, waits_as_task=False)))

    async def acquire_async(self, timeout: float | None = OWN_TIMEOUT) -> HoldsType:
        """As `acquire`, for asyncio."""
        return self._keep(await drive_async(self._acquiring(timeout, waits_as_task=True)))

    def __enter__(self) -> HoldsType:
        return self._enter(self.acquire())

    async def __aenter__(self) -> HoldsType:
        return self._enter(await self.acquire_async())

    def _acquiring(
        self, timeout: float | None, waits_as_task: bool, refusal: type[LockTimeout] | type[WouldBlock] = LockTimeout
    ) -> Steps[HoldsType]:
        timeout = self._timeout if timeout is OWN_TIMEOUT else checked_timeout(timeout)
        begun = monotonic()
        deadline = None if timeout is None else begun + timeout
        taken: dict[Lock, Hold] = {}
        try:
            for part in self._parts:
                left = None if deadline is None else max(deadline - monotonic(), 0)
                taken[part] = yield from part._acquiring(left, waits_as_task, refusal)
                note_taken(taken[part]._fd, part._request)  # who waits for the rest cannot let go of this
            for hold in taken.values():
                leave_block(hold._fd)
            return self._granted(taken)
        except BaseException as error:
            _undo(list(taken.values()), error)
            if isinstance(error, LockTimeout | WouldBlock):
                error.waited = monotonic() - begun
            raise

    def _granted(self, taken: Mapping[Lock, Hold]) -> HoldsType:
        """Make one hold of those of all parts."""
        raise NotImplementedError

    def _keep(self, holds: HoldsType) -> HoldsType:
        try:
            forget_released(self._holds)
            self._holds.append(holds)
        except BaseException:  # a signal handler raised
            holds._close()
            raise
        return holds

    def _enter(self, holds: HoldsType) -> HoldsType:
        try:
            for hold in holds._each():
                holds._entered_by = enter_block(hold._fd, hold._request, 3)
        except BaseException:  # a signal handler raised
            holds._close()
            raise
        return holds


def _undo(holds: list[Hold], error: BaseException) -> None:
    """Let go of what was taken before the error; a failure of that joins it."""
    try:
        for hold in reversed(holds):
            hold._release_noting(error, partial(hold._finish, failed=True))
    finally:
        for hold in holds:
            hold._close()


def _common_order(part: Lock) -> tuple[str, str]:
    """By which everybody sorts."""
    return part._request.directory.path, part._request.name


class Several(Composite[Holds]):
    """A way to ask for several locks at once; made by `all_of`."""

    def __init__(self, locks: tuple[Lock | Composite[Holds], ...], timeout: float | None) -> None:
        super().__init__(tuple(part for lock in locks for part in lock._parts), timeout)
        self._locks = locks

    @property
    def name(self) -> str:
        """The names of all."""
        return ", ".join(lock.name for lock in self._locks)

    def _granted(self, taken: Mapping[Lock, Hold]) -> Holds:
        return Holds(tuple(taken[lock] if isinstance(lock, Lock) else lock._granted(taken) for lock in self._locks))


def all_of(*locks: Lock | Composite[Holds], timeout: float | None = None) -> Several:
    """Return what asks for all the locks at once; pools, paths, sequences and timestamps among them.

    ``timeout`` in seconds is for all together: None is for ever, 0 is one try; those of the locks do not count.
    Raises ValueError for locks that exclude each other, such as one that is named twice.
    """
    checked_timeout(timeout)
    if not locks:
        raise ValueError("several locks at once are at least one")
    parts = [part._request for lock in locks for part in lock._parts]
    for place, one in enumerate(parts):
        if any(one.path == other.path and not (_is_above(one) and _is_above(other)) for other in parts[:place]):
            raise ValueError(
                f'several locks at once are different ones: "{one.name}" twice would wait for itself; a lock on a path'
                " is one on all that is below it"
            )
    return Several(locks, timeout)


def _is_above(request: Request) -> bool:
    """Whether it is a level above the path that is asked for; holds of these never exclude each other."""
    return request.kind is not None and request.kind.below is not None
