"""What a crash costs those who wait: from the kill of the holder to the grant of a waiter that sleeps.

The floor is a waiter that sleeps in the kernel, in F_OFD_SETLKW. The holder is a process of its own.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from time import monotonic, sleep

import pylock

from .common import Sample, Table, at_most, interleaved, micro, times
from .peers import UNLOCK, WRITE_LOCK

KERNEL, PYLOCK, FAIR = "F_OFD_SETLKW", "pylock", "pylock, policy fair"
ASLEEP = 0.3
"""Seconds after which a waiter sleeps as deep as it ever will."""

_HOLDER = """
import fcntl, os, sys, time
sys.path[:0] = sys.path[1:2]
name, policy = sys.argv[1:]
if name == "raw":
    file = open("raw", "a+b")
    fcntl.fcntl(file, fcntl.F_OFD_SETLKW, bytes.fromhex(policy))
else:
    import pylock
    hold = pylock.lock(name, policy=policy).acquire()
print("held", flush=True)
time.sleep(60)
"""


def holder(name: str, policy: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, name, policy], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def after_the_kill(process: subprocess.Popen[bytes], waiter: int) -> Sample:
    """Kill the holder once the waiter sleeps; the waiter tells by a pipe when it was granted."""
    sleep(ASLEEP)
    begun = monotonic()
    os.kill(process.pid, signal.SIGKILL)
    granted = float(os.read(waiter, 64))
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    os.close(waiter)
    os.wait()
    return (granted - begun,)


def waiting_child(acquire: object) -> int:
    end, child_end = os.pipe()
    if os.fork() == 0:
        acquire()  # type: ignore[operator]
        os.write(child_end, str(monotonic()).encode())
        os._exit(0)
    os.close(child_end)
    return end


def by_kernel() -> Sample:
    process = holder("raw", WRITE_LOCK.hex())

    def acquire() -> None:
        with open("raw", "a+b") as file:
            fcntl.fcntl(file, fcntl.F_OFD_SETLKW, WRITE_LOCK)
            now = monotonic()
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, UNLOCK)
            assert now

    return after_the_kill(process, waiting_child(acquire))


def by_pylock(name: str, policy: str) -> Sample:
    process = holder(name, policy)
    return after_the_kill(process, waiting_child(lambda: pylock.lock(name, policy=policy).acquire()))


def tables(quick: bool) -> list[Table]:
    medians = interleaved(
        5 if quick else 25,
        {
            KERNEL: by_kernel,
            PYLOCK: lambda: by_pylock("crash", "shared-first"),
            FAIR: lambda: by_pylock("crash-fair", "fair"),
        },
    )
    cost = {subject: sample[0] for subject, sample in medians.items()}
    table = Table(
        "A crash: from kill -9 of the holder to the grant of a sleeping waiter",
        ["waiter", "µs", "x SETLKW"],
        f"Medians of rounds by turns; the waiter has slept for {ASLEEP} s.",
    )
    for subject, seconds in cost.items():
        table.rows.append([subject, micro(seconds), times(seconds, cost[KERNEL])])
    table.verdicts = [
        at_most("after a crash", 2, cost[PYLOCK] / cost[KERNEL]),
        at_most("after a crash, policy fair", 2, cost[FAIR] / cost[KERNEL]),
    ]
    return [table]
