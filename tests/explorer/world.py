"""One run of a scenario: the kernel, the contenders, and who goes on, as it is chosen from outside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from greenlet import getcurrent, greenlet

from pylock import _process as process
from pylock import _request
from pylock._acquiring import conversion, refusals, together, waiting
from pylock._file import descriptors, directories, reuse
from pylock._file.bytemap import QUEUE, ROOM, UNIT_COUNT, UNITS, YIELDING
from pylock._file.directories import Directory

from . import rules
from .contenders import (
    ASLEEP,
    AT_DEADLINE,
    DEAD,
    DONE,
    DYING,
    LATER,
    MEETING,
    NEVER,
    READY,
    SOON,
    SPINNING,
    Abandoned,
    Belief,
    Contender,
)
from .doors import DIRECTORY, DIRECTORY_STATUS, DOORS, doors_in_place
from .rules import Violation
from .scenarios import Scenario
from .system import FREE, Inode, System

MOST_STEPS = 3000
"""Of one schedule; who comes so far goes on for ever."""


class World:
    """One run. A choice is the index of who goes on by one step, or ``~index`` of who is killed."""

    def __init__(
        self, scenario: Scenario, before: World | None = None, trace: Callable[[str], None] | None = None
    ) -> None:
        """``before`` is a world in which nothing but the set-up was done."""
        self.scenario = scenario
        self.system = System()
        self.capacities: list[int] = [UNIT_COUNT]
        """Those that the lock had, one after the other."""
        self.steps = 0
        self.kills = 0
        self.current: int | None = None
        self._trace: Callable[[str], None] | None = None
        self._plan: list[int] = []
        self._at = 0
        _request._remembered.clear()
        descriptors._opened.clear()
        self._hub: greenlet = getcurrent()
        DOORS.world = self
        self.contenders: list[Contender] = []
        if before is None:
            self._enlist((scenario.setup,))
            while self.contenders[0].state != DONE:
                self.go(0)
        else:
            self._begin_as(before)
        self.steps = 0
        self._trace = trace
        self._enlist(scenario.programs)

    def _begin_as(self, before: World) -> None:
        """Begin with the files that the set-up left."""
        self.capacities = before.capacities[-1:]
        for path, inode in before.system.names.items():
            self.system.names[path] = copy = Inode(inode.number, inode.mode)
            self.system.inodes.append(copy)
            copy.content, copy.last_token = inode.content, inode.last_token

    def _enlist(self, programs: tuple[tuple[Callable[[Contender], None], ...], ...]) -> None:
        self.contenders = []
        self.system.processes.clear()
        for index, program in enumerate(programs):
            contender = Contender(self, index, program)
            self.contenders.append(contender)
            self.system.processes[contender.process.pid] = contender.process
        for contender in self.contenders:
            self._resume(contender)

    # What contenders call

    def alive(self) -> Contender:
        """The contender that runs, unless it is being cleared away."""
        if self.running.state == DEAD:
            raise Abandoned
        return self.running

    def call(self, what: Callable[[], str]) -> None:
        """Stop the contender that runs until it is its turn to do this."""
        me = self.alive()
        if me.silent:
            return
        if self._goes_on(me):
            return
        me.doing = what
        me.state = READY
        self._hub.switch()
        self.alive()

    def _goes_on(self, me: Contender) -> bool:
        """Whether the schedule that is repeated lets the contender go on: then there is nothing to choose."""
        if self._at < len(self._plan) and self._plan[self._at] == me.index:
            self._at += 1
            self.steps += 1
            return True
        return False

    def sleep(self, fds: Iterator[int] | tuple[int, ...] | list[int], seconds: float) -> None:
        me = self.alive()
        me.fds, me.seconds = tuple(fds), seconds
        me.slept_at = 0 if me.fds else hash(self.system.key())
        me.doing = lambda: f"sleep for {seconds} s" if seconds < NEVER else "sleep"
        me.state = ASLEEP
        if not self._goes_on(me):
            self._hub.switch()
        self.alive().learns("woken")
        me.misled = False
        if not me.is_rung():
            me.clock += seconds

    def meet(self, count: int) -> None:
        me = self.alive()
        me.meets, me.state = count, MEETING
        me.doing = lambda: f"meet {count - 1} more"
        if not self._goes_on(me):
            self._hub.switch()
        self.alive().learns("met")

    def locks(self, fd: int, kind: str, start: int, stop: int) -> None:
        """The contender that runs has its turn to change a lock."""
        me = self.running
        me.done(lambda me: self.system.lock(me.process, fd, kind, start, stop))
        if kind != FREE and start >= QUEUE:
            self._comes_before_others(me.process.description(fd).inode, start % (1 << 62))
        if kind != FREE and start >= ROOM and stop <= UNITS + UNIT_COUNT:
            for other in self.contenders:
                other.misled |= other.state == ASLEEP and self.scenario.kills > 0
            me.locked_at = len(self.capacities) - 1
            path = me.asks[0][0] if me.asks else ""
            mine = self._ticket_of(me, path)
            waiting_now = self.tickets_of_others(me, path)
            me.passes = tuple(sorted(each for each in me.before & waiting_now if mine is None or each < mine))

    def _comes_before_others(self, inode: Inode, ticket: int) -> None:
        """Who stands behind the ticket does not hear its owner yet, which may be killed before it has said so."""
        behind = {owner // 1000 for start, _, _, owner in inode.locks.ranges if start % (1 << 62) > ticket}
        for other in self.contenders:
            other.misled |= other.state == ASLEEP and other.process.pid in behind and self.scenario.kills > 0

    def reads_record(self, fd: int, offset: int) -> None:
        """The contender that runs reads who holds or waits."""
        inode = self.running.process.description(fd).inode
        writer = inode.writers.get(offset)
        self.running.misled |= self.scenario.kills > 0 and not any(
            ROOM <= start < YIELDING and owner // 1000 == writer for start, _, _, owner in inode.locks.ranges
        )

    def has_written(self, fd: int, offset: int) -> None:
        if offset:
            return
        text = self.running.process.description(fd).inode.content.partition(b"\n")[0]
        capacity = json.loads(text).get("capacity")
        self.capacities.append(capacity if isinstance(capacity, int) else UNIT_COUNT)

    def capacities_since(self, moment: int) -> tuple[int, ...]:
        return tuple(self.capacities[moment:])

    # What the rules ask

    def tickets_of_others(self, me: Contender, path: str) -> frozenset[int]:
        """The tickets in the queue of the file, without their lanes."""
        inode = self.system.names.get(path)
        ranges = inode.locks.ranges if inode else ()
        return frozenset(
            start % (1 << 62) for start, _, _, owner in ranges if start >= QUEUE and owner // 1000 != me.process.pid
        )

    def _ticket_of(self, me: Contender, path: str) -> int | None:
        inode = self.system.names.get(path)
        ranges = inode.locks.ranges if inode else ()
        mine = [
            start % (1 << 62) for start, _, _, owner in ranges if start >= QUEUE and owner // 1000 == me.process.pid
        ]
        return min(mine, default=None)

    def grants(self, me: Contender, belief: Belief) -> None:
        """The contender has come back from acquiring."""
        me.beliefs.append(belief)
        rules.check_grant(self, me, belief)

    def converts(self, me: Contender, belief: Belief) -> None:
        rules.check_token(self, me, belief)

    # What is chosen

    def options(self) -> list[int]:
        """What may be chosen now. Raises Violation if somebody sleeps who should not."""
        going = [each for each in self.contenders if self._goes(each)]
        late = [each for each in self.contenders if each.state == ASLEEP and each not in going]
        if not going:
            rules.check_sleepers(self)
            going = [each for each in late if each.timer in (LATER, SPINNING)]
        going += [each for each in late if each.timer == AT_DEADLINE]
        if self.scenario.stops:
            going += [each for each in late if each.timer == LATER and each not in going]
        chosen = sorted(each.index for each in going)
        if self.kills < self.scenario.kills:
            chosen += [
                ~index for index in self.scenario.may_die
                if self.contenders[index].state in (READY, ASLEEP, MEETING) and self.contenders[index].history
            ]  # fmt: skip
        return chosen

    def _goes(self, each: Contender) -> bool:
        """Whether it goes on without a long time having to pass."""
        if each.state == MEETING:
            return sum(1 for other in self.contenders if other.meets) >= each.meets
        if each.state != ASLEEP:
            return each.state in (READY, DYING)
        if each.timer == SPINNING:
            return each.slept_at != hash(self.system.key())
        return each.timer == SOON or each.is_rung()

    def preempts(self, choice: int) -> bool:
        """Whether the choice stops somebody who could have gone on by itself."""
        current = self.current
        return choice >= 0 and current not in (None, choice) and self.contenders[current or 0].state == READY

    def key(self, with_current: bool) -> int:
        """What tells states apart: from equal ones the same may follow."""
        contenders = tuple(each.key() for each in self.contenders)
        return hash((self.system.key(), contenders, self.current if with_current else None))

    def repeat(self, choices: list[int]) -> None:
        """Take all of them, which broke no rule the last time."""
        self._plan, self._at = choices, 0
        while self._at < len(choices):
            choice = choices[self._at]
            self._at += 1
            if choice < 0:
                self._kill(self.contenders[~choice])
            else:
                self.go(choice)
        self.current = next((choice for choice in reversed(choices) if choice >= 0), None)

    def take(self, choice: int) -> None:
        if choice < 0:
            self._kill(self.contenders[~choice])
        else:
            self.current = choice
            self.go(choice)
        rules.check_holders(self)

    def go(self, index: int) -> None:
        """Let the contender do its next call, and all up to the one after."""
        me = self.contenders[index]
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Violation(f"{me.name} goes on for ever")
        self._tell(me, me.doing if me.state != DYING else lambda: "its last descriptor is closed")
        if me.state == DYING:
            self._die(me)
            return
        self._resume(me)
        if isinstance(me.error, Violation):
            raise me.error
        if me.error is not None:
            raise Violation(f"{me.name} got {type(me.error).__name__}: {me.error}") from me.error
        if me.state == DONE:
            self._tell(me, lambda: f"ends{f' with {me.outcome}' if me.outcome else ''}")

    def _resume(self, me: Contender) -> None:
        self.running = me
        me.enter()
        me.greenlet.switch()

    def _kill(self, me: Contender) -> None:
        self.kills += 1
        self._tell(me, lambda: "is killed")
        me.mark[0] = 0
        me.beliefs.clear()
        me.asks = ()
        me.state = DYING
        while not self.scenario.slowly and me.state == DYING:
            self._die(me)

    def _die(self, me: Contender) -> None:
        """Let go of its highest descriptor, as the kernel does; once there is none, the process has ended."""
        if me.process.opened:
            self.system.close(me.process, max(me.process.opened))
        else:
            self.system.end(me.process)
            me.state = DEAD

    def _tell(self, me: Contender, what: Callable[[], str]) -> None:
        if self._trace is not None and self.contenders:
            self._trace(f"{me.name} {what()}")

    def clear_away(self) -> None:
        for each in self.contenders:
            self.running = each
            each.enter()
            each.clear_away()


@contextmanager
def explorable() -> Iterator[None]:
    """Pylock over the doors, with the safety looks off and a lock directory that needs no look."""
    kept = process.mark, process._identity, reuse._idle, dict(descriptors._opened)
    directory = Directory(DIRECTORY, DIRECTORY_STATUS, None)
    directory.seen_until = float("inf")
    with doors_in_place(), ExitStack() as changes:
        for room, name, value in (
            (waiting, "SAFETY_BEHIND", (waiting.SAFETY_BEHIND[0], *waiting.SAFETY_BEHIND[2:])),
            (waiting, "WATCHED", NEVER),
            (waiting, "WATCHED_BEHIND", NEVER),
            (together, "WATCHED", NEVER),
            (refusals, "refusal", in_one_step(refusals.refusal)),
            (conversion, "refusal", in_one_step(refusals.refusal)),
        ):
            changes.callback(setattr, room, name, getattr(room, name))
            setattr(room, name, value)
        directories._known[DIRECTORY] = directory
        try:
            yield
        finally:
            del directories._known[DIRECTORY]
            process.mark, process._identity, reuse._idle, opened = kept
            descriptors._opened.clear()
            descriptors._opened.update(opened)
            _request._remembered.clear()


def in_one_step(work: Callable[..., Any]) -> Callable[..., Any]:
    """Let all calls of the work be one: it only makes the words of an error."""

    def done(*arguments: Any) -> Any:
        me = DOORS.world.running
        me.silent = True
        try:
            return work(*arguments)
        finally:
            me.silent = False

    return done
