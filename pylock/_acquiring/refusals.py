"""The errors for who was not granted a lock: what happened, who is in the way, what to do."""

from __future__ import annotations

from shlex import join

from .._enums import Mode
from .._errors import LockError, LockTimeout, WouldBlock
from .._file.directories import is_default
from .._file.header import Gone
from .._file.lockfile import refresh
from .._status import Holder, closing, take_census
from .agreement import learn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._errors import RefusalType
    from .._request import Request


def absence(kind: RefusalType, request: Request, waited: float) -> WouldBlock | LockTimeout:
    """Make the error for a lock that does not exist, or whose file is being removed."""
    name = request.kind.below or request.name
    why = "cannot be had while its file is being removed"
    if not request.create:
        why = "does not exist: nobody uses it, and it is not to be created here"
    return kind(
        f'"{name}" {why} (waited {waited:.1f} s)',
        name=name, mode=Mode(request.mode.name), waited=waited, exists=request.create,
    )  # fmt: skip


def refusal(kind: RefusalType, fd: int, request: Request, waited: float) -> WouldBlock | LockTimeout:
    """Make the error for a request that was not granted."""
    if request.directory.remote:
        refresh(fd)
    holders, waiters = take_census(fd, request.slots_start)
    mode = Mode(request.mode.name)
    name, below = request.name, request.kind.below
    wanted = f'"{below or name}" ({mode})' + (f' at "{name}"' if below else "")
    if kind is LockTimeout:
        text = f"gave up on {wanted} {f'after {waited:.1f} s' if waited >= 0.05 else 'at once'}: "
    else:
        text = f"{wanted} is not to be had at once: "
    before = [waiter for waiter in waiters if waiter.priority >= request.priority]
    text += _hindrance(fd, request, holders) or (f"promised to {before[0]}" if before else request.kind.hindrance)
    if before:
        text += f", {len(before)} {'waiter' if len(before) == 1 else 'waiters'} ahead"
    text += f'; see "{_status_command(request)}"'
    return kind(text, name=below or name, mode=mode, waited=waited, holders=holders, waiters=waiters)


def _hindrance(fd: int, request: Request, holders: tuple[Holder, ...]) -> str:
    """What keeps the request out besides those who wait."""
    if _is_closed(fd, request):
        who = closing(fd, request.slots_start)
        return f"the lock is closed (capacity 0){f' {who}' if who else ''}"
    blocking = [holder for holder in holders if holder.code not in request.mode.compatible]
    if blocking:
        return f"held by {blocking[0]}{f' and {len(blocking) - 1} more' if len(blocking) > 1 else ''}"
    used = sum(holder.weight for holder in holders if holder.code == "PR")
    if request.mode.counted and used + request.weight > request.terms.limit:
        return f"{used} of {request.terms.limit} units are held, {request.weight} asked for"
    return ""


def _is_closed(fd: int, request: Request) -> bool:
    try:
        return learn(fd, request).limit == 0
    except (Gone, LockError):
        return False


def _status_command(request: Request) -> str:
    """What shows the lock to a shell."""
    directory = [] if is_default(request.directory.path) else ["-d", request.directory.path]
    ending = ["--"] if request.name.startswith("-") else []
    return join(["pylock", "status", *directory, *ending, request.name])
