"""Claims: several locks taken as one, all or none, and no deadlock, in whatever order anybody names them.

Who waits for several holds none of them: see `together`. Who only tries takes them one after the other.
"""

from __future__ import annotations

from time import monotonic

from .._errors import LockError, LockTimeout
from .claim import Claim, explain
from .events import listeners, tell
from .steps import refusal_of, steps_to_grant
from .together import return_grant, steps_to_grants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from .._deadlock.blocks import Entry
    from .._errors import RefusalType
    from .._queue.drivers import Steps


class Claims:
    """As one `Claim`, of several requests, in the order in which everybody takes them."""

    __slots__ = ("claims", "entered_by")

    def __init__(self, claims: tuple[Claim, ...]) -> None:
        self.claims: tuple[Claim, ...] = claims
        self.entered_by: Entry | None = None

    @property
    def is_alive(self) -> bool:
        return any(claim.is_alive for claim in self.claims)

    @property
    def is_released(self) -> bool:
        return all(claim.is_released for claim in self.claims)

    @property
    def waited(self) -> float:
        """Seconds from the request to the grant; 0.0 if all were free."""
        return max(claim.waited for claim in self.claims)

    def take(self) -> bool:
        """Return False: several locks are taken by `steps` alone."""
        return False

    def steps(
        self, timeout: float | None, *, waits_as_task: bool = False, refused: RefusalType = LockTimeout
    ) -> Steps[None]:
        """Take all of them, ``timeout`` seconds in all. After an exception none is held."""
        begun = monotonic()
        try:
            if timeout == 0 or len(self.claims) == 1:  # which needs no waiting for several
                for claim in self.claims:
                    if not claim.take():
                        yield from steps_to_grant(claim, timeout, waits_as_task, refused)
            elif not all(claim.take() for claim in self.claims):
                for claim in self.claims if listeners else ():
                    tell("waiting", claim)
                lacking = yield from steps_to_grants(self.claims, timeout, waits_as_task)
                for claim in self.claims:
                    claim.waited = monotonic() - begun
                if lacking is not None:
                    raise refusal_of(refused, lacking)
        except BaseException as error:
            for claim in self.claims:
                if claim.request.kind.gives and claim.is_alive:
                    return_grant(claim)
            _explain(error, self.claims)
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
