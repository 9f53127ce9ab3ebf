"""`all_of`: several locks at once, as users ask for them and hold them."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Generic, NoReturn, Self, TypeVar, overload

from ._acquiring.claim import Claim
from ._acquiring.claims import Claims
from ._acquiring.inheritance import AcrossFork
from ._deadlock.blocks import calling_frame
from ._errors import LockTimeout, harmless
from ._holds import refuse_copy
from ._locks import Asking, Lock, checked_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    from ._errors import RefusalType
    from ._queue.drivers import Steps
    from ._request import Request

    Each_co = TypeVarWithDefault("Each_co", bound=tuple[Any, ...], default=tuple[Any, ...], covariant=True)
    A = TypeVar("A")
    B = TypeVar("B")
    C = TypeVar("C")
    D = TypeVar("D")
else:
    Each_co = TypeVar("Each_co", covariant=True)


class Holds(Generic[Each_co]):
    """The holds of several locks, released together. ``holds`` are in the order in which the locks were named."""

    def __init__(self, claims: Claims, holds: Each_co) -> None:
        self._claims = claims
        self.holds: Each_co = holds

    def __reduce__(self) -> NoReturn:
        refuse_copy(", ".join(claim.request.name for claim in self._claims.claims))

    @property
    def waited(self) -> float:
        """Seconds from the request to the grant; 0.0 if all were free."""
        return self._claims.waited

    @property
    def held(self) -> bool:
        """Whether any of them is."""
        return self._claims.is_alive

    def release(self) -> None:
        """Release all; if one fails the others are released all the same, and the first error is raised."""
        self._claims.release()

    def check(self) -> None:
        """As `Hold.check`, for each."""
        for hold in self.holds:
            hold.check()

    def across_fork(self) -> AcrossFork:
        """As `Hold.across_fork`, for all."""
        return AcrossFork(self._claims.claims)

    def __enter__(self) -> Self:
        for claim in self._claims.claims:
            claim.ensure_held()
        self._claims.enter_block(calling_frame())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._claims.leave_block(error)


HoldsType = TypeVar("HoldsType", bound="Holds[Any]")


class Composite(Asking[HoldsType]):
    """What is asked for as one, and taken as several locks. May be used from several threads and tasks at once."""

    def __init__(self, parts: tuple[Lock[Any], ...], timeout: float | None = None) -> None:
        super().__init__(timeout)
        self._parts = tuple(sorted(parts, key=_common_order))

    @property
    def parts(self) -> tuple[Lock[Any], ...]:
        return self._parts

    def new_claim(self) -> Claims:
        return Claims(tuple(Claim(part.request) for part in self._parts))

    def steps(
        self, claim: Claims, timeout: float | None, *, waits_as_task: bool = False, refused: RefusalType = LockTimeout
    ) -> Steps[None]:
        return claim.steps(timeout, waits_as_task=waits_as_task, refused=refused)

    def _claims_in(self, taken: Mapping[Lock[Any], Claim]) -> Claims:
        """Those of this object, of all that were taken."""
        return Claims(tuple(taken[part] for part in self._parts))


def _common_order(part: Lock[Any]) -> tuple[bool, str, str]:
    """By which everybody sorts; what gives something away comes last, so that it is seldom given in vain."""
    return part.request.kind.gives, part.request.directory.path, part.request.name


class Several(Composite[Holds[Each_co]]):
    """A way to ask for several locks at once; made by `all_of`."""

    def __init__(self, locks: tuple[Asking[Any], ...], timeout: float | None) -> None:
        super().__init__(tuple(part for lock in locks for part in lock.parts), timeout)
        self._locks = locks

    @property
    def name(self) -> str:
        """The names of all."""
        return ", ".join(lock.name for lock in self._locks)

    def face(self, taken: Mapping[Lock[Any], Claim]) -> Holds[Each_co]:
        each: Any = tuple(lock.face(taken) for lock in self._locks)
        return Holds(self._claims_in(taken), each)

    def spoken_of(self, claims: Claims) -> Claim:
        """The claim of the lock that was named first, of which a command is told."""
        first = self._locks[0].parts[-1].request
        return next(claim for claim in claims.claims if claim.request is first)

    def _arguments(self) -> tuple[object, ...]:
        return self._locks, self._timeout


@overload
def all_of(a: Asking[A], /, *, timeout: float | None = None) -> Several[tuple[A]]: ...
@overload
def all_of(a: Asking[A], b: Asking[B], /, *, timeout: float | None = None) -> Several[tuple[A, B]]: ...
@overload
def all_of(a: Asking[A], b: Asking[B], c: Asking[C], /, *, timeout: float | None = None) -> Several[tuple[A, B, C]]: ...
@overload
def all_of(
    a: Asking[A], b: Asking[B], c: Asking[C], d: Asking[D], /, *, timeout: float | None = None
) -> Several[tuple[A, B, C, D]]: ...  # fmt: skip
@overload
def all_of(*locks: Asking[A], timeout: float | None = None) -> Several[tuple[A, ...]]: ...
def all_of(*locks: Asking[Any], timeout: float | None = None) -> Several[Any]:
    """Return what asks for all the locks at once; pools, paths, sequences and timestamps among them.

    ``timeout`` in seconds is for all together: None is for ever, 0 is one try; those of the locks do not count.
    Type checkers know each hold of up to four; of more, what all have in common.
    Raises ValueError for locks that exclude each other, such as one that is named twice.
    """
    checked_timeout(timeout)
    if not locks:
        raise ValueError("several locks at once are at least one")
    for lock in locks:
        if not isinstance(lock, Asking):
            advice = f"pylock.lock({lock!r})" if isinstance(lock, str) else "of a list of them write all_of(*locks)"
            raise TypeError(f"several locks at once are locks, not {lock!r}; {advice}")
    parts = [part.request for lock in locks for part in lock.parts]
    for place, one in enumerate(parts):
        if any(one.path == other.path and not (_is_above(one) and _is_above(other)) for other in parts[:place]):
            raise ValueError(
                f'several locks at once are different ones: "{harmless(one.name)}" twice would wait for itself; a'
                " lock on a path is one on all that is below it"
            )
    return Several(locks, timeout)


def _is_above(request: Request) -> bool:
    """Whether it is a level above the path that is asked for; holds of these never exclude each other."""
    return request.kind.below is not None
