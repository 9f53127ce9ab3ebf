"""How the adapters wait for a locked file: in pylock's queue, and who is first there at the file itself.

Exclusion comes from the real package's own lock of the file alone, so that all who take that are excluded: programs on
the real package, flock(1), other adapters. The queue only says who tries next. It is a pylock lock in the default
directory, named by the device and inode of the file: all names of a file are one queue, and nothing is left beside it.
Where there can be no queue everybody waits at the file, as with the real package.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pylock

from .core import Finished, advance, drive, drive_async, file_of, has_queues, queueing
from .watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._queue.drivers import Steps

    Result = TypeVar("Result")

FIRST_PAUSE = 0.001
"""Seconds to the second look after something happened at the file: the kernel tells of a close just before it unlocks.
Each further pause is `_GROWTH` times as long."""
_GROWTH = 4
_LONGEST_PAUSE = 3600.0
"""However long the interval is: poll(2) counts milliseconds in an int."""
LOOK_BEHIND = 5.0
"""Seconds between two looks of those further back, for a first who was stopped or does not get on."""

_NO_QUEUE = (pylock.LockError, OSError, ValueError)


class Awaited(NamedTuple):
    """What is waited for."""

    status: os.stat_result
    """Of the file that the queue is for."""
    paths: tuple[str, ...]
    """Of the files whose unlocking lets somebody in."""
    name: str
    """To be shown to others."""
    noisy: bool = False
    """Whether an attempt opens and closes one of them itself."""

    def queue(self) -> pylock.Lock:
        return pylock.lock(_queue_name(self.status), reason=f"waits for {self.name}", idle_lifespan=0)


class Patience(NamedTuple):
    """How to wait."""

    deadline: float | None
    """Monotonic; None is for ever."""
    interval: float
    """Seconds between two looks at the file, and between two questions whether to stop."""
    is_cancelled: Callable[[], bool] | None = None

    def left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - monotonic())


def awaited_at(fd: int) -> Awaited:
    """Return what is waited for at an open file."""
    path = f"/proc/self/fd/{fd}"
    return Awaited(os.fstat(fd), (path,), os.readlink(path))


def others_wait(status: os.stat_result) -> bool:
    """Whether somebody came before to wait for the file; who can wait should not try then.

    The next in turn looks at the file once more, as it watches the file of the queue for being opened and closed here.
    """
    try:
        return has_queues() and pylock.lock(_queue_name(status)).locked()
    except _NO_QUEUE:
        return False


def wait(awaited: Awaited, attempt: Callable[[], bool], patience: Patience) -> bool:
    """Wait in this thread until ``attempt`` was successful; False if the patience is at an end before."""
    return bool(drive(_until_stopped(awaited, attempt, patience)))


async def wait_async(awaited: Awaited, attempt: Callable[[], bool], patience: Patience) -> bool:
    """The same on the running loop, without a thread."""
    return bool(await drive_async(_until_stopped(awaited, attempt, patience)))


@contextmanager
def turn_of(awaited: Awaited) -> Iterator[None]:
    """Wait until nobody came before, for ever; the next in turn waits until the block ends."""
    try:
        hold = drive(queueing(awaited.queue(), None))
    except _NO_QUEUE:
        hold = None
    try:
        yield
    finally:
        _leave(hold)


def _until_stopped(awaited: Awaited, attempt: Callable[[], bool], patience: Patience) -> Steps[bool | None]:
    turn = _turn(awaited, attempt, patience)
    return turn if patience.is_cancelled is None else _looking(turn, patience.is_cancelled, patience.interval)


def _turn(awaited: Awaited, attempt: Callable[[], bool], patience: Patience) -> Steps[bool]:
    hold = None
    paths = awaited.paths
    try:
        try:
            queue = awaited.queue()
            hold = yield from _looking(queueing(queue, patience.left()), attempt, LOOK_BEHIND)
            if hold is None:
                return True
            paths = *paths, file_of(queue)
        except pylock.LockTimeout:
            return False
        except _NO_QUEUE:
            pass
        return (yield from _at_the_file(awaited._replace(paths=paths), attempt, patience))
    finally:
        _leave(hold)


def _queue_name(status: os.stat_result) -> str:
    return f"flock-{status.st_dev:x}-{status.st_ino:x}"


def _leave(hold: pylock.Hold | None) -> None:
    try:
        if hold is not None:
            hold.release()
    except _NO_QUEUE:  # it is free all the same, or a forked child leaves a block that its parent is in
        pass


def _at_the_file(awaited: Awaited, attempt: Callable[[], bool], patience: Patience) -> Steps[bool]:
    longest = min(patience.interval, _LONGEST_PAUSE)
    pause = FIRST_PAUSE if awaited.noisy else longest
    with Watch(awaited.paths) as watch:
        while not attempt():
            left = patience.left()
            if left == 0:
                return False
            if awaited.noisy:
                watch.drain()
            rung = yield watch.fd, pause if left is None else min(pause, left)
            if rung:
                watch.drain()
                pause = FIRST_PAUSE
            else:
                pause = min(pause * _GROWTH, longest)
    return True


def _looking(steps: Steps[Result], look: Callable[[], bool], interval: float) -> Steps[Result | None]:
    """Take the steps, but stop, and return None, once a look every so many seconds says so."""
    try:
        fd, seconds = advance(steps)
        due = monotonic() + interval
        until = monotonic() + seconds
        while True:
            rung = yield fd, max(0.0, min(until, due) - monotonic())
            if monotonic() >= due:
                if look():
                    return None
                due = monotonic() + interval
            if rung or monotonic() >= until:
                fd, seconds = advance(steps, rung)
                until = monotonic() + seconds
    except Finished as end:
        result: Result = end.result
        return result
    finally:
        steps.close()
