"""`Lock`: asking for a lock, by a thread or a task, with or without waiting.

The way of a request: a door of `Asking` → `Claim.take` (one try) → granted; else `steps_to_grant` → `waiting.wait` →
granted.
"""

from __future__ import annotations

from ._acquiring.attempt import PLAIN
from ._acquiring.claim import Claim
from ._acquiring.events import listeners, tell_granted, tell_refused
from ._acquiring.steps import steps_to_grant
from ._deadlock.blocks import calling_frame, entered_here
from ._errors import LockTimeout, NotHeld, WouldBlock, harmless
from ._file.byterange import is_free
from ._file.lockfile import Look, is_being_removed
from ._holds import Hold, refuse_copy
from ._modes import ANY_HOLDER
from ._process import loading
from ._queue.drivers import drive, drive_async
from ._request import check_seconds, request_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from types import FrameType, TracebackType
    from typing import Any, Generic, ParamSpec

    from typing_extensions import TypeVar  # mypy brings it along; nothing of it is there when a program runs

    from ._acquiring.claims import Claims
    from ._enums import Mode
    from ._errors import RefusalType
    from ._queue.drivers import Steps
    from ._request import Request

    HoldT_co = TypeVar("HoldT_co", bound="Hold", default="Hold", covariant=True)
    AnyHold_co = TypeVar("AnyHold_co", bound="Any", covariant=True)
    AnyClaim = TypeVar("AnyClaim", bound="Claim | Claims")
    Given = ParamSpec("Given")
    Result = TypeVar("Result")

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
    mode: Mode | str | None = None,
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

    mode        None is "shared" for who gives a capacity or a weight, and "exclusive" for all others
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
    if mode is None:
        mode = "exclusive" if capacity is None and weight == 1 else "shared"
    request = request_for(
        name, mode, weight, capacity, priority, policy, reason, directory, create, idle_lifespan, PLAIN
    )
    return Lock(request, timeout)


class Asking(_OfHolds[AnyHold_co]):
    """What every kind of lock has: the doors to it, and the claims that were granted through this object."""

    __slots__ = ("__weakref__", "_claims", "_timeout")

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._claims: list[Any] = []

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{harmless(self.name)}" {"held" if self.held else "not held"}>'

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def parts(self) -> tuple[Lock[Any], ...]:
        """The single locks, in the order in which they are taken. For pylock's own rooms, as are the next three."""
        raise NotImplementedError

    def new_claim(self) -> Any:
        """Return what takes and waits: a `Claim`, or `Claims` of several locks."""
        raise NotImplementedError

    def steps(
        self, claim: Any, timeout: float | None, *, waits_as_task: bool = False, refused: RefusalType = LockTimeout
    ) -> Steps[None]:
        """What is to be done for the claim after a try in vain; see `steps_to_grant`."""
        raise NotImplementedError

    def face(self, taken: Mapping[Lock[Any], Claim]) -> AnyHold_co:
        """Return what users get for the claims of all parts."""
        raise NotImplementedError

    @property
    def held(self) -> bool:
        """Whether this object has a hold. Whether anybody has: `locked`."""
        return any(claim.is_alive for claim in self._claims)

    def acquire_nowait(self) -> AnyHold_co:
        """Take the lock if it is free and nobody is before us. Raises WouldBlock, and as `acquire`."""
        return self._acquire(0, waits_as_task=True, refused=WouldBlock)[1]

    def acquire(self, timeout: float | None = OWN_TIMEOUT) -> AnyHold_co:
        """Wait for the lock and return the hold.

        ``timeout`` in seconds: None is for ever, 0 is one try; by default the one that this object was made with. For
        several locks it is for all together, and theirs do not count.
        Raises LockTimeout, Deadlock, DefinitionMismatch, BadLockFile, Unsupported, LockError, ValueError, OSError. On
        any exception, from a signal handler too, nothing is left held or queued.
        """
        return self._acquire(self._timeout if timeout is OWN_TIMEOUT else checked_timeout(timeout))[1]

    async def acquire_async(self, timeout: float | None = OWN_TIMEOUT) -> AnyHold_co:
        """Like `acquire`, in a task of asyncio or trio: waits without a thread; cancelled it leaves nothing behind."""
        return (await self._acquire_async(self._timeout if timeout is OWN_TIMEOUT else checked_timeout(timeout)))[1]

    def __call__(self, function: Callable[Given, Result]) -> Callable[Given, Result]:
        """Decorate a function: each call takes the lock anew and lets go at its end; a coroutine function awaits it.

        Raises TypeError for a generator function, and for what is no function.
        """
        with loading:
            from ._acquiring.decorating import guarded

        return guarded(self, function)

    def __enter__(self) -> AnyHold_co:
        claim, hold = self._acquire(self._timeout)
        try:
            claim.enter_block(calling_frame())
        except BaseException as error:  # a signal handler raised
            claim.leave_block(error)
            raise
        return hold

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        claims = self._claims
        alone = len(claims) == 1 and claims[0].entered_by
        # The first, as another thread may be adding its own.
        claim = claims.pop(0) if alone else self._take_claim_of(calling_frame())
        claim.leave_block(error)

    async def __aenter__(self) -> AnyHold_co:
        claim, hold = await self._acquire_async(self._timeout)
        try:
            claim.enter_block(calling_frame())
        except BaseException as error:
            claim.leave_block(error)
            raise
        return hold

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._take_claim_of(calling_frame()).leave_block(error)

    def _acquire(
        self, seconds: float | None, *, waits_as_task: bool = False, refused: RefusalType = LockTimeout
    ) -> tuple[Any, AnyHold_co]:
        claim = self.new_claim()
        try:
            if not claim.take():
                drive(self.steps(claim, seconds, waits_as_task=waits_as_task, refused=refused))
            return claim, self._noted(claim)
        except BaseException as error:
            self._give_up(claim, error)
            raise

    async def _acquire_async(self, seconds: float | None) -> tuple[Any, AnyHold_co]:
        claim = self.new_claim()
        try:
            if not claim.take():
                await drive_async(self.steps(claim, seconds, waits_as_task=True))
            return claim, self._noted(claim)
        except BaseException as error:
            self._give_up(claim, error)
            raise

    @staticmethod
    def _give_up(claim: Any, error: BaseException) -> None:
        try:
            claim.give_up(error)
        finally:
            if listeners:
                tell_refused(claim, error)

    def _noted(self, claim: Any) -> AnyHold_co:
        """Keep the claim, and return what users get for it."""
        if self._claims:
            self._forget_released()
        self._claims.append(claim)
        if listeners:
            tell_granted(claim)
        return self._face_of(claim)

    def release(self) -> None:
        """Release the latest hold of this object. Raises NotHeld, and as `Hold.release`."""
        latest = next((claim for claim in reversed(self._claims) if not claim.is_released), None)
        if latest is None:
            raise NotHeld(f'"{self.name}" is not held through this object', name=self.name)
        try:
            latest.release()
        finally:
            self._forget_released()

    def __reduce__(self) -> tuple[object, ...]:
        if self.held:
            refuse_copy(self.name)
        return type(self), self._arguments()

    def _arguments(self) -> tuple[object, ...]:
        """What an object like this one is made with."""
        raise NotImplementedError

    def _face_of(self, claim: Any) -> AnyHold_co:
        return self.face(dict(zip(self.parts, claim.claims, strict=True)))

    def _forget_released(self) -> None:
        """Take out what was released: claims do not know of the list, so that nothing keeps them alive."""
        for claim in list(self._claims):
            if claim.is_released and claim.entered_by is None:
                try:
                    self._claims.remove(claim)
                except ValueError:  # another thread was faster
                    pass

    def _take_claim_of(self, frame: FrameType | None) -> Any:
        """Take out the claim of the block that this frame ends, also if it was released meanwhile."""
        entered = [claim for claim in reversed(self._claims) if claim.entered_by]
        if not entered:
            raise NotHeld(f'"{self.name}" has no with block to end', name=self.name)
        mine = [claim for claim in entered if claim.entered_by[0][0] is frame]
        # By an ExitStack a block may end in another frame than it began, and even in another thread or task.
        here = [claim for claim in entered if entered_here(claim.entered_by, frame)]
        claim = (mine or here or entered)[0]
        self._claims.remove(claim)
        return claim


