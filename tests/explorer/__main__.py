"""Explore: `PYTHONPATH=.:tests python -m explorer [NAME...] [--seconds S] [--preemptions N] [--replay "A12 B3 ..."]`.

Without names, all scenarios; each is gone through to its end, or for so many seconds of the
processor. A schedule that breaks a rule is
told step by step, and what to type to see it again.
"""

from __future__ import annotations

import argparse
import os
import sys
from multiprocessing import Pool

from .scenarios import SCENARIOS, Scenario
from .search import Found, replay, search

ROW = "{:34} {:>3} {:>11} {:>9} {:>9} {:>11} {:>6}  {}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="explorer", description="Go through all schedules of a few contenders.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; by default all")
    parser.add_argument("--seconds", type=float, default=600, help="of the processor, at most, for each scenario (600)")
    parser.add_argument("--preemptions", type=int, help="at most so many, instead of what each scenario says")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="scenarios at a time")
    parser.add_argument("--replay", metavar="SCHEDULE", help="tell this one of the scenario named")
    given = parser.parse_args()
    if unknown := set(given.names) - set(SCENARIOS):
        parser.error(f"no scenario {', '.join(unknown)}; there are: {'; '.join(SCENARIOS)}")
    if given.replay and len(given.names) != 1:
        parser.error("name the one scenario of the schedule")
    return given


def explore(task: tuple[str, float, int | None]) -> tuple[str, Found]:
    name, seconds, preemptions = task
    return name, search(SCENARIOS[name], seconds, preemptions)


def bound_of(scenario: Scenario, preemptions: int | None) -> str:
    bound = scenario.preemptions if preemptions is None else preemptions
    return "all" if bound is None else str(bound)


def print_table(given: argparse.Namespace) -> bool:
    """Print a line for each scenario as it is done; tell whether all kept the rules."""
    tasks = [(name, given.seconds, given.preemptions) for name in given.names or SCENARIOS]
    failed: list[tuple[str, Found]] = []
    print(ROW.format("scenario", "who", "preemptions", "states", "schedules", "steps", "s", ""))
    with Pool(given.jobs) as pool:
        for name, found in pool.imap(explore, tasks):
            how = found.violation or ("" if found.complete else "time was up")
            bound = bound_of(SCENARIOS[name], given.preemptions)
            who = len(SCENARIOS[name].programs)
            counts = found.states, found.schedules, found.steps, f"{found.seconds:.1f}"
            print(ROW.format(name, who, bound, *counts, how), flush=True)
            if found.violation:
                failed.append((name, found))
    for name, found in failed:
        print(f"\n{name}: {found.violation}")
        replay(SCENARIOS[name], found.schedule, print)
        print(f'again: python -m explorer "{name}" --replay "{found.schedule}"')
    return not failed


def main() -> int:
    given = arguments()
    if os.environ.get("PYTHONHASHSEED") != "0":  # a set of names is gone through in another order in each process
        os.execve(
            sys.executable, [sys.executable, "-m", "explorer", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"}
        )
    if given.replay:
        violation = replay(SCENARIOS[given.names[0]], given.replay, print)
        print(violation or "no rule is broken")
        return bool(violation)
    return not print_table(given)


if __name__ == "__main__":
    sys.exit(main())
