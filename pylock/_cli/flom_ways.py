"""What ``pylock flom`` does otherwise than ``pylock run`` around a command, in FLoM's own words."""

from __future__ import annotations

from .._errors import harmless
from .._run import signals as signames
from ..compat import flom
from . import complain, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

# To the letter, because scripts look for it.
_BUSY = "Resource already locked, the lock cannot be obtained"
_CANNOT_WAIT = "The resource could be available in the future, but the requester can't wait"
_TIMED_OUT = "The lock was not obtained because timeout ({} milliseconds) expired"
_GIVEN = "Locked element is '{}'"


class Ways:
    """What happens otherwise than in ``pylock run`` around a command."""

    def __init__(self, settings: flom.Settings) -> None:
        self._verbose: bool = settings["verbose"]
        self._timeout: int = settings["timeout"]
        self._killed_is_failure: bool = settings["killed_is_failure"]

    def arguments(self, given: list[str]) -> list[str]:
        """Return what the command is told at the end of its arguments."""
        if self._verbose:
            for value in given:
                print(harmless(_GIVEN.format(value)), flush=True)
        return given

    def say_refused(self, exists: bool) -> None:
        """Say that the lock was not to be had, before pylock says why."""
        if self._timeout:
            tell(_TIMED_OUT.format(self._timeout))
        else:
            tell(_BUSY if exists else _CANNOT_WAIT)

    def overlooks(self, signal: int, received: Collection[int]) -> bool:
        """Whether it is no failure that the signal killed the command; ``received`` are those that were sent to us."""
        if self._killed_is_failure or signal in received:
            return False
        if self._verbose:
            complain(f"the command was killed by {signames.name_of(signal)}")
        return True
