"""The locks that this process runs under, as its environment says.

A nested ``pylock run`` that would wait for its own caller is told so at once.
"""

from __future__ import annotations

import os

from .. import _process as process
from .._errors import Deadlock
from .._file.header import Gone, look_at_header
from .._file.lockfile import Look
from .._modes import BY_CODE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._request import Request
    from .._status import Holder

VARIABLE = "PYLOCK_HELD"


class OuterHold:
    """A lock that this process runs under, as its environment says."""

    __slots__ = ("code", "path", "pid", "start", "weight")

    def __init__(self, pid: int, start: int, code: str, weight: int, path: str) -> None:
        self.pid = pid
        self.start = start
        """With the pid, one process: numbers are used again."""
        self.code = code
        self.weight = weight
        self.path = path

    def __str__(self) -> str:
        """The line that says so in the environment."""
        path = self.path.replace("%", "%25").replace("\n", "%0A")
        return f"{self.pid} {self.start} {self.code} {self.weight} {path}"


def mark() -> str:
    """What stands in the environment of every process that runs under a claim of this one."""
    me = process.identity()
    return f"{me.pid} {me.start} "


def extended(requests: list[Request]) -> str:
    """Return the chain for a command that runs under these locks too: a line "pid start code weight path" each."""
    lines = [line for line in os.environ.get(VARIABLE, "").split("\n") if line]
    me = process.identity()
    for request in requests:
        lines.append(str(OuterHold(me.pid, me.start, request.mode.code, request.weight, request.path)))
    return "\n".join(lines)


def outer_holds() -> list[OuterHold]:
    """Return the locks that this process runs under."""
    found = []
    for line in os.environ.get(VARIABLE, "").split("\n"):
        pid, start, code, weight, path = (line.split(" ", 4) + [""] * 5)[:5]
        if path and code in BY_CODE and all(map(_is_number, (pid, start, weight))):
            path = path.replace("%0A", "\n").replace("%25", "%")
            found.append(OuterHold(int(pid), int(start), code, int(weight), path))
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def refuse_outer_hold(request: Request) -> None:
    """Raise Deadlock if this command runs under the lock in a mode that does not let the request in."""
    for outer in outer_holds():
        if outer.path != request.path and os.path.realpath(outer.path) != os.path.realpath(request.path):
            continue
        excludes = outer.code not in request.mode.compatible
        both_counted = outer.code == "PR" and request.mode.counted
        if not (excludes or both_counted) or not _still_holds(outer, request):
            continue
        if excludes or outer.weight + request.weight > capacity_of(request) > 0:
            raise Deadlock(
                f'would wait for ever for "{request.name}" ({request.mode.name}): this command already runs under it'
                f" ({BY_CODE[outer.code].name}), held for it by pid {outer.pid}; take the lock only once",
                name=request.name,
            )


def capacity_of(request: Request) -> int:
    """The capacity that the lock has, or would have by this request."""
    definition = None
    try:
        with Look(request.path, request.directory) as fd:
            if fd >= 0:
                definition = look_at_header(fd, request.name, request.path)[1]
    except Gone:
        pass
    if definition is None or definition.given_capacity is None:
        return request.expected.capacity
    return definition.capacity


def _still_holds(outer: OuterHold, request: Request) -> bool:
    """Whether the outer holder is one still; a daemon may have outlived the command that it was started by."""
    with process.loading:
        from .._status import take_census

    with Look(request.path, request.directory) as fd:
        holders = take_census(fd, request.slots_start)[0] if fd >= 0 else ()
    return is_among(outer, holders)


def is_among(outer: OuterHold, holders: Iterable[Holder]) -> bool:
    """Whether it is one of those who hold; also if it may be one who is not known, having found no room to say so."""
    everybody = list(holders)
    if any((holder.pid, holder.start) == (outer.pid, outer.start) for holder in everybody):
        return True
    is_there = process.start_time(outer.pid) == outer.start
    return is_there and not all(holder.is_known for holder in everybody)
