"""What a command is told, in its environment, of the locks that it runs under.

A nested ``pylock run`` that would wait for its own caller is told so at once.
"""

from __future__ import annotations

import os

from .errors import Deadlock
from .layout import Gone
from .modes import BY_CODE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .holds import Hold
    from .request import Request

VARIABLE = "PYLOCK_HELD"

OuterHold = tuple[int, str, int, str]
"""The pid that holds a lock, the code of its mode, its weight, and the path of the lock file."""


def variables(holds: tuple[Hold, ...], first: Hold) -> dict[str, str]:
    """Return the variables for a command that runs under these holds, of which ``first`` is the one to speak of."""
    request = first._request
    told = {
        "PYLOCK_NAME": request.name,
        "PYLOCK_MODE": request.mode.name,
        "PYLOCK_TOKEN": str(first.token),
        "PYLOCK_DIR": request.directory.path,
        VARIABLE: _extended([hold._request for hold in holds]),
    }
    for hold in holds:
        given = hold._given()
        if isinstance(given, tuple):
            told.setdefault("PYLOCK_ELEMENT", ",".join(given))
        elif given is not None:
            told.setdefault("PYLOCK_VALUE", str(given))
    return told


def _extended(requests: list[Request]) -> str:
    """Return the chain for a command that runs under these locks too: one line "pid code weight path" each."""
    lines = [line for line in os.environ.get(VARIABLE, "").split("\n") if line]
    lines += [f"{os.getpid()} {request.mode.code} {request.weight} {request.path}" for request in requests]
    return "\n".join(lines)


def outer_holds() -> list[OuterHold]:
    """Return the locks that this process runs under, as its environment says."""
    found = []
    for line in os.environ.get(VARIABLE, "").split("\n"):
        pid, code, weight, path = (line.split(" ", 3) + [""] * 4)[:4]
        if path and code in BY_CODE and _is_number(pid) and _is_number(weight):
            found.append((int(pid), code, int(weight), path))
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def refuse_deadlock(request: Request) -> None:
    """Raise Deadlock if this command runs under the lock in a mode that does not let the request in."""
    for pid, code, weight, path in outer_holds():
        if path != request.path and os.path.realpath(path) != os.path.realpath(request.path):
            continue
        excludes = code not in request.mode.compatible
        both_counted = code == "PR" and request.mode.counted
        if not (excludes or both_counted) or not _still_holds(pid, request):
            continue
        if excludes or weight + request.weight > _capacity(request) > 0:
            raise Deadlock(
                f'would wait for ever for "{request.name}" ({request.mode.name}): this command already runs under it'
                f" ({BY_CODE[code].name}), held for it by pid {pid}; take the lock only once",
                name=request.name,
            )


def _capacity(request: Request) -> int:
    """The capacity that the lock has, or would have by this request."""
    from .census import opened
    from .headers import is_blank, read_head, read_header

    with opened(request.path, request.directory.remote) as fd:
        head = read_head(fd) if fd >= 0 else b""
    try:
        definition = None if is_blank(head) else read_header(head, request.name, request.path)
    except Gone:
        definition = None
    if definition is None or definition.given_capacity is None:
        return request.expected.capacity
    return definition.capacity


def _still_holds(pid: int, request: Request) -> bool:
    """Whether the outer holder is one still; a daemon may have outlived the command that it was started by."""
    from .census import opened, take_census

    with opened(request.path, request.directory.remote) as fd:
        return fd >= 0 and any(holder.pid == pid for holder in take_census(fd, request.slots_start)[0])
