"""All schedules of a scenario, depth first: each is run from its beginning, up to a state that was seen before."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .rules import Violation, check_end
from .scenarios import Scenario
from .world import World, explorable

Node = tuple["Node | None", int]
"""A schedule as its last choice, and the one before."""


@dataclass
class Found:
    """What came of a search."""

    states: int = 0
    steps: int = 0
    schedules: int = 0
    """Schedules that were run, each to its end or to a state that was seen before."""
    ends: int = 0
    """Those that came to an end."""
    seconds: float = 0.0
    """Of the processor."""
    complete: bool = False
    violation: str = ""
    schedule: str = ""


def search(scenario: Scenario, seconds: float = float("inf"), preemptions: int | None = None) -> Found:
    """Go through all schedules until one breaks a rule, or so many seconds of the processor are used up."""
    found = Found()
    begun = time.process_time()
    bound = scenario.preemptions if preemptions is None else preemptions
    seen: dict[int, int] = {}
    left: list[tuple[Node | None, int]] = [(None, 0)]
    gc.disable()
    try:
        with explorable():
            before = World(scenario)
            before.clear_away()
            while left and not found.violation and time.process_time() - begun < seconds:
                _run(before, *left.pop(), bound, seen, left, found)
                if found.schedules % 2000 == 0:
                    gc.collect()
    finally:
        gc.enable()
    found.states, found.seconds, found.complete = len(seen), time.process_time() - begun, not left
    return found


def _run(
    before: World, node: Node | None, used: int, bound: int | None, seen: dict[int, int],
    left: list[tuple[Node | None, int]], found: Found,
) -> None:  # fmt: skip
    """Run one schedule as far as it is given, and then on to its end or to a state that was seen before."""
    world = World(before.scenario, before)
    found.schedules += 1
    try:
        given = _choices(node)
        world.repeat(given[:-1])
        for choice in given[-1:]:
            world.take(choice)
        while True:
            key = world.key(with_current=bound is not None)
            if seen.get(key, 1 << 30) <= used:
                return
            seen[key] = used
            options = world.options()
            going = [choice for choice in options if choice >= 0]
            if not going:
                check_end(world)
                found.ends += 1
            if not options:
                return
            first = world.current if world.current in going else options[0]
            for choice in reversed(options):
                cost = used + world.preempts(choice)
                if choice != first and (bound is None or cost <= bound):
                    left.append(((node, choice), cost))
            used += world.preempts(first)
            node = node, first
            world.take(first)
    except Violation as violation:
        found.violation, found.schedule = str(violation), spell(node)
    finally:
        found.steps += world.steps
        world.clear_away()


def _choices(node: Node | None) -> list[int]:
    choices = []
    while node is not None:
        node, choice = node
        choices.append(choice)
    return choices[::-1]


def spell(node: Node | None) -> str:
    """A schedule as a short text: ``A12 B3 !A B`` is twelve steps of A, three of B, then A is killed, and B goes on."""
    words: list[str] = []
    count = 0
    choices = _choices(node)
    for place, choice in enumerate(choices):
        count += 1
        if place + 1 == len(choices) or choices[place + 1] != choice or choice < 0:
            name = "ABCDEFGH"[max(choice, ~choice)]
            words.append(f"!{name}" if choice < 0 else f"{name}{count if count > 1 else ''}")
            count = 0
    return " ".join(words)


def read(schedule: str) -> Iterator[int]:
    for word in schedule.split():
        if word.startswith("!"):
            yield ~"ABCDEFGH".index(word[1])
        else:
            yield from ["ABCDEFGH".index(word[0])] * int(word[1:] or 1)


def replay(scenario: Scenario, schedule: str, tell: Callable[[str], None]) -> str:
    """Run one schedule, telling each step, and return which rule it breaks; an empty text if none."""
    lines = 0

    def number(line: str) -> None:
        nonlocal lines
        lines += 1
        tell(f"{lines:4} {line}")

    with explorable():
        before = World(scenario)
        before.clear_away()
        world = World(scenario, before, number)
        try:
            for choice in read(schedule):
                world.take(choice)
            if not [choice for choice in world.options() if choice >= 0]:
                check_end(world)
        except Violation as violation:
            return str(violation)
        finally:
            world.clear_away()
    return ""
