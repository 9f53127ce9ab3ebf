"""What `pylock run NAME -- true` costs as a whole command, and what a supervisor weighs while it works or waits.

The package is run from a copy with its byte code beside it, as installers leave it. Each command is run by turns with a
bare interpreter, in pairs of two only: what follows a very small process is a little faster.
"""

from __future__ import annotations

import compileall
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import pylock

from .common import Table, at_most, number, times

INSTALLED = Path("installed")
"""In the directory that a run of the benchmarks makes for itself."""
LAUNCHER = [sys.executable, "-c", "from pylock._cli import console; console()"]
MOST_TIMES = 1.35
PYTHON = "python -c pass"
PYLOCK = "pylock run x -- true"


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(INSTALLED.absolute())}


def install() -> None:
    source = Path(pylock.__file__).parent
    shutil.copytree(source, INSTALLED / "pylock", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(INSTALLED, quiet=1)


def run(command: list[str]) -> float:
    """Return the seconds that the command takes."""
    begun = perf_counter()
    subprocess.run(command, env=environment(), check=True)
    return perf_counter() - begun


def commands() -> dict[str, list[str]]:
    found = {
        PYLOCK: [*LAUNCHER, "run", "x", "--", "true"],
        "pylock run --exec x -- true": [*LAUNCHER, "run", "--exec", "x", "--", "true"],
    }
    if flock := shutil.which("flock"):
        found["flock FILE true"] = [flock, "file", "true"]
    return found | {"true": ["true"]}


def tables(quick: bool) -> list[Table]:
    install()
    return [start_table(5 if quick else 50), memory_table()]


def start_table(rounds: int) -> Table:
    table = Table(
        "A command under an uncontended lock",
        ["command", "ms", f"x {PYTHON}"],
        f"Medians of whole processes; the ratio is the median of the pairs with {PYTHON}.",
    )
    for name, command in commands().items():
        pairs = [(run([sys.executable, "-c", "pass"]), run(command)) for _ in range(rounds)]
        ratio = median(spent / bare for bare, spent in pairs)
        table.rows.append([name, number(median(spent for _, spent in pairs) * 1e3), number(ratio)])
        if name == PYLOCK:
            table.verdicts.append(at_most(name, MOST_TIMES, ratio))
    return table


def memory_table() -> Table:
    table = Table(
        "Memory of a supervisor",
        ["process", "RSS KiB", "own (PSS) KiB", f"x {PYTHON.replace('pass', '...')}"],
        "PSS counts what processes share in parts; the bare interpreter waits in a read.",
    )
    idle = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    holding = [*LAUNCHER, "run", "m", "--", "sleep", "60"]
    waiting = [*LAUNCHER, "run", "-q", "m", "--", "true"]
    floor = 0
    children = []
    try:
        for name, command in (("bare interpreter", idle), ("supervising", holding), ("waiting", waiting)):
            child = subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, start_new_session=True)
            children.append(child)
            settle(name)
            resident, own = memory(child.pid)
            floor = floor or resident
            table.rows.append([name, str(resident), str(own), times(resident, floor)])
    finally:
        for child in children:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    return table


def settle(name: str) -> None:
    """Return once the process does what it is to be measured at."""
    seen = {
        "bare interpreter": lambda: True,
        "supervising": lambda: bool(pylock.inspect("m").holders),
        "waiting": lambda: bool(pylock.inspect("m").waiters),
    }[name]
    while not seen():
        sleep(0.01)
    sleep(0.2)


def memory(pid: int) -> tuple[int, int]:
    """Return KiB resident and KiB of its own. Source: proc_pid_smaps(5), smaps_rollup."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
    )
    return tuple(int(fields[key].split()[0]) for key in ("Rss", "Pss"))  # type: ignore[return-value]  # two of them
