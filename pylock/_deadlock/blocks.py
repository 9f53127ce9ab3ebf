"""The `with` blocks of this process: who is inside which, so that nobody waits for what only itself could release.

A block ends when the frame with the ``with`` statement goes on. So who asks waits for itself, for certain, if that
frame is on the stack of who asks: of a coroutine, on its chain of awaits, which is on the stack while it runs. A frame
that is suspended elsewhere, of a generator, a callback or a greenlet, may end by itself, and is waited for; and so is a
block that was entered otherwise than by a statement, as by an ExitStack. A ``with`` in a generator that contextlib
makes a context manager of stands for the one in which that is used. So no thread or task has to be known, with one
exception: a call that blocks an event loop stops every task of that loop.

Only holds taken by a ``with`` block count. Any thread may release a hold got by `acquire`, so that waiting for one
of those need not be for ever.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from _weakref import ref

from .._errors import Deadlock
from .._process import forget_in_child, loading
from .._queue.drivers import running_trio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from .._request import Request

Entry = tuple["tuple[FrameType | None, ...]", int, int, object]
"""Who entered a block: the frame (None: C code) and those that it stands for, the instruction in it (-1: no matter
which), the thread, and the task or None."""

_PYLOCK = __name__.partition(".")[0]
_GENERATOR, _COROUTINE = 0x20 | 0x200, 0x80 | 0x200  # of code.co_flags: the second is at an await where it enters


class Insider:
    """What a with block may be inside of: a claim, opened as ``fd``, and who has entered by it."""

    __slots__ = ("__weakref__", "entered_by", "fd", "request")

    fd: int
    request: Request
    entered_by: Entry | None
    """Who is in a with block by it, until that block ends."""


inside: dict[int, ref[Insider]] = {}
"""The claim of each ``with`` block, by its descriptor; it says who entered. Weak, as a frame keeps what it names."""

forget_in_child(inside.clear)


def current_task() -> Any:
    """The task of asyncio or trio that is running in this thread, None if there is none."""
    if (trio := running_trio()) is not None:
        return trio.lowlevel.current_task()
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None or asyncio._get_running_loop() is None else asyncio.current_task()


def calling_frame() -> FrameType | None:
    """The frame that called the caller; None if C code did, below which there is no Python."""
    try:
        return sys._getframe(2)
    except ValueError:
        return None


def enter_block(claim: Insider, frame: FrameType | None) -> None:
    """Note that the frame is inside the block of the claim."""
    task = current_task() if "asyncio" in sys.modules or "trio" in sys.modules else None
    instruction = frame.f_lasti if frame else -1
    frames = _standing_for(frame) if frame and frame.f_code.co_flags & _GENERATOR else (frame,)
    claim.entered_by = frames, instruction, get_ident(), task
    inside[claim.fd] = ref(claim)


def _standing_for(frame: FrameType) -> tuple[FrameType, ...]:
    """The frame of a generator, and those whose ``with`` statements go on only when it does."""
    through = frame.f_back
    if through is None or through.f_globals.get("__name__") != "contextlib" or through.f_back is None:
        return (frame,)
    user = through.f_back
    if through.f_code.co_name == "__enter__" and not is_at_with(user, user.f_lasti):
        return (frame,)
    return frame, *(_standing_for(user) if user.f_code.co_flags & _GENERATOR else (user,))


def is_at_with(frame: FrameType, instruction: int) -> bool:
    """Whether the instruction is that of a ``with`` statement, and no other call."""
    with loading:
        from opcode import opmap

    code = frame.f_code.co_code
    if "BEFORE_WITH" in opmap:
        return code[instruction] == opmap["BEFORE_WITH"]
    return code[instruction - 2] == opmap["LOAD_SPECIAL"]  # since Python 3.14


def note_taken(claim: Insider) -> None:
    """Note that the caller cannot let go of this claim, as it is about to wait for more."""
    claim.entered_by = (_outside(),), -1, get_ident(), current_task()
    inside[claim.fd] = ref(claim)


def forget_block(claim: Insider) -> None:
    """Forget it: the claim may be released by anybody from now on."""
    claim.entered_by = None
    inside.pop(claim.fd, None)


def entered_here(entry: Entry, frame: FrameType | None) -> bool:
    """Whether it is the frame, or else at least this thread and task, that entered."""
    return entry[0][0] is frame or (entry[2] == get_ident() and entry[3] is current_task())


def all_blocks_around(waits_as_task: bool) -> list[Insider]:
    """Return the claims of the blocks that cannot end before the caller goes on.

    A task that awaits stops only itself, but a call that blocks stops every task of its event loop.
    """
    if not inside:
        return []
    stack = set(_stack())
    task = None if waits_as_task else current_task()
    found = []
    for each in list(inside.values()):
        claim = each()
        entry = claim and claim.entered_by
        if claim is not None and entry and (_is_on(stack, entry) or _is_stopped_with(task, entry)):
            found.append(claim)
    return found


def _is_on(stack: set[FrameType], entry: Entry) -> bool:
    frames, instruction, _, _ = entry
    frame = frames[0]
    if frame is None or not any(each in stack for each in frames):
        return False
    # A coroutine is at an await, and not at its statement.
    return instruction < 0 or bool(frame.f_code.co_flags & _COROUTINE) or is_at_with(frame, instruction)


def _is_stopped_with(mine: Any, entry: Entry) -> bool:
    """Whether the other task cannot go on before mine, as both are on one event loop, which mine blocks."""
    other: Any = entry[3]
    if mine is None or other is None or hasattr(mine, "get_loop") != hasattr(other, "get_loop"):
        return False
    if not hasattr(mine, "get_loop"):  # trio has one loop for each thread
        return entry[2] == get_ident()
    return other.get_loop() is mine.get_loop() and not other.done()


def blocks_around(request: Request, waits_as_task: bool, besides: Insider | None = None) -> list[Insider]:
    """Return those of the same lock, but for the one ``besides``."""
    around = all_blocks_around(waits_as_task)
    return [claim for claim in around if claim.request.path == request.path and claim is not besides]


def refuse_deadlock(request: Request, blocks: list[Insider]) -> None:
    """Raise Deadlock if the request cannot be granted before one of the blocks around it ends."""
    units = request.weight
    for claim in blocks:
        held = claim.request
        if held.mode.counted:
            units += held.weight
        if held.mode.code not in request.mode.compatible or (request.mode.counted and units > request.terms.limit > 0):
            task = claim.entered_by and claim.entered_by[3]
            who, advice = "the same thread" if task is None else "the same task", ""
            if task not in (None, current_task()):
                who = "another task of this event loop"
                advice = ", which this wait would block; wait as a task, by async with or acquire_async"
            raise Deadlock(
                f'would wait for ever for "{request.name}" ({request.mode.name}) at {_caller()}: {who} holds it'
                f" ({held.mode.name}) by the with block at {_place(claim.entered_by)}{advice}",
                name=request.name,
            )


def _place(entry: Entry | None) -> str:
    """Where a block begins; that of a decorated function, whose frame is pylock's, where that is decorated.

    The line is worked out only for an error: that takes as long as a lock.
    """
    frame = entry[0][0] if entry else None
    if entry is None or frame is None:
        return "an unknown place"
    if _is_ours(frame) and (code := getattr(frame.f_locals.get("function"), "__code__", None)):
        return f"{code.co_filename}:{code.co_firstlineno}"
    return f"{frame.f_code.co_filename}:{_line(frame.f_code, entry[1])}"


def _line(code: CodeType, instruction: int) -> int | None:
    return next((line for start, stop, line in code.co_lines() if start <= instruction < stop), None)


def _caller() -> str:
    frame = _outside()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown place"


def _stack() -> list[FrameType]:
    frames = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _outside() -> FrameType | None:
    """The place outside pylock that asks."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    return frame


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__package__")).partition(".")[0] == _PYLOCK
