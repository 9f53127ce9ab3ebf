"""A soak: many processes, all modes, killed and stopped at random, while capacities change and files are removed.

They take plain and counted locks, paths, and two locks at once. Exclusion is judged by a witness, not by pylock: each
worker has witness files of its own: while it holds locks, it keeps them flocked, with the locks and modes written in
them. Who is granted a lock writes its own witness first and then looks at all the others', so of two who hold together
at least one sees the other.

When a worker is killed the kernel must give up the witness before the lock. It frees the files of a dead process in no
documented order (measured on Linux 6.18: the last opened one first), so each worker has two witnesses, one with a
lower and one with a higher descriptor than any lock file, and counts as a holder only while both are flocked.

Units are witnessed alike: a holder of n units must find n free ones among as many flocks as the capacity.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pylock
from pylock import _modes as modes
from pylock._file import directories, removal

MODES = ["NL", "CR", "CW", "PR", "PR", "PR", "PW", "EX", "EX"]
CAPACITY = 5
COUNTED = {"counted": None, "counted-fair": "fair", "changing": None}
PATHS = {"/": None, "/a": None, "/a/b": None, "/a/c": None, "/d": None}
LOCKS = {"modes": None, "modes-fair": "fair"} | COUNTED | PATHS
RECORD = 64


@dataclass(frozen=True)
class Asked:
    """What a worker asks for."""

    name: str
    mode: str
    weight: int

    def new(self, timeout: float, priority: int, directory: Path) -> Any:
        if self.name in PATHS:
            return pylock.path_lock(self.name, self.mode, timeout=timeout, priority=priority, directory=directory)
        return pylock.lock(
            self.name, self.mode, weight=self.weight, timeout=timeout, policy=LOCKS[self.name], priority=priority,
            directory=directory,
        )  # fmt: skip

    def excludes(self, name: str, mode: str) -> bool:
        """Whether nobody else may have that, in that mode, together with this."""
        return is_related(self.name, name) and mode not in modes.rule_of(self.mode).compatible


def is_related(one: str, other: str) -> bool:
    """Whether they are one lock, or a path and one above it."""
    if one not in PATHS or other not in PATHS:
        return one == other
    below, above = sorted((f"{one}/", f"{other}/"), key=len, reverse=True)
    return below.startswith(above) or "//" in above


@dataclass
class Report:
    seconds: float
    operations: int
    kills: int
    stops: int
    removals: int
    changes: int
    violations: list[str]

    def __str__(self) -> str:
        return (
            f"{self.seconds:.0f} s: {self.operations} operations, {self.kills} kills, {self.stops} stops,"
            f" {self.changes} capacity changes, {self.removals} files removed, {len(self.violations)} violations"
        )


class Worker:
    """One process that takes locks at random until it is killed or told to end."""

    def __init__(self, place: int, count: int, base: Path, seed: int) -> None:
        self.place = place
        self.base = base
        self.random = random.Random(seed)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self.low = [os.open(base / f"low{other}", flags) for other in range(count)]
        self.high = [self.open_high(base / f"high{other}", flags) for other in range(count)]
        self.low_units = {name: self.open_units(name, "low", flags, os.open) for name in COUNTED}
        self.high_units = {name: self.open_units(name, "high", flags, self.open_high) for name in COUNTED}
        self.tokens = {name: os.open(base / f"token-{name.replace('/', '-')}", flags) for name in LOCKS}
        self.violations = os.open(base / "violations", flags | os.O_APPEND)
        self.operations = os.open(base / "operations", flags)
        self.done = 0
        self.held: list[int] = []

    def open_units(self, name: str, set_name: str, flags: int, opener: Callable[[Path, int], int]) -> list[int]:
        return [opener(self.base / f"{set_name}-{name}-{unit}", flags) for unit in range(CAPACITY)]

    @staticmethod
    def open_high(path: Path, flags: int) -> int:
        fd = os.open(path, flags)
        try:
            return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 500)
        finally:
            os.close(fd)

    def run(self) -> None:
        going = True

        def end(*_: object) -> None:
            nonlocal going
            going = False

        signal.signal(signal.SIGTERM, end)
        while going:
            self.operate()

    def operate(self) -> None:
        asked = [self.ask(name) for name in self.names()]
        timeout, priority = self.random.choice([0, 0.001, 0.05, 0.3]), self.random.choice([0, 0, 0, 5])
        each = [ask.new(timeout, priority, self.base / "locks") for ask in asked]
        try:
            with pylock.all_of(*each, timeout=timeout) if len(each) > 1 else each[0] as held:
                self.witness(asked, held.holds if len(each) > 1 else [held])
                self.done += 1
                os.pwrite(self.operations, self.done.to_bytes(8), 8 * self.place)
                for witness in self.held:
                    fcntl.flock(witness, fcntl.LOCK_UN)
        except (pylock.LockTimeout, pylock.DefinitionMismatch):
            pass

    def names(self) -> list[str]:
        """One lock, or now and then two that may be taken at once."""
        one, other = self.random.sample(list(LOCKS), 2)
        return [one, other] if self.random.random() < 0.2 and not is_related(one, other) else [one]

    def ask(self, name: str) -> Asked:
        mode = self.random.choice(MODES)
        if name in COUNTED and self.random.random() < 0.9:
            mode = "PR"
        return Asked(name, mode, self.random.choice([1, 1, 2, 3]) if mode == "PR" and name not in PATHS else 1)

    def witness(self, asked: list[Asked], holds: Sequence[Any]) -> None:
        record = " ".join(f"{ask.name} {ask.mode}" for ask in asked).ljust(RECORD).encode()
        self.held = [self.low[self.place], self.high[self.place]]
        for mine in self.held:
            os.pwrite(mine, record, 0)
            fcntl.flock(mine, fcntl.LOCK_EX)
        for place, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if place == self.place or not (self.is_flocked(low) and self.is_flocked(high)):
                continue
            seen = os.pread(high, RECORD, 0)
            words = iter(seen.decode().split())
            for name, mode in zip(words, words, strict=True):
                for ask in asked:
                    if ask.excludes(name, mode) and self.holds_still(low, high, seen):
                        self.report(f"{ask.name}: {ask.mode} beside {mode} of {name}")
        for ask, hold in zip(asked, holds, strict=True):
            if ask.mode == "PR" and ask.name in COUNTED:
                self.witness_units(ask.name, ask.weight)
            if ask.mode in ("PW", "EX"):
                self.check_token(ask.name, hold.token)
        if self.random.random() < 0.3:
            time.sleep(self.random.random() * 0.002)

    def witness_units(self, name: str, weight: int) -> None:
        low, high = self.flock_free(self.low_units[name], weight), self.flock_free(self.high_units[name], weight)
        self.held += low + high
        if max(len(low), len(high)) < weight:
            self.report(f"{name}: {weight} units granted, {len(low)} and {len(high)} of {CAPACITY} were free")

    @staticmethod
    def flock_free(units: list[int], count: int) -> list[int]:
        taken: list[int] = []
        for unit in units:
            if len(taken) == count:
                break
            try:
                fcntl.flock(unit, fcntl.LOCK_EX | fcntl.LOCK_NB)
                taken.append(unit)
            except BlockingIOError:
                pass
        return taken

    def holds_still(self, low: int, high: int, seen: bytes) -> bool:
        """Whether what was read belongs to a hold, and not to one that ended while we looked."""
        return self.is_flocked(low) and self.is_flocked(high) and os.pread(low, RECORD, 0) == seen

    def is_flocked(self, other: int) -> bool:
        probe = os.open(f"/proc/self/fd/{other}", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(probe)
        return False

    def check_token(self, name: str, token: int) -> None:
        last = int.from_bytes(os.pread(self.tokens[name], 8, 0))
        if token <= last:
            self.report(f"{name}: token {token} after {last}")
        os.pwrite(self.tokens[name], token.to_bytes(8), 0)

    def report(self, violation: str) -> None:
        os.write(self.violations, violation.encode() + b"\n")


class Soak:
    """The parent: starts the workers and torments them."""

    def __init__(self, processes: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.base = Path(tempfile.mkdtemp(prefix="pylock-soak-"))
        self.locks = self.base / "locks"
        self.locks.mkdir()
        self.processes = processes
        self.pids: dict[int, int] = {}
        self.report = Report(0, 0, 0, 0, 0, 0, [])
        self.finished = 0

    def run(self, seconds: float) -> Report:
        begun = time.monotonic()
        try:
            for name, policy in COUNTED.items():
                pylock.define(name, capacity=CAPACITY, policy=policy, directory=self.locks)
            for place in range(self.processes):
                self.start(place)
            while time.monotonic() - begun < seconds:
                self.random.choice([self.kill, self.stop, self.change, self.clean])()
                time.sleep(self.random.random() * 0.01)
            self.end()
            self.report.seconds = time.monotonic() - begun
            self.check_residue()
            violations = self.base / "violations"
            self.report.violations += violations.read_text().splitlines() if violations.exists() else []
            return self.report
        finally:
            for pid in self.pids.values():
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            shutil.rmtree(self.base)

    def start(self, place: int) -> None:
        seed = self.random.getrandbits(32)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                Worker(place, self.processes, self.base, seed).run()
                status = 0
            except BaseException:
                import traceback

                (self.base / f"failure{os.getpid()}").write_text(traceback.format_exc())
            finally:
                os._exit(status)
        self.pids[place] = pid

    def count_operations(self, place: int) -> None:
        """Add up what the worker did; its successor begins at nought."""
        with (self.base / "operations").open("r+b") as file:
            file.seek(8 * place)
            self.report.operations += int.from_bytes(file.read(8))
            file.seek(8 * place)
            file.write(bytes(8))

    def kill(self) -> None:
        place = self.random.randrange(self.processes)
        os.kill(self.pids[place], signal.SIGKILL)
        os.waitpid(self.pids.pop(place), 0)
        self.report.kills += 1
        if (self.base / "operations").exists():
            self.count_operations(place)
        self.start(place)

    def stop(self) -> None:
        pid = self.random.choice(list(self.pids.values()))
        os.kill(pid, signal.SIGSTOP)
        self.report.stops += 1
        time.sleep(self.random.random() * 0.02)
        os.kill(pid, signal.SIGCONT)

    def change(self) -> None:
        pylock.define("changing", capacity=self.random.randrange(CAPACITY + 1), directory=self.locks)
        self.report.changes += 1

    def clean(self) -> None:
        removed = list(removal.clean(directories.resolve(self.locks)))
        self.report.removals += sum(1 for name in removed if name.endswith(".lock"))

    def end(self) -> None:
        for pid in self.pids.values():
            os.kill(pid, signal.SIGTERM)
        for place in list(self.pids):
            os.waitpid(self.pids.pop(place), 0)
            self.count_operations(place)

    def check_residue(self) -> None:
        for failure in self.base.glob("failure*"):
            self.report.violations.append(failure.read_text())
        pylock.define("changing", capacity=CAPACITY, directory=self.locks)
        for name in LOCKS:
            try:
                Asked(name, "EX", 1).new(0, 0, self.locks).acquire_nowait().release()
            except pylock.WouldBlock as error:
                self.report.violations.append(f"not free: {error}")
        self.clean()
        left = [entry.name for entry in self.locks.iterdir() if not entry.name.endswith(".lock")]
        if left:
            self.report.violations.append(f"left behind: {left}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--processes", type=int, default=0, help="0: 2, 8, 20 and 40 in turn")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    arguments = parser.parse_args()
    counts = [arguments.processes] if arguments.processes else [2, 8, 20, 40]
    failed = False
    for count in counts:
        report = Soak(count, arguments.seed).run(arguments.seconds / len(counts))
        print(f"{count:3} processes, seed {arguments.seed}, {report}", flush=True)
        for violation in report.violations[:5]:
            print("   ", violation)
        failed = failed or bool(report.violations)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
