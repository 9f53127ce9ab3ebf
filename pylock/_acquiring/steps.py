"""What a claim does when its first try failed: it makes sure that waiting can end, waits, or says why not."""

from __future__ import annotations

import sys
from errno import ESTALE
from time import monotonic

from .._deadlock.blocks import all_blocks_around, blocks_around, refuse_deadlock
from .._deadlock.nesting import outer_holds
from .._errors import bad_file
from .._file.byterange import ANYBODY, is_free
from .._file.header import Gone
from .._file.lockfile import is_at, is_being_removed
from .._file.removal import is_wrongly_marked
from .._process import loading
from .agreement import learn
from .events import listeners, tell
from .existence import until_it_exists
from .waiting import wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._deadlock.cycles import Watch
    from .._errors import LockError, RefusalType
    from .._queue.drivers import Steps
    from .._request import Request
    from .claim import Claim

LONG = 1.0
"""Seconds of waiting after which somebody may have removed the file by hand; what pylock removes says so itself."""
_LOOK_AGAIN = 0.002
"""Seconds between two looks at a file that is being removed."""
_REMOVAL = 0.1
"""Seconds that a plain try lets a remover finish: so that one who cleans up keeps nobody from a lock that is free."""


def steps_to_grant(claim: Claim, timeout: float | None, waits_as_task: bool, refused: RefusalType) -> Steps[None]:
    """Wait for the grant, ``timeout`` seconds at most (None is for ever); raise ``refused`` if there was none."""
    begun = monotonic()
    request = claim.request
    request.check_attainable()
    around = blocks_around(request, waits_as_task)
    if timeout != 0:
        refuse_deadlock(request, around)
    if around:  # who is inside the lock already passes the queue, which may wait for it
        claim.close()
        if claim.take(jump=True):
            return
    if timeout == 0:
        yield from _let_remover_finish(claim)
    else:
        yield from _wait(claim, None if timeout is None else begun + timeout, bool(around), waits_as_task)
    claim.waited = monotonic() - begun
    if claim.grant is None:
        raise refusal_of(refused, claim)


def _let_remover_finish(claim: Claim) -> Steps[None]:
    """Try again if it was a remover that kept the claim out; by now it may have removed the file, or left it."""
    deadline, tried_free = monotonic() + _REMOVAL, False
    while claim.grant is None and monotonic() < deadline:
        if _is_being_removed(claim):
            yield -1, _LOOK_AGAIN
        elif tried_free or claim.fd < 0 or not is_free(claim.fd, ANYBODY):
            return
        else:
            tried_free = is_at(claim.fd, claim.request.path)
        claim.close()
        claim.take()


def _is_being_removed(claim: Claim) -> bool:
    return claim.request.create if claim.fd < 0 else is_being_removed(claim.fd)


def _wait(claim: Claim, deadline: float | None, nested: bool, waits_as_task: bool) -> Steps[None]:
    """Wait for the grant, opening the file anew if it was removed meanwhile; without a grant, time is up."""
    request, doubt = claim.request, Doubt(claim.request.path)
    if listeners:
        tell("waiting", claim)
    while True:
        if claim.fd < 0 and not (yield from until_opened(claim, deadline, doubt)):
            return
        if claim.grant is not None:
            return
        begun = monotonic()
        try:
            claim.grant = yield from wait(claim.fd, request, deadline, nested, watch_for(request, waits_as_task))
            if claim.grant is None or monotonic() - begun < LONG or is_at(claim.fd, request.path):
                return
        except Gone:
            if doubt.looks_wrong():
                claim.close()
                continue
        except OSError as error:  # removed on another host
            if error.errno != ESTALE:
                raise
        claim.grant = None
        claim.close()
        if claim.take():
            return


class Doubt:
    """Whether a file that is marked as removed is being removed at all."""

    __slots__ = ("_path", "_since")

    def __init__(self, path: str) -> None:
        self._path = path
        self._since: float | None = None
        """Since when it stands there so, and nobody removes it."""

    def looks_wrong(self) -> bool:
        """Whether nobody seems to remove it. Raises BadLockFile once that has lasted."""
        if not is_wrongly_marked(self._path):
            self._since = None
            return False
        if self._since is None:
            self._since = monotonic()
        if monotonic() - self._since > LONG:
            raise bad_file(self._path, "it says that it is removed, and it is there")
        return True


def until_opened(claim: Claim, deadline: float | None, doubt: Doubt) -> Steps[bool]:
    """Wait for the lock to exist, or for its removed file to be gone, and try once; False if time is up."""
    request = claim.request
    while claim.fd < 0:
        if not request.create:
            if not (yield from until_it_exists(request, deadline)):
                return False
        elif deadline is not None and monotonic() >= deadline:
            return False
        else:
            yield -1, _LOOK_AGAIN
        claim.take()
        if claim.fd < 0:
            doubt.looks_wrong()
    return True


def watch_for(request: Request, waits_as_task: bool) -> Watch | None:
    """Return what finds deadlocks, for a waiter that holds other locks; who holds none is in no deadlock."""
    around, above = all_blocks_around(waits_as_task), outer_holds()
    if not around and not above:
        return None
    with loading:
        from .._deadlock.cycles import watch

    return watch(around, above, request)


def refusal_of(kind: RefusalType, claim: Claim) -> LockError:
    try:
        with loading:
            from .refusals import absence, refusal
    except (ImportError, OSError) as error:  # at the end of the interpreter; or no descriptor is left
        if isinstance(error, ImportError) and sys.meta_path is not None:
            raise
        return kind(
            f'"{claim.request.name}" was not had after {claim.waited:.1f} s; who has it cannot be told: {error}',
            name=claim.request.name, mode=claim.request.mode.name, waited=claim.waited,
        )  # fmt: skip

    if claim.fd < 0:
        return absence(kind, claim.request, claim.waited)
    try:
        learn(claim.fd, claim.request)  # who asks for what this lock is not should know why
    except Gone:
        pass
    return refusal(kind, claim.fd, claim.request, claim.waited)
