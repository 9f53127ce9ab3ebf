"""`Hold`: a lock that was granted; and what a grant takes: opening the file, one try, letting go."""

from __future__ import annotations

import sys
from errno import ESTALE
from time import monotonic, sleep

from . import process
from .blocks import enter_block, inside
from .byterange import is_free, let_go
from .descriptors import FRESH, HOT, close, put_away, take_idle
from .errors import LockError, LockLost, NotHeld
from .grants import ANY_WAITER, PATIENCE
from .layout import Gone
from .lockfile import open_file
from .modes import NULL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from .blocks import Whoever
    from .enums import Mode
    from .grants import Grant
    from .modes import ModeRule
    from .request import Request

_ring: Callable[[int, Request, ModeRule | None], None] | None = None
"""`waiting.ring_next`, once it was needed: an import statement takes longer to find it again than the ring itself."""


class Hold:
    """A lock that was granted, until `release`. It belongs to whoever has this object, in any thread or task.

    In a forked child it is dead: the parent still holds the lock, and the child can neither release nor keep it.
    A hold that is dropped without a release lets go as it is collected, with a ResourceWarning.
    """

    __slots__ = ("_entered_by", "_fd", "_fresh_until", "_generation", "_grant", "_request", "waited")

    waited: float
    """Seconds from the request to the grant; 0.0 if it was free."""

    def __init__(self, request: Request) -> None:
        self._fd = -1
        self._request = request
        self._entered_by: Whoever | None = None
        """Who is in a with block by this hold, until that block ends."""
        self._fresh_until = 0.0
        self._generation = process.generation
        self._grant: Grant | None = None
        self.waited = 0.0

    def __repr__(self) -> str:
        return f'<Hold "{self.name}" {self._request.mode.name} {"held" if self._is_alive() else "released"}>'

    @property
    def name(self) -> str:
        return self._request.name

    @property
    def mode(self) -> Mode:
        from .enums import Mode

        return Mode(self._request.mode.name)

    @property
    def weight(self) -> int:
        """Units that this hold takes of the capacity; 1 in modes that take none."""
        return self._request.weight

    @property
    def token(self) -> int:
        """The fencing token: of an exclusive or protected-write hold, greater than that of every earlier one.

        Other modes have the token of the last such grant. It begins at the microseconds since 1970 and goes on growing
        over a removed lock file, as long as the clock is not set back.
        """
        assert self._grant is not None
        return self._grant[0]

    def release(self) -> None:
        """Let go, and wake who waits next.

        Raises NotHeld if it was released already or belongs to the parent process. After an OSError it is
        released all the same.
        """
        fd, request = self._fd, self._request
        if fd < 0 or self._generation != process.generation:
            raise self._not_held()
        try:
            self._fd = -1
            inside.pop(fd, None)
            if request.renews:
                from .existence import end_use, outlive

                outlive(fd, request)
            let_go(fd)  # by hand, as a forked child may have a copy of the descriptor that outlives ours
            if not (nobody_waits := is_free(fd, ANY_WAITER)):
                _ring_next(fd, request)
        except BaseException as error:
            close(fd)
            explain(error, request)
            raise
        if request.renews:
            close(fd)
            end_use(request)
        else:
            put_away(request.path, fd, self._fresh_until, nobody_waits)

    def convert(self, mode: Mode | str, timeout: float | None = None) -> None:
        """Change the mode of this hold in place, waiting for those who are in the way, before all who queue.

        ``timeout`` in seconds: None is for ever, 0 is one try. To a weaker mode it is done at once, and nobody else
        gets in between. It is no new start: a closed lock lets it. The weight is 1 after a change.

        Raises LockTimeout, and the hold is as it was; Deadlock, at once, if somebody who came before converts too
        and each keeps the other out; LockLost, NotHeld, ValueError, and OSError as `Lock.acquire`.
        """
        from .conversion import steps_to_convert
        from .fronts import drive

        try:
            drive(steps_to_convert(self, mode, timeout, waits_as_task=False))
        except OSError as error:
            explain(error, self._request)
            raise

    async def convert_async(self, mode: Mode | str, timeout: float | None = None) -> None:
        """As `convert`, for asyncio."""
        from .conversion import steps_to_convert
        from .fronts import drive_async

        try:
            await drive_async(steps_to_convert(self, mode, timeout, waits_as_task=True))
        except OSError as error:
            explain(error, self._request)
            raise

    def check(self) -> None:
        """Make sure that others still find the lock held by this hold.

        Raises LockLost if the lock file was removed or replaced, or the file server gave the lock to another host;
        NotHeld. On NFS it asks the server, and hangs as long as that is away.
        """
        if not self._is_alive():
            raise self._not_held()
        from .survival import why_lost

        why = why_lost(self._fd, self._request, self._grant[1] if self._grant else None)
        if why:
            raise LockLost(f'the lock "{self.name}" is lost: {why}: {self._request.path}', name=self.name)

    def __enter__(self) -> Self:
        if not self._is_alive():
            raise self._not_held()
        self._entered_by = enter_block(self._fd, self._request, 2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered_by = None
        if self._generation != process.generation:
            return  # a forked child leaves the block of its parent, which goes on holding
        if error is None:
            self.release()
        else:
            self._release_after(error)

    def __del__(self) -> None:
        try:
            if self._fd < 0:
                return
        except AttributeError:  # a signal handler raised in __init__
            return
        granted = self._grant is not None and self._is_alive()
        self._close()
        if granted and not sys.is_finalizing():
            import warnings

            warnings.warn(f'"{self.name}" was dropped without a release', ResourceWarning, 2, source=self)

    def _each(self) -> tuple[Hold, ...]:
        """Every single hold, where there may be several."""
        return (self,)

    def _pass_bell(self) -> None:
        """Wake who waits and may have the lock together with this hold."""
        if self._request.passes_bell_late and not is_free(self._fd, ANY_WAITER):
            _ring_next(self._fd, self._request, self._request.mode)

    def _finish(self, failed: bool) -> None:
        """Release after a command that ended well, or ``failed``."""
        self.release()

    def _given(self) -> object:
        """What the kind of lock gave besides: an element, a value."""
        assert self._grant is not None
        return self._grant[2]

    def _is_alive(self) -> bool:
        return self._fd >= 0 and self._generation == process.generation

    def _is_released(self) -> bool:
        return self._fd < 0

    def _not_held(self) -> NotHeld:
        own = self._generation == process.generation
        return NotHeld(
            f'"{self.name}" is not held: {"it was released" if own else "it belongs to the parent process"}',
            name=self.name,
        )

    def _release_after(self, error: BaseException) -> None:
        """Release after the block raised."""
        self._release_noting(error, self.release)

    def _release_noting(self, error: BaseException, release: Callable[[], None]) -> None:
        """Release; a failure joins the error that is on its way out, and does not hide it."""
        try:
            release()
        except (OSError, LockError) as failure:
            error.add_note(f'and the release of "{self.name}" failed: {failure}')

    def _take(self, jump: bool = False, reopenings: int = 100) -> bool:
        """Open the lock file and try once; ``jump``: without regard to who waits."""
        request = self._request
        if not request.create:
            from .existence import exists

            if not exists(request):
                return False
        try:
            quiet = self._open()
            fd = self._fd
            if request.renews:
                from .existence import begin_use

                begin_use(fd, request)
            if jump or quiet or is_free(fd, ANY_WAITER):
                self._grant = request.attempt(fd, request, None)
            elif self._may_skip_queue():
                self._grant = request.attempt(fd, request, None)
                if self._grant is not None and not request.mode.sole:
                    _ring_next(fd, request, request.mode)  # others who share may join now
            return self._grant is not None
        except Gone:
            self._close()
            from .removal import finish_removal

            finish_removal(request.path)
        except OSError as error:
            self._close()
            if error.errno != ESTALE:
                raise
        if reopenings < 99:
            sleep(0.001)
        if not reopenings:
            raise LockError(f"{request.path} vanishes as often as it is opened", name=self.name)
        return self._take(jump, reopenings - 1)

    def _open(self) -> bool:
        """Get a descriptor of the lock file; tell whether nobody can stand before us, without a look."""
        request, now = self._request, monotonic()
        if idle := take_idle(request.path, now):
            self._fd, self._fresh_until, quiet_since = idle
            # Who began to wait since then has not lost its patience yet.
            return now - quiet_since < PATIENCE and not request.terms.fair
        self._fd = open_file(request.path, request.directory)
        if now - request.opened > FRESH or request.directory.remote:
            request.heat = 0
        elif request.heat < HOT:
            request.heat += 1
        else:
            self._fresh_until = now + FRESH
        request.opened = now
        return False

    def _may_skip_queue(self) -> bool:
        from .tickets import may_skip_queue

        request = self._request
        return request.mode is NULL or may_skip_queue(self._fd, request.mode, request.learn(self._fd).fair)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0 and self._generation == process.generation:
            inside.pop(fd, None)
            close(fd)


def _ring_next(fd: int, request: Request, holding: ModeRule | None = None) -> None:
    global _ring
    if _ring is None:
        try:
            from .waiting import ring_next  # with all that belongs to waiting, which most programs never need
        except ImportError:  # pylock was upgraded or removed while this held the lock; who waits looks again by itself
            return
        _ring = ring_next
    _ring(fd, request, holding)


def explain(error: BaseException, request: Request) -> None:
    """Raise what an OSError of the lock file means; return if it says enough by itself."""
    if isinstance(error, OSError) and not isinstance(error, LockError):
        from .failures import raise_explained

        raise_explained(error, request)
