"""Path hierarchies: a lock on a node is one on all that is below it.

Who holds "/a/b" is noted in the files of "/a" and of "/", by one locked byte in the room of its mode; who holds "/a"
locks the rooms of the modes that its own excludes, to read. So the kernel sees in one file what excludes each other
on different levels, and those on different branches never meet. Levels are taken from the root on, in the order in
which everybody takes them, and each is waited for in its own queue.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._acquiring.attempt import LET_GO, attempt_in, attempt_range
from .._acquiring.claim import Claim
from .._enums import Mode
from .._errors import harmless
from .._file.bytemap import INTENT_ROOMS, INTENTS, SEAT_COUNT
from .._file.byterange import byte_lock, is_free, let_go, read_lock, try_lock
from .._file.layout import PATH
from .._holds import Hold
from .._locks import Lock, checked_timeout
from .._modes import ALL, NULL, rule_of
from .._modes import INTENTS as INTENT_RULES
from .._queue.tickets import LEAVE_SEATS, take_seat
from .._request import Kind, Request, make_request
from .._several import Composite, Holds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Any

    from .._modes import ModeRule
    from .._request import Attempt, Grant

ROOT = "/"


def path_lock(
    path: str,
    mode: Mode | str = "exclusive",
    *,
    timeout: float | None = None,
    priority: int = 0,
    policy: str | None = None,
    reason: str | None = None,
    directory: str | PathLike[str] | None = None,
    create: bool = True,
    idle_lifespan: float | None = None,
) -> PathLock:
    """Return the `PathLock` of a node such as "/apple/pear", which need not be a file.

    It excludes, by the same matrix as any lock, those who hold this node, one of its ancestors, or anything below it;
    never its siblings. While it is waited for no level is held. ``policy`` is that of
    every level. The other parameters are those of `lock`. Raises ValueError for what is no path; and as `lock`.
    """
    checked_timeout(timeout)
    rule = rule_of(mode)

    def level(node: str, kind: Kind) -> Lock:
        request = make_request(
            node, rule.name, priority=priority, policy=policy, reason=reason, directory=directory, create=create,
            idle_lifespan=idle_lifespan, kind=kind,
        )  # fmt: skip
        return Lock(request, None)

    names = _names(path)
    if not {".", ".."}.isdisjoint(names):
        raise _not_a_path(path)
    return PathLock(_levels(path, names, rule, level), timeout)


def tree_lock(
    path: str,
    mode: Mode | str = "exclusive",
    *,
    directory: str | PathLike[str] | None = None,
    create: bool = True,
    idle_lifespan: float | None = None,
) -> PathLock:
    """As `path_lock`, but what exists or not, and goes on existing, is the whole tree below its first level.

    Names between slashes may be any texts, also "." and "..".
    """
    names = _names(path)
    rule = rule_of(mode)
    top = f"/{names[0]}" if names else ROOT

    def level(node: str, kind: Kind) -> Lock:
        is_top = node == top
        request = make_request(
            node, rule.name, directory=directory, create=create or not is_top,
            idle_lifespan=idle_lifespan if is_top else None, kind=kind,
        )  # fmt: skip
        return Lock(request, None)

    levels = _levels(path, names, rule, level)
    if rule is NULL and path != top:
        levels = level(top, _NodeKind()), *levels  # which shows that the tree is in use, and excludes nobody
    return PathLock(levels, None)


def _levels(path: str, names: list[str], rule: ModeRule, level: Callable[[str, Kind], Lock]) -> tuple[Lock, ...]:
    """Return what must be taken for a hold of the path, from the root on."""
    above = [] if rule is NULL else [f"/{'/'.join(names[:depth])}" for depth in range(len(names))]
    return *(level(node, _IntentKind(path, rule)) for node in above), level(path, _NodeKind())


def _names(path: str) -> list[str]:
    """Return the names of the path's levels below the root."""
    if not isinstance(path, str):
        raise TypeError(f"the path must be a str, not {path!r}")
    names = path.split("/")[1:] if path != ROOT else []
    if not path.startswith(ROOT) or "" in names:
        raise _not_a_path(path)
    return names


