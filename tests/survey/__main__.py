"""Make the mutants, try those that have not been tried, and tell which went unnoticed and are not explained."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import accumulate, filterfalse, takewhile
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from contender import ROOT

from .explained import is_explained
from .mutants import Mutant, all_mutants
from .reach import Reach, is_measured, measure
from .trials import Trial, place_of_trials

_FIRST = 12
"""Tests that are tried before the many, as these take long to collect."""


class Verdict(NamedTuple):
    change: str
    noticed: str
    """By which test; empty if by none."""
    tried: int
    """How many tests, of how many that go through its lines."""
    tests: int

    def __str__(self) -> str:
        return f"{self.change}  [{self.tried} of {self.tests} tests]"


class Survey:
    """Verdicts, one on a line of a file: a survey that was interrupted goes on."""

    def __init__(self, place: Path, seconds: float, mutants: Sequence[Mutant]) -> None:
        self._seconds = seconds
        self._mutants = {mutant.change: mutant for mutant in mutants}
        self._file = place / "verdicts"
        self._file.touch()
        self._reach = Reach(place / "reach")
        self._keen = Counter((self._mutants[verdict.change].file, verdict.noticed) for verdict in self.verdicts())
        """How many mutants of a file a test has noticed: where it did, it is among the first to be tried again."""
        self._sound: set[str] = set()
        """Tests that pass without a mutation where mutants are tried."""

    def verdicts(self) -> list[Verdict]:
        """The last one of each mutant."""
        lines = self._file.read_text().splitlines()
        verdicts = {verdict.change: verdict for verdict in (Verdict(*json.loads(line)) for line in lines)}
        return [verdict for change, verdict in verdicts.items() if change in self._mutants]

    def go_on(self, jobs: int) -> None:
        """Try those without a verdict, and those unnoticed for which more tests fit into the seconds now."""
        tried = {verdict.change: sys.maxsize if verdict.noticed else verdict.tried for verdict in self.verdicts()}
        left = [change for change in self._mutants if tried.get(change, -1) < len(self._tests(change))]
        random.Random(0).shuffle(left)  # a part of a survey is a fair sample
        trials: SimpleQueue[Trial] = SimpleQueue()
        with ExitStack() as copies, ThreadPoolExecutor(jobs) as threads:
            for _ in range(jobs):
                trials.put(copies.enter_context(place_of_trials()))
            for _ in threads.map(lambda change: self._try(change, trials), left):
                pass

    def _try(self, change: str, trials: SimpleQueue[Trial]) -> None:
        trial = trials.get()
        mutant, tests = self._mutants[change], self._tests(change)
        keen = sorted(tests, key=lambda test: -self._keen[mutant.file, test])[:_FIRST]
        noticed = self._noticed(mutant, keen, trial) or self._noticed(
            mutant, [*filterfalse(keen.__contains__, tests)], trial
        )
        self._keen[mutant.file, noticed] += 1
        trials.put(trial)
        verdict = Verdict(change, noticed, len(tests), len(self._reach.tests(mutant.file, mutant.lines)))
        with open(self._file, "a") as file:
            file.write(json.dumps(verdict) + "\n")

    def _noticed(self, mutant: Mutant, tests: list[str], trial: Trial) -> str:
        while tests:
            noticed = trial.verdict(mutant, tests, self._reach.seconds(tests))
            if noticed not in tests or self._is_sound(noticed, trial):
                return noticed
            tests.remove(noticed)
        return ""

    def _is_sound(self, test: str, trial: Trial) -> bool:
        if test not in self._sound and trial.passes(test):
            self._sound.add(test)
        return test in self._sound

    def _tests(self, change: str) -> list[str]:
        """As many of the tests that go through its lines as fit into the seconds of a trial."""
        mutant = self._mutants[change]
        tests = self._reach.tests(mutant.file, mutant.lines)
        ends = accumulate(self._reach.seconds([test]) for test in tests)
        return [test for test, _ in takewhile(lambda pair: pair[1] <= self._seconds, zip(tests, ends, strict=True))]


def main() -> int:
    parser = argparse.ArgumentParser(description="Break pylock by rule, and see what the tests do not notice.")
    parser.add_argument("words", nargs="*", help="only those of whose change one of these is a part")
    parser.add_argument("--seconds", type=float, default=60, help="of tests for each (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: %(default)s)")
    parser.add_argument("--show", action="store_true", help="try none, only tell what is known")
    options = parser.parse_args()
    place = ROOT / ".survey"
    if not is_measured(place / "reach"):
        measure(place / "reach")
    mutants = [
        each for each in all_mutants() if not options.words or any(word in each.change for word in options.words)
    ]
    survey = Survey(place, options.seconds, mutants)
    if not options.show:
        survey.go_on(options.jobs)
    return tell(survey.verdicts(), len(mutants))


def tell(verdicts: Sequence[Verdict], mutants: int) -> int:
    unnoticed = [verdict for verdict in verdicts if not verdict.noticed]
    unexplained = [verdict for verdict in unnoticed if not is_explained(verdict.change)]
    print(*sorted(map(str, unexplained)), sep="\n")
    print(
        f"{mutants} mutants, {len(verdicts)} tried, {len(verdicts) - len(unnoticed)} noticed, "
        f"{len(unnoticed) - len(unexplained)} explained, {len(unexplained)} neither"
    )
    return 1 if unexplained or len(verdicts) < mutants else 0


if __name__ == "__main__":
    sys.exit(main())
