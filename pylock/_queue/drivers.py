"""The ways to wait: blocking a thread, or on the event loop of asyncio or trio. No other module sleeps for a lock.

What waits is written once, as a generator that yields ``(descriptor, seconds)``: watch the descriptor (-1: none), or
each of several, until one is readable, at most that long, and send back whether one became so.
"""

from __future__ import annotations

import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Generator
    from typing import Any, TypeVar

    Result = TypeVar("Result")
    Watched = int | tuple[int, ...]
    Steps = Generator[tuple[Watched, float], bool, Result]


class Finished(BaseException):
    """There are no more steps. ``result`` is what they returned."""

    def __init__(self, result: Any) -> None:
        self.result = result


def advance(steps: Steps[Any], ready: bool | None = None) -> tuple[Watched, float]:
    """Take the next step; ``ready`` is the answer to the one before. Raises Finished.

    That is no StopIteration, which a signal handler may raise as well, and which would then be taken for a grant.
    """
    try:
        return steps.send(ready)  # type: ignore[arg-type]  # None is for the first one
    except StopIteration as stop:
        if getattr(steps, "gi_frame", None) is not None:  # it has not come to its end
            raise RuntimeError("a signal handler raised StopIteration") from stop
        raise Finished(stop.value) from None


def drive(steps: Steps[Result]) -> Result:
    """Take the steps in this thread. A signal handler that raises ends them at the step where they are."""
    try:
        watched, seconds = advance(steps)
        while True:
            watched, seconds = advance(steps, is_readable(watched, seconds))
    except Finished as end:
        result: Result = end.result
        return result
    finally:
        steps.close()


def sleeping_by(sleep: Callable[[Watched, float], Steps[bool]], steps: Steps[Result]) -> Steps[Result]:
    """The same steps, each sleep of which is done by what ``sleep`` returns for it."""
    try:
        asked = advance(steps)
        while True:
            asked = advance(steps, (yield from sleep(*asked)))
    except Finished as end:
        result: Result = end.result
        return result
    finally:
        steps.close()


def is_readable(watched: Watched, seconds: float) -> bool:
    """Wait until one of them is readable, at most so long; tell whether one is."""
    fds = _descriptors(watched)
    if not hasattr(select, "poll"):  # as eventlet takes it away, and sees to it that others run during select
        return bool(select.select(fds, [], [], seconds)[0])
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(_milliseconds(seconds)))


def _descriptors(watched: Watched) -> list[int]:
    return [fd for fd in ((watched,) if isinstance(watched, int) else watched) if fd >= 0]


def _milliseconds(seconds: float) -> int:
    return -int(-seconds * 1000 // 1)


async def drive_async(steps: Steps[Result]) -> Result:
    """Take the steps on the running event loop, without a thread, so that cancelling has one place to land."""
    trio = running_trio()
    try:
        watched, seconds = advance(steps)
        while True:
            fds = _descriptors(watched)
            rung = await (_sleep_in_asyncio(fds, seconds) if trio is None else _sleep_in_trio(trio, fds, seconds))
            watched, seconds = advance(steps, rung)
    except Finished as end:
        result: Result = end.result
        return result
    finally:
        steps.close()


def running_trio() -> Any:
    """The module, if this is a task of trio, as anyio may start them too; else None."""
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    return sys.modules["trio"] if lowlevel is not None and lowlevel.in_trio_task() else None


async def _sleep_in_asyncio(fds: list[int], seconds: float) -> bool:
    import asyncio

    loop = asyncio.get_running_loop()
    bell: Future[bool] = loop.create_future()
    timer = loop.call_later(seconds, _settle, bell, False)
    for fd in fds:
        loop.add_reader(fd, _settle, bell, True)
    try:
        return await bell
    finally:
        timer.cancel()
        for fd in fds:
            loop.remove_reader(fd)


def _settle(bell: Future[bool], rung: bool) -> None:
    if not bell.done():
        bell.set_result(rung)


async def _sleep_in_trio(trio: Any, fds: list[int], seconds: float) -> bool:
    rung = False

    async def listen(fd: int) -> None:
        nonlocal rung
        await trio.lowlevel.wait_readable(fd)
        rung = True
        nursery.cancel_scope.cancel()

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for fd in fds:
                nursery.start_soon(listen, fd)
            if not fds:
                await trio.sleep_forever()
    return rung