def _not_a_path(path: str) -> ValueError:
    meant = f"/{'/'.join(name for name in path.split('/') if name)}"
    return ValueError(
        f'{path!r} is not a path to lock: it begins with "/", and between slashes there are names, not "." or ".."'
        + (f"; did you mean {meant!r}?" if meant != path and not {".", ".."} & set(meant.split("/")) else "")
    )


class PathHold(Holds[tuple[Hold, ...]]):
    """A hold of a node and all that is below it."""

    def __repr__(self) -> str:
        return f'<PathHold "{harmless(self.name)}" {self.mode} {"held" if self.held else "released"}>'

    @property
    def name(self) -> str:
        """The path."""
        return self.holds[-1].name

    @property
    def mode(self) -> Mode:
        return self.holds[-1].mode

    @property
    def token(self) -> int:
        """As `Hold.token`, of the node."""
        return self.holds[-1].token


class PathLock(Composite[PathHold]):
    """A way to ask for a node; made by `path_lock`."""

    def __repr__(self) -> str:
        return f'<PathLock "{harmless(self.name)}" {self.mode} {"held" if self.held else "not held"}>'

    @property
    def name(self) -> str:
        """The path."""
        return self._parts[-1].name

    @property
    def mode(self) -> Mode:
        return self._parts[-1].mode

    def locked(self) -> bool:
        """Whether anybody holds the node or something below it, in a mode other than null."""
        return self._parts[-1].locked()

    def face(self, taken: Mapping[Lock[Any], Claim]) -> PathHold:
        return PathHold(self._claims_in(taken), tuple(part.face(taken) for part in self._parts))

    def _arguments(self) -> tuple[object, ...]:
        return self._parts, self._timeout


def _room_of(code: str) -> int:
    return INTENTS + INTENT_ROOMS.index(code) * SEAT_COUNT


def _rooms_excluded_by(rule: ModeRule) -> bytes | None:
    """The rooms of those who may not be below a holder of this mode, which are neighbours."""
    rooms = [_room_of(code) for code in INTENT_ROOMS if f"/{code}" not in rule.compatible]
    return read_lock(rooms[0], rooms[-1] + SEAT_COUNT) if rooms else None


_EXCLUDED = {rule.code: _rooms_excluded_by(rule) for rule in ALL}


class _NodeKind(Kind):
    """The level that is asked for."""

    __slots__ = ()

    name = PATH

    def attempt_in(self, mode: ModeRule) -> Attempt:
        return self._attempt

    def lets(self, fd: int, request: Request, seat: int) -> bool:
        excluded = _EXCLUDED[request.mode.code]
        return excluded is None or is_free(fd, excluded)

    def _attempt(self, fd: int, request: Request, seat: int | None) -> Grant | None:
        excluded = _EXCLUDED[request.mode.code]
        if excluded is not None and not try_lock(fd, excluded):
            return None
        grant = attempt_in(request.mode)(fd, request, seat)
        if grant is None:
            let_go(fd, LET_GO)
        return grant


class _IntentKind(Kind):
    """A level above it."""

    __slots__ = ("_room", "below", "extra", "rule")

    name = PATH
    below: str

    def __init__(self, below: str, rule: ModeRule) -> None:
        self.below = below
        self.extra = {"below": below}
        self.rule = INTENT_RULES[rule.code]
        self._room = _room_of(rule.code)

    def attempt_in(self, mode: ModeRule) -> Attempt:
        return self._attempt

    def lets(self, fd: int, request: Request, seat: int) -> bool:
        return is_free(fd, byte_lock(self._room + seat))

    def _attempt(self, fd: int, request: Request, seat: int | None) -> Grant | None:
        mine = take_seat(fd) if seat is None else seat
        if mine is None:
            return None
        byte = self._room + mine
        grant = attempt_range(fd, request, mine) if try_lock(fd, byte_lock(byte)) else None
        if grant is None:
            let_go(fd, LET_GO)
            if seat is None:  # that of a waiter stays
                let_go(fd, LEAVE_SEATS)
        return grant
