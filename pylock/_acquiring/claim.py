"""A claim: a request, the descriptor through which it is made, and the grant. Every door to a lock goes through it."""

from __future__ import annotations

import sys
from _warnings import warn
from errno import ESTALE

from .. import _process as process
from .._deadlock.blocks import Insider, enter_block, inside
from .._errors import NO_LOCKS_HERE, BadLockFile, LockError, NotHeld, explained, harmless, unsupported
from .._file.byterange import is_free, let_go
from .._file.descriptors import close, drop, is_ours
from .._file.header import Gone
from .._file.removal import finish_removal
from .._file.reuse import borrow, give_back
from .._modes import NULL
from .._queue.tickets import may_skip_queue
from .agreement import learn
from .attempt import ANY_WAITER, PATIENCE
from .events import listeners, tell_released
from .existence import begin_use, end_use, exists, outlive
from .place import ring_next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._deadlock.blocks import Entry
    from .._request import Grant, Request

_REOPENINGS = 100
"""How often a lock file is opened anew, because it is stale, before that is an error."""
being_converted: dict[Claim, object] = {}
"""The claims whose mode is just being changed, and by what, which has a copy of the descriptor."""
process.forget_in_child(being_converted.clear)


class Claim(Insider):
    """One try for a lock, and what came of it.

    Invariants:
        ``fd`` is -1, or open for this claim alone, in the process of ``mark``
        ``grant`` is not None only while the kernel holds, for ``fd``, all that the mode of ``request`` excludes others
            by; in a conversion it says less for a moment, never more
        ``entered_by`` is not None only while a with block has it
    """

    __slots__ = ("fresh_until", "grant", "mark", "told_at", "waited")

    told_at: float
    """See `events`; set only where somebody listens."""

    def __init__(self, request: Request) -> None:
        self.fd: int = -1
        self.request: Request = request
        self.mark: process.Mark = process.mark if process.mark[0] else process.current()
        self.grant: Grant | None = None
        self.entered_by: Entry | None = None
        self.fresh_until: float = 0.0
        """Until when, on the monotonic clock, the descriptor may be used again."""
        self.waited: float = 0.0
        """Seconds from the request to the grant; 0.0 if it was free."""

    def __del__(self) -> None:
        try:
            if self.fd < 0:
                return
        except AttributeError:  # a signal handler raised in __init__
            return
        if drop is None:  # at the interpreter's end what is global may go first
            return
        try:
            if self.grant is not None and self.is_alive and not sys.is_finalizing():
                self.release(failed=True)
                warn(f'"{harmless(self.request.name)}" was dropped without a release', ResourceWarning, 2, source=self)
        finally:
            self.close()  # a signal handler may have raised before the release, for nobody to see

    @property
    def claims(self) -> tuple[Claim, ...]:
        """This one, where there may be several."""
        return (self,)

    @property
    def is_alive(self) -> bool:
        return self.fd >= 0 and bool(self.mark[0])

    @property
    def is_released(self) -> bool:
        return self.fd < 0

    def take(self, jump: bool = False, *, tries: bool = True) -> bool:
        """Open the lock file and try once; ``jump``: without regard to who waits; ``tries``: else it is only opened.

        Without a grant the file stays open, save if it does not exist and is not to be made, or is being removed.
        """
        request, reopenings = self.request, _REOPENINGS
        if not request.create and not exists(request):
            return False
        while True:
            try:
                self.fd, self.fresh_until, quiet_ago = borrow(request.path, request.directory, request.heat)
                fd = self.fd
                # Where nobody waited a moment ago, whoever waits by now still lets newcomers pass.
                quiet = quiet_ago < PATIENCE and not request.terms.fair
                if request.renews:
                    begin_use(fd, request)
                if not tries:
                    return False
                if jump or quiet or is_free(fd, ANY_WAITER):
                    self.grant = request.attempt(fd, request, None)
                elif request.mode is NULL or may_skip_queue(fd, request.mode, learn(fd, request).fair):
                    self.grant = request.attempt(fd, request, None)
                    if self.grant is not None and not request.mode.sole:
                        ring_next(fd, request, request.mode)  # others who share may join now
                return self.grant is not None
            except Gone:
                self.close()
                if not finish_removal(request.path):
                    return False
            except (OSError, BadLockFile) as error:
                # To open it anew helps if another host removed the file, or the program has closed the descriptor.
                helps = getattr(error, "errno", None) == ESTALE or (self.fd >= 0 and not is_ours(self.fd))
                self.close()
                reopenings -= 1
                if not (helps and reopenings):
                    raise

    def release(self, failed: bool = False) -> None:
        """Let go, and wake who waits next; ``failed``: without committing what was given.

        Raises NotHeld; and OSError or LockError, after which it is released all the same.
        """
        request = self.request
        if not self.mark[0]:
            raise self.not_held()
        fd, self.fd = self.fd, -1  # at one moment: to another thread that releases it too, the number means nothing now
        if fd < 0:
            raise self.not_held()
        try:
            if request.kind.commits and not failed and self.grant:
                request.kind.commit(fd, request, self.grant)
        finally:
            try:
                inside.pop(fd, None)
                if request.renews:
                    outlive(fd, request)
                let_go(fd)  # by hand, as a forked child may have a copy of the descriptor that outlives ours
                if not (nobody_waits := is_free(fd, ANY_WAITER)):
                    ring_next(fd, request)
            except BaseException as error:
                drop(fd)
                explain(error, request)
                raise
            if request.renews:
                close(fd)
                end_use(request)
            elif self in being_converted:
                close(fd)  # nobody else is to have what another thread is changing through its copy
            else:
                give_back(request.path, fd, self.fresh_until, nobody_waits)
            if listeners:
                tell_released(self)

    def pass_bell(self) -> None:
        """Wake who waits and may have the lock together with this holder."""
        if self.request.passes_bell_late and not is_free(self.fd, ANY_WAITER):
            ring_next(self.fd, self.request, self.request.mode)

    def close(self) -> None:
        """Give up, or let go without a word: nobody is woken, nothing is committed."""
        fd, self.fd = self.fd, -1
        if fd >= 0 and self.mark[0]:
            inside.pop(fd, None)
            drop(fd)

    def give_up(self, error: BaseException) -> None:
        """Let go of what may have been granted, and raise what the error means if that says more than itself."""
        if self.grant is not None and self.is_alive:
            self.leave_block(error)
        self.close()
        explain(error, self.request)

    enter_block = enter_block

    def leave_block(self, error: BaseException | None) -> None:
        """Release at the end of a with block. A failure joins the error that is on its way out, and hides nothing."""
        try:
            self.entered_by = None
            self.release(error is not None)
        except BaseException as failure:
            if not self.mark[0]:
                return  # a forked child leaves the block of its parent, which goes on holding
            self.close()  # a signal handler may have raised before the release
            if error is None or not isinstance(failure, OSError | LockError):
                raise
            error.add_note(f'and the release of "{self.request.name}" failed: {failure}')

    def ensure_held(self) -> None:
        """Raise NotHeld if it is not alive."""
        if not self.is_alive:
            raise self.not_held()

    def not_held(self) -> NotHeld:
        why = "it was released" if self.mark[0] else "it belongs to another process"
        return NotHeld(
            f'"{self.request.name}" is not held: {why}',
            name=self.request.name,
        )


def explain(error: BaseException, request: Request) -> None:
    """Raise what an OSError of the lock file means; return if it says enough by itself."""
    if not isinstance(error, OSError) or isinstance(error, LockError):
        return
    if error.errno in NO_LOCKS_HERE:
        raise unsupported(error, request.path, str(request.directory.mount)) from error
    better = explained(error, request.path)
    if better is not error:
        raise better from error
