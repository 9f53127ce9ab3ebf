"""What `run` and `take` have in common: which lock the words mean, and the wait for it."""

from __future__ import annotations

import os

from .._deadlock import nesting
from .._file.layout import UNLIMITED
from .._locks import Lock, lock
from .._modes import BY_NAME, rule_of
from .._queue.drivers import drive, sleeping_by
from .._run.supervisor import FORWARDED, raw
from .announcing import drive_announcing
from .options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._queue.drivers import Result, Steps, Watched
    from .._request import Request
    from .._several import Composite
    from .settings import RunSettings

OTHER_KINDS = frozenset(("any_of", "tree", "sequence", "transactional", "timestamp"))
_PLAIN = ("weight", "capacity", "priority", "policy", "reason", "directory", "create", "idle_lifespan")
"""What a plain lock takes as it is."""


def wanted_lock(settings: RunSettings, name: str) -> Lock | Composite[Any]:
    """Return the lock that the settings describe."""
    defined = settings.defined(settings.tree or name)
    implied = "exclusive" if settings.capacity is None and settings.weight is None else "shared"
    mode = settings.mode or implied
    if settings.given(*OTHER_KINDS):
        from .kinds import lock_of_kind

        return lock_of_kind(settings, name, mode, defined)
    wanted = lock(name, mode, **defined | settings.given(*_PLAIN))
    if settings.weight is not None and not settings.as_flom:
        _refuse_weight_of_nothing(settings.weight, settings, wanted.request)
    return wanted


def _refuse_weight_of_nothing(weight: int, settings: RunSettings, request: Request) -> None:
    """Raise UsageError where units are asked for by number, and any number of them may be had.

    So it is for who types -w as for flock(1), and means seconds; one unit is fine for who says that it is to be shared.
    """
    meant = (weight == 1 and settings.mode is not None) or not request.mode.counted
    if meant or settings.create is False or nesting.capacity_of(request) != UNLIMITED:
        return
    raise UsageError(
        f'--weight {weight}: the lock "{request.name}" has no capacity, so that any number share it; give --capacity'
        f" too. To wait {weight} seconds at most is --timeout: -t {weight}"
    )


def name_and_mode(text: str) -> tuple[str, str]:
    """Split NAME[:MODE]; a colon that no mode follows belongs to the name, unless the mode is only misspelt."""
    name, colon, mode = text.rpartition(":")
    if colon and name:
        try:
            return name, rule_of(mode).name
        except ValueError:
            pass
        from difflib import get_close_matches

        if meant := get_close_matches(mode, [known for known in BY_NAME if len(known) > 2], 1, 0.75):
            raise UsageError(
                f"--with={text}: {mode!r} is not a mode; write {name}:{meant[0]}, or {text}:exclusive if the name ends"
                " so"
            )
    return text, "exclusive"


def fill_standard_descriptors() -> list[int]:
    """Open what is closed of 0 to 2, so that nothing else gets such a number, a log; return which were closed."""
    closed = []
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            closed.append(os.open(os.devnull, os.O_RDWR))
    return closed


class Struck(BaseException):
    """A signal came while the lock was waited for."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"signal {signal}")
        self.signal = signal


def refuse_lent(requests: list[Request]) -> None:
    """Raise Deadlock if a descriptor that this process was given holds one of the locks; for who is about to wait."""
    from .._deadlock import lenders

    if lenders.adopt():
        for request in requests:
            nesting.refuse_outer_hold(request)


def wait(steps: Steps[Result], requests: list[Request], quiet: bool) -> Result:
    """Wait for locks, visibly unless ``quiet``; a signal meanwhile leaves the queue in good order: Struck is raised."""
    struck: list[int] = []

    def strike(signal: int, frame: object) -> None:
        if not struck:  # what comes after the first one would disturb the leaving, which ends in any case
            struck.append(signal)
            raise Struck(signal)

    def sleep(watched: Watched, seconds: float) -> Steps[bool]:
        ready = yield watched, seconds
        if struck:  # and what was raised then was swallowed, as by a callback of a weak reference
            raise Struck(struck[0])
        return ready

    before = {number: raw.signal(number, strike) for number in FORWARDED if _is_default(number)}
    steps = sleeping_by(sleep, steps)
    try:
        return drive(steps) if quiet else drive_announcing(steps, requests)
    finally:
        for number, handler in before.items() if not struck else ():
            raw.signal(number, handler)


def _is_default(number: int) -> bool:
    return raw.getsignal(number) is not raw.SIG_IGN
