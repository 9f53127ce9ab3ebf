"""Claims: several locks taken as one, all or none, and no deadlock, in whatever order anybody names them.

Everybody takes them in one order, that of their names. A waiter holds what stands before it in that order, so that
nobody who asks for many is starved by those who ask for few.
"""

from __future__ import annotations

from time import monotonic

from .._deadlock.blocks import leave_block, note_taken
from .._errors import LockError, LockTimeout, WouldBlock
from .claim import Claim, explain
from .steps import steps_to_grant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from .._deadlock.blocks import Entry
    from .._queue.drivers import Steps
    from .._request import Request


class Claims:
    """As one `Claim`, of several requests, in the order in which everybody takes them."""

    __slots__ = ("claims", "entered_by")

    def __init__(self, claims: tuple[Claim, ...]) -> None:
        self.claims = claims
        self.entered_by: Entry | None = None

    @classmethod
    def of(cls, requests: tuple[Request, ...]) -> Claims:
        return cls(tuple(map(Claim, requests)))

    @property
    def is_alive(self) -> bool:
        return any(claim.is_alive for claim in self.claims)

    @property
    def is_released(self) -> bool:
        return all(claim.is_released for claim in self.claims)

    def take(self) -> bool:
        """Take nothing yet: where several are to be had there are steps in any case."""
        return False

    def steps(
        self, timeout: float | None, waits_as_task: bool, refused: type[WouldBlock] | type[LockTimeout] = LockTimeout
    ) -> Steps[None]:
        """Take all of them, ``timeout`` seconds in all. After an exception none is held."""
        begun = monotonic()
        try:
            for claim in self.claims:
                if not claim.take():
                    left = None if timeout is None else max(begun + timeout - monotonic(), 0)
                    yield from steps_to_grant(claim, left, waits_as_task, refused)
                note_taken(claim)  # who waits for the rest cannot let go of this
            for claim in self.claims:
                leave_block(claim)
        except BaseException as error:
            _explain(error, self.claims)
            if isinstance(error, LockTimeout | WouldBlock):
                error.waited = monotonic() - begun
            raise

    def release(self, failed: bool = False) -> None:
        """Release all; if one fails the others are released all the same, and the first error is raised."""
        failures: list[BaseException] = []
        try:
            for claim in reversed(self.claims):
                try:
                    claim.release(failed)
                except (OSError, LockError) as error:
                    failures.append(error)
        finally:
            self.close()
        if failures:
            raise failures[0]

    def close(self) -> None:
        """As `Claim.close`, of each."""
        for claim in self.claims:
            claim.close()

    def give_up(self, error: BaseException) -> None:
        """Let go of what was taken before the error, and wake who waits for it; a failure of that joins the error."""
        try:
            for claim in reversed(self.claims):
                if claim.is_alive:
                    claim.leave_block(error)
        finally:
            self.close()

    def enter_block(self, frame: FrameType | None) -> None:
        for claim in self.claims:
            claim.enter_block(frame)
            self.entered_by = claim.entered_by

    def leave_block(self, error: BaseException | None) -> None:
        """As `Claim.leave_block`, of each."""
        self.entered_by = None
        if error is None and self.is_alive:
            for claim in self.claims:
                claim.entered_by = None
            self.release()
        else:
            for claim in reversed(self.claims):
                claim.leave_block(error)


def _explain(error: BaseException, claims: tuple[Claim, ...]) -> None:
    """Raise what the error means for the claim that failed, which is the last that was tried."""
    tried = [claim for claim in claims if claim.fd >= 0 or claim.grant is not None]
    explain(error, (tried or claims)[-1].request)
