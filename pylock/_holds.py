"""`Hold`: a lock that was granted, as users see it."""

from __future__ import annotations

from ._acquiring.claim import Claim
from ._acquiring.events import listeners, tell
from ._acquiring.inheritance import AcrossFork
from ._acquiring.survival import why_lost
from ._deadlock.blocks import calling_frame
from ._errors import LockLost, harmless
from ._process import loading
from ._queue.drivers import drive, drive_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import NoReturn, Self

    from ._enums import Mode


class Hold:
    """A lock that was granted, until `release`. It belongs to whoever has this object, in any thread or task.

    In a forked child it is dead: the parent still holds the lock, and the child can neither release nor keep it, save
    by `across_fork`. A hold that is dropped without a release lets go as it is collected, with a ResourceWarning. It
    cannot be copied or pickled, as there is one only.
    """

    __slots__ = ("_claim",)

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def __repr__(self) -> str:
        state = "held" if self._claim.is_alive else "released"
        return f'<{type(self).__name__} "{harmless(self.name)}" {self._claim.request.mode.name} {state}>'

    def __reduce__(self) -> NoReturn:
        refuse_copy(self.name)

    @property
    def name(self) -> str:
        return self._claim.request.name

    @property
    def mode(self) -> Mode:
        with loading:
            from ._enums import Mode

        return Mode(self._claim.request.mode.name)

    @property
    def weight(self) -> int:
        """Units that this hold takes of the capacity; 1 in modes that take none."""
        return self._claim.request.weight

    @property
    def waited(self) -> float:
        """Seconds from the request to the grant; 0.0 if it was free."""
        return self._claim.waited

    @property
    def token(self) -> int:
        """The fencing token: of an exclusive or protected-write hold, greater than that of every earlier one.

        Other modes have the token of the last such grant. It is at least the microseconds since 1970, so that it goes
        on growing over a removed lock file and a full disk, as long as the clock is not set back.
        """
        assert self._claim.grant is not None
        return self._claim.grant.token

    @property
    def given(self) -> object:
        """What the kind of lock gave besides: the elements of a pool, a number, a time as text; else None."""
        assert self._claim.grant is not None
        return self._claim.grant.value

    @property
    def held(self) -> bool:
        """Whether it is held as far as this process knows, which has neither released it nor forked it off.

        What befell it elsewhere tells `check`.
        """
        return self._claim.is_alive

    def fileno(self) -> int:
        """The descriptor by which the kernel knows this hold: for those who pass it on to another program.

        A copy of it in a child keeps the lock held for as long as the child lives; let nobody unlock or close it here.
        Raises NotHeld.
        """
        self._claim.ensure_held()
        return self._claim.fd

    def release(self) -> None:
        """Let go, and wake who waits next.

        Raises NotHeld if it was released already or belongs to the parent process. After an OSError it is
        released all the same.
        """
        self._claim.release()

    def convert(self, mode: Mode | str, timeout: float | None = None) -> None:
        """Change the mode of this hold in place, waiting for those who are in the way, before all who queue.

        ``timeout`` in seconds: None is for ever, 0 is one try. To a weaker mode it is done at once, and nobody else
        gets in between. It is no new start: a closed lock lets it. The weight is 1 after a change.

        Raises LockTimeout, and the hold is as it was; Deadlock, at once, if somebody who came before converts too
        and each keeps the other out; LockError if another thread or task is just converting this hold; LockLost,
        NotHeld, also if another thread releases it meanwhile; ValueError, and OSError as `Lock.acquire`. After any
        error, of a signal handler too, the hold is as it was, or as asked for.
        """
        with loading:
            from ._acquiring.conversion import steps_to_convert

        drive(steps_to_convert(self._claim, mode, timeout, waits_as_task=False))

    async def convert_async(self, mode: Mode | str, timeout: float | None = None) -> None:
        """As `convert`, in a task of asyncio or trio."""
        with loading:
            from ._acquiring.conversion import steps_to_convert

        await drive_async(steps_to_convert(self._claim, mode, timeout, waits_as_task=True))

    def check(self) -> None:
        """Make sure that others still find the lock held by this hold.

        Raises LockLost if the lock file was removed or replaced, or the file server gave the lock to another host;
        NotHeld. On NFS it asks the server, and hangs as long as that is away.
        """
        claim = self._claim
        claim.ensure_held()
        while True:
            request, grant = claim.request, claim.grant
            try:
                why = why_lost(claim.fd, request, grant.pieces if grant else ())
            except OSError:
                claim.ensure_held()  # else another thread has released it meanwhile
                raise
            if not why:
                return
            claim.ensure_held()
            if claim.request is request:  # else another thread has converted it meanwhile
                raise _loss(claim, why)

    def across_fork(self) -> AcrossFork:
        """Return a block within which the hold goes with each fork, to the child: for a program that becomes a daemon.

        The parent's own copy is dead from then on, and is closed, which lets go of nothing, when its block or the
        parent ends. Let nothing else fork meanwhile. A daemon that closes all descriptors must spare `fileno`. Status
        shows the child from then on. Raises NotHeld.
        """
        return AcrossFork((self._claim,))

    def __enter__(self) -> Self:
        self._claim.ensure_held()
        self._claim.enter_block(calling_frame())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._claim.leave_block(error)


def _loss(claim: Claim, why: str) -> LockLost:
    name = claim.request.name
    error = LockLost(f'the lock "{name}" is lost: {why}: {claim.request.path}', name=name)
    if listeners:
        tell("lost", claim, None, error)
    return error


def refuse_copy(name: str) -> NoReturn:
    """Raise TypeError: the end of a copy would let go of what the other one holds."""
    raise TypeError(
        f'what holds "{harmless(name)}" cannot be copied or pickled, as the end of either would let go for both;'
        " acquire where it is needed, with a lock object of its own, or give a child the hold itself, by across_fork()"
        " or fileno()"
    )