class Lock(Asking[HoldT_co]):
    """A way to ask for one lock, as often as wanted, from any thread or task; each grant is a hold of its own.

    Made by `lock`. ``with`` and ``async with`` acquire and release. It may be copied and pickled while it is not held.
    """

    __slots__ = ("request",)

    _face_of: type[HoldT_co] = Hold  # type: ignore[assignment]
    """What a grant is; a kind of lock may have its own."""

    def __init__(self, request: Request, timeout: float | None) -> None:
        self.request: Request = request
        self._timeout = timeout
        self._claims = []

    def __repr__(self) -> str:
        return f'<Lock "{harmless(self.name)}" {self.request.mode.name} {"held" if self.held else "not held"}>'

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def mode(self) -> Mode:
        with loading:
            from ._enums import Mode

        return Mode(self.request.mode.name)

    @property
    def parts(self) -> tuple[Lock[HoldT_co], ...]:
        return (self,)

    def new_claim(self) -> Claim:
        return Claim(self.request)

    def steps(
        self, claim: Claim, timeout: float | None, *, waits_as_task: bool = False, refused: RefusalType = LockTimeout
    ) -> Steps[None]:
        return steps_to_grant(claim, timeout, waits_as_task, refused)

    def face(self, taken: Mapping[Lock[Any], Claim]) -> HoldT_co:
        return self._face_of(taken[self])

    def locked(self) -> bool:
        """Whether anybody, in this process or another, holds the lock in a mode other than null.

        Raises OSError for a lock file that may not be read.
        """
        with Look(self.request.path, self.request.directory) as fd:
            return fd >= 0 and not is_free(fd, ANY_HOLDER) and not is_being_removed(fd)

    def _arguments(self) -> tuple[object, ...]:
        return self.request, self._timeout


def checked_timeout(timeout: float | None) -> float | None:
    if timeout is not None:
        check_seconds("timeout must be None (for ever)", timeout)
    return timeout
