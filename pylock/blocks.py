"""The `with` blocks of this process: who is inside which, so that nobody waits for what only itself could release.

Only holds taken by a ``with`` block count. Any thread may release a hold got by `acquire`, so that waiting for one
of those need not be for ever.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from .errors import Deadlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType

    from .request import Request

Block = tuple["Request", int, object, "CodeType", int]
"""What is held, by which thread and asyncio task (None: by none), and the code and instruction where the block begins.

The line is worked out only for an error: that takes as long as a lock.
"""

Whoever = tuple[int, object]
"""A thread and, in it, an asyncio task or None."""

inside: dict[int, Block] = {}
"""The block of each hold that a ``with`` block has, by the hold's descriptor."""


os.register_at_fork(after_in_child=inside.clear)


def current_task() -> object:
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None or asyncio._get_running_loop() is None else asyncio.current_task()


def whoami() -> Whoever:
    return get_ident(), current_task() if "asyncio" in sys.modules else None


def enter_block(fd: int, request: Request, depth: int) -> Whoever:
    """Note that the caller's caller, ``depth`` frames up, is inside the lock opened as fd; return who that is."""
    frame = sys._getframe(depth)
    thread, task = who = whoami()
    inside[fd] = request, thread, task, frame.f_code, frame.f_lasti
    return who


def note_taken(fd: int, request: Request) -> None:
    """Note that the caller outside pylock is about to wait for more, so that it will not let go of this before."""
    frame = _outside() or sys._getframe()
    inside[fd] = request, get_ident(), current_task(), frame.f_code, frame.f_lasti


def change_block(fd: int, request: Request) -> None:
    """Note that a hold has become what another request asks for."""
    block = inside.get(fd)
    if block is not None:
        inside[fd] = request, *block[1:]


def leave_block(fd: int) -> None:
    """Forget it: the hold may be released by anybody from now on."""
    inside.pop(fd, None)


def all_blocks_around(waits_as_task: bool) -> dict[int, Block]:
    """Return the blocks that cannot end before this thread or task goes on, by descriptor.

    A task that awaits stops only itself, but a call that blocks stops every task of its thread.
    """
    thread, task = get_ident(), current_task()
    return {
        fd: block
        for fd, block in list(inside.items())
        if block[1] == thread and (not waits_as_task or block[2] is None or block[2] is task)
    }


def blocks_around(request: Request, waits_as_task: bool, besides: int = -1) -> list[Block]:
    """Return those of the same lock, but for the one with the descriptor ``besides``."""
    around = all_blocks_around(waits_as_task) if inside else {}
    return [block for fd, block in around.items() if block[0].path == request.path and fd != besides]


def refuse_deadlock(request: Request, blocks: list[Block]) -> None:
    """Raise Deadlock if the request cannot be granted before one of the blocks around it ends."""
    units = request.weight
    for held, _, task, code, instruction in blocks:
        if held.mode.counted:
            units += held.weight
        if held.mode.code not in request.mode.compatible or (request.mode.counted and units > request.terms.limit > 0):
            raise Deadlock(
                f'would wait for ever for "{request.name}" ({request.mode.name}) at {_caller()}: the same'
                f" {'thread' if task is None else 'task'} holds it ({held.mode.name}) by the with block at"
                f" {code.co_filename}:{_line(code, instruction)}",
                name=request.name,
            )


def _line(code: CodeType, instruction: int) -> int | None:
    return next((line for start, stop, line in code.co_lines() if start <= instruction < stop), None)


def _caller() -> str:
    frame = _outside()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown place"


def _outside() -> FrameType | None:
    """The place outside pylock that asks."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__package__")).partition(".")[0] == __package__:
        frame = frame.f_back
    return frame
