"""`Lock`: asking for a lock, by a thread or a task, with or without waiting.

The way of a request: `Lock.acquire` → `Hold._take` (one try) → granted; else `contention` → `waiting` → granted.
"""

from __future__ import annotations

from .blocks import enter_block, whoami
from .byterange import is_free
from .errors import LockTimeout, NotHeld, WouldBlock
from .holds import Hold, explain
from .modes import ANY_HOLDER
from .request import check_seconds, request_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from types import TracebackType
    from typing import Any, Generic

    from typing_extensions import TypeVar  # mypy brings it along; nothing of it is there when a program runs

    from .enums import Mode
    from .fronts import Steps
    from .request import Request
    from .several import Holds

    Front = Callable[[Steps[Any]], Any]
    HoldT_co = TypeVar("HoldT_co", bound="Hold", default="Hold", covariant=True)
    AnyHold_co = TypeVar("AnyHold_co", bound="Hold | Holds", covariant=True)

    class _OfHolds(Generic[AnyHold_co]):
        __slots__ = ()
else:

    class _OfHolds:
        """Stands in for ``Generic``, because typing takes longer to load than a thousand locks to take."""

        __slots__ = ()

        def __class_getitem__(cls, hold_type: object) -> type:
            return cls

    HoldT_co = AnyHold_co = None

OWN_TIMEOUT = -1.0
"""Stands for "the timeout that the Lock was made with"."""


def lock(
    name: str,
    mode: Mode | str = "exclusive",
    *,
    weight: int = 1,
    capacity: int | None = None,
    timeout: float | None = None,
    priority: int = 0,
    policy: str | None = None,
    reason: str | None = None,
    directory: str | PathLike[str] | None = None,
    create: bool = True,
    idle_lifespan: float | None = None,
) -> Lock:
    """Return the `Lock` of that name; nothing is opened or locked yet.

    weight      units of the capacity that a shared holder takes
    capacity    units that all shared holders may have together; defines a lock that has no definition, else it must
                be the same, unless `define` said otherwise. None takes the lock as it is, by default `UNLIMITED`
    timeout     seconds to wait: None for ever, 0 one try
    priority    -63 to 63; among those who wait, higher goes first
    policy      "shared-first" or "fair"; defines like capacity
    reason      shown to others while it is held or waited for
    directory   where the lock file is; None is $PYLOCK_DIR, else the user's own directory
    create      False: wait until somebody else uses the lock
    idle_lifespan  seconds that it goes on existing, for those who come with create=False, after this use is over;
                with 0 the file is removed then, if nobody else uses it

    Raises ValueError, TypeError, DefinitionMismatch; for the directory FileNotFoundError, NotADirectoryError,
    Unsupported, LockError.
    """
    checked_timeout(timeout)
    if idle_lifespan is not None:
        from . import existence  # noqa: F401  # for the release, whatever becomes of pylock's files until then
    request = request_for(name, mode, weight, capacity, priority, policy, reason, directory, create, idle_lifespan)
    return Lock(request, timeout)


