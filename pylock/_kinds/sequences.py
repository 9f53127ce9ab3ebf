"""Sequences: each holder gets a number that nobody else gets. What was given is remembered in the lock file.

A transactional value that was not committed goes back: the state says which value is out with which unit, and a unit
that nobody has locked any more tells that its value was left behind, however its holder ended.
"""

from __future__ import annotations

from .._acquiring.attempt import piece_lock
from .._file.byterange import is_free
from .._file.layout import SEQUENCE
from .._holds import Hold
from .._locks import Lock, checked_timeout
from .._request import Kind, make_request
from .state import attempt_with_value, changed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

    from .._modes import ModeRule
    from .._request import Attempt, Grant, Pieces, Request
    from .state import State


def sequence(
    name: str,
    *,
    capacity: int | None = 1,
    transactional: bool = False,
    timeout: float | None = None,
    priority: int = 0,
    policy: str | None = None,
    reason: str | None = None,
    directory: str | PathLike[str] | None = None,
    create: bool = True,
    idle_lifespan: float | None = None,
) -> Sequence:
    """Return the `Sequence` of that name: each holder gets the next number, from 1 on.

    ``capacity`` is how many may have one at the same time; None takes it as it is. A ``transactional`` value is
    committed by the release; it goes back, and is given before a new one, if the ``with`` block raises, after
    `SequenceHold.rollback`, and if the process dies. Every value is on the disk before it is given, which costs what
    fdatasync(2) takes there. The other parameters are those of `lock`. Raises as `lock`.
    """
    checked_timeout(timeout)
    request = make_request(
        name, "shared", capacity=capacity, priority=priority, policy=policy, reason=reason, directory=directory,
        create=create, idle_lifespan=idle_lifespan, kind=TRANSACTIONAL if transactional else PLAIN,
    )  # fmt: skip
    return Sequence(request, timeout)


class SequenceHold(Hold):
    """A hold of a number of a sequence. ``release`` commits a transactional one, then lets go.

    Raises from ``acquire`` and ``release`` also BadLockFile for lost memory; from ``release`` OSError and LockError,
    after which the value was not committed: it goes back.
    """

    __slots__ = ()

    @property
    def value(self) -> int:
        """The number."""
        given = self.given
        assert isinstance(given, int)
        return given

    def rollback(self) -> None:
        """Let go without committing: a transactional value is given once more. Raises as `Hold.release`."""
        self._claim.release(failed=True)


class Sequence(Lock[SequenceHold]):
    """A way to ask for numbers; made by `sequence`. All that `Lock` does, with holds that have a ``value``."""

    __slots__ = ()
    _face_of = SequenceHold


class _SequenceKind(Kind):
    __slots__ = ("commits",)

    name = SEQUENCE
    gives = True

    def __init__(self, commits: bool) -> None:
        self.commits = commits

    def __reduce__(self) -> str:
        return "TRANSACTIONAL" if self.commits else "PLAIN"

    def attempt_in(self, mode: ModeRule) -> Attempt:
        return self._attempt

    def commit(self, fd: int, request: Request, grant: Grant) -> None:
        """Raises OSError, LockError: the value was not committed, and goes back."""
        unit = str(grant.pieces[0][0])
        changed(fd, request, lambda state: state.get("out", {}).pop(unit, grant.value))

    def take_back(self, fd: int, request: Request, grant: Grant) -> None:
        """The number is given again: a transactional one as any that was not committed, another one if it is the last.

        Raises OSError, LockError: then it is lost.
        """
        if not self.commits:
            changed(fd, request, lambda state: _not_given(state, grant.value))

    def _attempt(self, fd: int, request: Request, seat: int | None) -> Grant | None:
        def value_for(state: State, pieces: Pieces) -> int:
            unit = pieces[0][0]
            return self._next(state, unit, _abandoned(fd, state, unit))

        return attempt_with_value(fd, request, value_for)

    def _next(self, state: State, unit: int, abandoned: list[str]) -> int:
        """Note and return the value for the holder of the unit."""
        out, back = state.setdefault("out", {}), state.setdefault("back", [])
        back += [out.pop(left) for left in abandoned]
        value: int
        if self.commits and back:
            value = min(back)
            back.remove(value)
        else:
            value = state.get("last", 0) + 1
            state["last"] = value
        if self.commits:
            out[str(unit)] = value
        return value


PLAIN, TRANSACTIONAL = _SequenceKind(False), _SequenceKind(True)


def _not_given(state: State, value: object) -> int | None:
    """Note that the last number was not used; None if another one was given since."""
    if state.get("last") != value:
        return None
    state["last"] -= 1
    last: int = state["last"]
    return last


def _abandoned(fd: int, state: State, mine: int) -> list[str]:
    """The units whose holders are gone, without having committed their values; fd holds the unit ``mine``."""
    units = [int(unit) for unit in state.get("out", {})]
    return [str(unit) for unit in units if unit == mine or is_free(fd, piece_lock(unit, unit + 1))]
