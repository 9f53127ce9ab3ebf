"""A contender: a process of its own, as far as pylock can tell, which runs a short program of pylock's calls.

It runs as a greenlet, so that it can be left at any system call, and so that no thread has to be waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

import pylock
from pylock import _process
from pylock._acquiring.waiting import SAFETY, SAFETY_BEHIND
from pylock._definitions import define as pylock_define
from pylock._file import reuse
from pylock._file.directories import resolve
from pylock._file.removal import clean as pylock_clean
from pylock._modes import CONCURRENT_READ, ModeRule, rule_of

from .doors import DIRECTORY
from .system import Process

if TYPE_CHECKING:
    from .world import World

READY, ASLEEP, MEETING, DONE, DYING, DEAD = "ready", "asleep", "meeting", "done", "dying", "dead"
FIRST_PID = 101
NAME = "lock"
NEVER = 100_000.0
"""Seconds after which no look is taken: what takes the place of the times between safety looks."""
_LONG, _DEADLINE = 0.002, 10.0
"""Sleeps from here on are those that only matter where somebody does not go on, and those up to a deadline."""
_UNHEARD = SAFETY_BEHIND[2]
"""From here on, as `SAFETY`, they are of those who know that something happens which they cannot hear. That is the case
only where somebody is killed before it has written who it is; elsewhere they do not count as a source."""
SOON, LATER, AT_DEADLINE, NOT_AT_ALL, SPINNING = "soon", "later", "at the deadline", "not at all", "spinning"

Act = Callable[["Contender"], None]
Ask = tuple[str, ModeRule, int]
"""What one asks for of a lock: its path, the mode, how many units."""


class Abandoned(BaseException):
    """Raised in a contender that was killed, or whose schedule is over, once it is cleared away."""


class Belief:
    """What a contender takes itself to have."""

    def __init__(self, hold: Any, rule: ModeRule) -> None:
        self.hold = hold
        self.rule = rule

    @property
    def name(self) -> str:
        return str(self.hold.name)

    @property
    def weight(self) -> int:
        return int(self.hold.weight) if self.rule.counted else 0


class Contender:
    """One of them, in one schedule."""

    def __init__(self, world: World, index: int, program: tuple[Act, ...]) -> None:
        self.world = world
        self.index = index
        self.name = "ABCDEFGH"[index]
        self.process = Process(FIRST_PID + index)
        self.mark: Any = bytearray(b"\1")
        pid = self.process.pid
        self.identity = _process.Identity(pid, pid, "host", "boot", 0, 1)
        self.idle: dict[str, tuple[int, float, float]] = {}
        self.clock = 1000.0
        """Its own: how long others took between two of its steps nobody knows."""
        self.state = READY
        self.doing: Callable[[], str] = lambda: "begin"
        self.fds: tuple[int, ...] = ()
        self.seconds = 0.0
        self.slept_at = 0
        self.history = 0
        """A hash of all that it was told: what it does next follows from that alone."""
        self.silent = False
        self.meets = 0
        """How many it wants to meet, once it has come there."""
        self.beliefs: list[Belief] = []
        self.asks: tuple[Ask, ...] = ()
        self.before: frozenset[int] = frozenset()
        """The tickets of those who waited when its present request began."""
        self.passes: tuple[int, ...] = ()
        """Those of them whom it passed when it last took what a mode needs."""
        self.locked_at = 0
        self.misled = False
        """Whether it listens to the wrong ones: it took the record of a former holder for that of the present one, who
        had not written its own, or somebody came to hold since it looked. Then the look after a second finds out.
        Told only where somebody may be killed, as it makes no difference elsewhere."""
        self.several: Any = None
        self.error: BaseException | None = None
        self.outcome = ""
        self._program = program
        self._random = 0
        self.greenlet = greenlet(self._live)

    # What it does

    def _live(self) -> None:
        try:
            self.world.call(lambda: "begin")
            self.learns("begun")
            for act in self._program:
                act(self)
        except Abandoned:
            pass
        except self.world.scenario.may_raise as error:
            self.outcome = type(error).__name__
            self._release_all()
        except BaseException as error:
            self.error = error
        if self.state != DEAD:
            self.state = DONE

    def _release_all(self) -> None:
        try:
            while self.beliefs:
                self.release()
        except BaseException as error:
            self.error = error

    def take(self, mode: str, name: str, timeout: float | None, **asked: Any) -> None:
        lock = pylock.lock(name, mode, directory=DIRECTORY, reason=self.name, **asked)
        lock.request.command = self.name
        self.before = self.world.tickets_of_others(self, lock.request.path)
        self.asks = (_asked_by(lock),)
        hold = lock.acquire(timeout)
        self.asks = ()
        self.world.grants(self, Belief(hold, lock.request.mode))

    def take_all(self, names: tuple[str, ...]) -> None:
        locks = [pylock.lock(name, directory=DIRECTORY, reason=self.name) for name in names]
        for lock in locks:
            lock.request.command = self.name
        self.asks = tuple(_asked_by(lock) for lock in locks)
        self.several = pylock.all_of(*locks).acquire()
        self.asks = ()
        for lock, hold in zip(locks, self.several.holds, strict=True):
            self.world.grants(self, Belief(hold, lock.request.mode))

    def release(self) -> None:
        self.beliefs.pop().hold.release()

    def release_all(self) -> None:
        self.beliefs.clear()
        self.several.release()

    def convert(self, mode: str, timeout: float | None) -> None:
        belief, rule = self.beliefs[-1], rule_of(mode)
        before = belief.rule
        self.asks = ((belief.hold._claim.request.path, rule, 1),)
        if before.compatible <= rule.compatible:
            belief.rule = rule
        elif not rule.compatible <= before.compatible:
            belief.rule = CONCURRENT_READ
        try:
            belief.hold.convert(mode, timeout)
            belief.rule = rule
        except pylock.LockError:
            belief.rule = before
            raise
        finally:
            self.asks = ()
        self.world.converts(self, belief)

    # What the world knows of it

    def enter(self) -> None:
        """Let pylock's memory of the process be this one's."""
        _process.mark, _process._identity, reuse._idle = self.mark, self.identity, self.idle

    def learns(self, told: object) -> None:
        self.history = hash((self.history, told))

    def done(self, work: Callable[..., Any], *rest: Any) -> Any:
        """Do a part of a call, and remember what it told: the answer, or the error."""
        try:
            told = work(*(rest or (self,)))
        except OSError as error:
            self.learns(error.errno)
            raise
        self.learns(told)
        return told

    def random(self) -> int:
        """By turns 0, for which others ask too, and a number of its own."""
        self._random += 1
        return 0 if self._random % 2 else self.index + 1

    @property
    def timer(self) -> str:
        """When its sleep ends, if nothing wakes it."""
        if not self.fds:
            return SPINNING
        if self.seconds >= NEVER:
            return LATER if self.misled else NOT_AT_ALL
        if self.seconds == SAFETY or _UNHEARD <= self.seconds < 1:
            return LATER if self.world.scenario.kills else NOT_AT_ALL
        if self.seconds >= _DEADLINE:
            return AT_DEADLINE
        return LATER if self.seconds >= _LONG else SOON

    def is_rung(self) -> bool:
        """Whether something that it listens to wakes it."""
        return bool(self.fds and self.world.system.is_readable(self.process, self.fds))

    def key(self) -> object:
        if self.state in (DONE, DEAD):
            return self.state
        if self.state == DYING:
            return DYING, tuple(self.process.opened)
        rested = self.state == ASLEEP and not self.fds and hash(self.world.system.key()) == self.slept_at
        return (
            self.history,
            self.state,
            rested,
            self.before,
            self.passes,
            self.misled,
            self.world.capacities_since(self.locked_at),
        )

    def clear_away(self) -> None:
        """End what is left of it, with nobody the wiser."""
        self.mark[0] = 0
        self.state = DEAD
        if not self.greenlet.dead and self.greenlet:
            self.greenlet.throw(Abandoned)


def _asked_by(lock: Any) -> Ask:
    return lock.request.path, lock.request.mode, lock.request.weight


# What programs are made of


def take(mode: str = "exclusive", name: str = NAME, timeout: float | None = None, **asked: Any) -> Act:
    return lambda me: me.take(mode, name, timeout, **asked)


def release() -> Act:
    return lambda me: me.release()


def take_all(*names: str) -> Act:
    return lambda me: me.take_all(names)


def release_all() -> Act:
    return lambda me: me.release_all()


def convert(mode: str, timeout: float | None = None) -> Act:
    return lambda me: me.convert(mode, timeout)


def define(**changes: Any) -> Act:
    def act(me: Contender) -> None:
        pylock_define(NAME, directory=DIRECTORY, **changes)

    return act


def meet(count: int) -> Act:
    """Go on only once so many have come here: those who hold together wait for each other."""
    return lambda me: me.world.meet(count)


def clean() -> Act:
    def act(me: Contender) -> None:
        for _ in pylock_clean(resolve(DIRECTORY)):
            pass

    return act
