"""Whether the locks of a command are lost meanwhile: looked at by a thread, as a file server that is away holds it up.

The thread is the only one besides that which supervises, and does nothing but look, and tell once.
"""

from __future__ import annotations

from _thread import start_new_thread
from time import sleep

from .._acquiring.survival import why_lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._acquiring.claim import Claim

EVERY = 5.0
"""Seconds between two looks."""
_SURE = 1.0
"""Seconds until a loss is looked at again: an error that a server's absence makes on a soft mount is none."""


class LossWatch:
    """Looks after the claims from `begin` to `stop`, and calls ``tell`` once if one of them is lost."""

    def __init__(self, claims: Sequence[Claim], tell: Callable[[Claim, str], None]) -> None:
        self._claims = claims
        self._tell = tell
        self._stopped = False

    def begin(self) -> bool:
        """Begin to look; False if no thread can be started."""
        try:
            start_new_thread(self._look, ())
        except RuntimeError:
            return False
        return True

    def stop(self) -> None:
        """Before the claims are released, whose descriptors may stand for something else then."""
        self._stopped = True

    def _look(self) -> None:
        while not self._stopped:
            sleep(EVERY)
            for claim in self._claims:
                if self._why(claim) and not self._stopped:
                    sleep(min(_SURE, EVERY))
                    if (why := self._why(claim)) and not self._stopped:
                        self._tell(claim, why)
                        return

    def _why(self, claim: Claim) -> str | None:
        try:
            return why_lost(claim.fd, claim.request, claim.grant.pieces if claim.grant else ())
        except OSError:  # no descriptor left for a look, or no answer from the server: it is not known
            return None