class Asking(_OfHolds[AnyHold_co]):
    """What every kind of lock has: the holds that were got through this object, and blocks."""

    __slots__ = ("__weakref__", "_holds")

    def __init__(self) -> None:
        self._holds: list[AnyHold_co] = []

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def held(self) -> bool:
        """Whether this object has a hold. Whether anybody has: `locked`."""
        return any(hold._is_alive() for hold in self._holds)

    def release(self) -> None:
        """Release the latest hold of this object. Raises NotHeld, and as `Hold.release`."""
        latest = next((hold for hold in reversed(self._holds) if not hold._is_released()), None)
        if latest is None:
            raise NotHeld(f'"{self.name}" is not held through this object', name=self.name)
        try:
            latest.release()
        finally:
            forget_released(self._holds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        holds = self._holds
        alone = len(holds) == 1 and holds[0]._entered_by == whoami()
        hold = holds.pop(0) if alone else self._take_hold_here()
        try:
            hold.__exit__(kind, error, trace)
        except BaseException:  # a signal handler may have raised before the release
            hold._close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _take_hold_here(self) -> AnyHold_co:
        """Take out the hold of the innermost block of this thread and task, also if it was released meanwhile."""
        me = whoami()
        for hold in reversed(self._holds):
            if hold._entered_by == me:
                break
        else:  # a block may end in another thread or task than it began
            for hold in reversed(self._holds):
                if hold._entered_by is not None:
                    break
            else:
                raise NotHeld(f'"{self.name}" has no with block to end', name=self.name)
        self._holds.remove(hold)
        return hold


class Lock(Asking[HoldT_co]):
    """A way to ask for one lock, as often as wanted, from any thread or task; each grant is a hold of its own.

    Made by `lock`. ``with`` and ``async with`` acquire and release.
    """

    __slots__ = ("_request", "_timeout")

    _hold_type: type[HoldT_co] = Hold  # type: ignore[assignment]
    """What a grant is; a kind of lock may have its own."""

    def __init__(self, request: Request, timeout: float | None) -> None:
        self._request = request
        self._timeout = timeout
        self._holds = []

    def __repr__(self) -> str:
        return f'<Lock "{self.name}" {self._request.mode.name} {"held" if self.held else "not held"}>'

    @property
    def name(self) -> str:
        return self._request.name

    @property
    def mode(self) -> Mode:
        from .enums import Mode

        return Mode(self._request.mode.name)

    @property
    def _parts(self) -> tuple[Lock[HoldT_co], ...]:
        """The single locks, where there may be several."""
        return (self,)

    def locked(self) -> bool:
        """Whether anybody, in this process or another, holds the lock in a mode other than null."""
        from .census import opened

        with opened(self._request.path, self._request.directory.remote) as fd:
            return fd >= 0 and not is_free(fd, ANY_HOLDER)

    def acquire_nowait(self) -> HoldT_co:
        """Take the lock if it is free and nobody is before us. Raises WouldBlock, and as `acquire`."""
        hold = self._hold_type(self._request)
        try:
            if not hold._take():
                from .contention import steps_to_grant
                from .fronts import drive

                drive(steps_to_grant(hold, 0, waits_as_task=True, refused=WouldBlock))
            if self._holds:
                forget_released(self._holds)
            self._holds.append(hold)
        except BaseException as error:
            hold._close()
            explain(error, self._request)
            raise
        return hold

    def acquire(self, timeout: float | None = OWN_TIMEOUT, front: Front | None = None) -> HoldT_co:
        """Wait for the lock and return the hold.

        ``timeout`` in seconds: None is for ever, 0 is one try; by default the one that the Lock was made with.
        ``front`` takes the steps of the wait if there is one; by default `fronts.drive`, which blocks this thread.
        Raises LockTimeout, Deadlock, DefinitionMismatch, BadLockFile, Unsupported, LockError, ValueError, OSError. On
        any exception, from a signal handler too, nothing is left held or queued.
        """
        timeout = self._timeout if timeout is OWN_TIMEOUT else checked_timeout(timeout)
        hold = self._hold_type(self._request)
        try:
            if not hold._take():
                from .contention import steps_to_grant
                from .fronts import drive

                (front or drive)(steps_to_grant(hold, timeout, waits_as_task=False))
            if self._holds:
                forget_released(self._holds)
            self._holds.append(hold)
        except BaseException as error:
            hold._close()
            explain(error, self._request)
            raise
        return hold

    async def acquire_async(self, timeout: float | None = OWN_TIMEOUT) -> HoldT_co:
        """Like `acquire`, for asyncio: waits without a thread, and cancelling it leaves nothing held or queued."""
        timeout = self._timeout if timeout is OWN_TIMEOUT else checked_timeout(timeout)
        hold = self._hold_type(self._request)
        try:
            if not hold._take():
                from .contention import steps_to_grant
                from .fronts import drive_async

                await drive_async(steps_to_grant(hold, timeout, waits_as_task=True))
            if self._holds:
                forget_released(self._holds)
            self._holds.append(hold)
        except BaseException as error:
            hold._close()
            explain(error, self._request)
            raise
        return hold

    def __enter__(self) -> HoldT_co:
        hold = self.acquire()
        try:
            hold._entered_by = enter_block(hold._fd, self._request, 2)
        except BaseException:  # a signal handler raised
            hold.release()
            raise
        return hold

    async def __aenter__(self) -> HoldT_co:
        hold = await self.acquire_async()
        try:
            hold._entered_by = enter_block(hold._fd, self._request, 2)
        except BaseException:
            hold.release()
            raise
        return hold

    def _acquiring(
        self, timeout: float | None, waits_as_task: bool, refusal: type[WouldBlock] | type[LockTimeout]
    ) -> Steps[HoldT_co]:
        """Like `acquire`, as one part of a greater whole."""
        hold = self._hold_type(self._request)
        try:
            if not hold._take():
                from .contention import steps_to_grant

                yield from steps_to_grant(hold, timeout, waits_as_task, refusal)
        except BaseException as error:
            hold._close()
            explain(error, self._request)
            raise
        return hold


def forget_released(holds: list[Any]) -> None:
    """Take out what was released: holds do not know of the list, so that nothing they refer to keeps them alive."""
    for hold in list(holds):
        if hold._is_released() and hold._entered_by is None:
            try:
                holds.remove(hold)
            except ValueError:  # another thread was faster
                pass


def checked_timeout(timeout: float | None) -> float | None:
    if timeout is not None:
        check_seconds("timeout must be None (for ever)", timeout)
    return timeout
