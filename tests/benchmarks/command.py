"""What `pylock run NAME -- true` costs as a whole command, and what a supervisor weighs while it works or waits.

Each round runs every command once, by turns; byte code is cached. The target compares with a bare interpreter.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import pylock

from .common import Sample, Table, at_most, number, times

ROOT = Path(pylock.__file__).resolve().parents[1]
LAUNCHER = [sys.executable, str(ROOT / "pylock" / "cli" / "launcher.py")]
MOST_TIMES = 1.35
PYTHON = "python -c pass"


def environment() -> dict[str, str]:
    variables = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": os.path.abspath("bytecode")}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    return variables


def run(command: list[str]) -> Sample:
    begun = perf_counter()
    subprocess.run(command, env=environment(), check=True)
    return (perf_counter() - begun,)


def commands() -> dict[str, list[str]]:
    found = {
        PYTHON: [sys.executable, "-c", "pass"],
        "pylock run x -- true": [*LAUNCHER, "run", "x", "--", "true"],
        "pylock run --exec x -- true": [*LAUNCHER, "run", "--exec", "x", "--", "true"],
    }
    if flock := shutil.which("flock"):
        found["flock FILE true"] = [flock, "file", "true"]
    return found | {"true": ["true"]}


def tables(quick: bool) -> list[Table]:
    return [start_table(5 if quick else 40), memory_table()]


def start_table(rounds: int) -> Table:
    wanted = commands()
    for command in wanted.values():
        run(command)  # fills the cache of byte code
    taken: dict[str, list[float]] = {name: [] for name in wanted}
    for _ in range(rounds):
        for name, command in wanted.items():
            taken[name] += run(command)
    floor = taken[PYTHON]
    table = Table(
        "A command under an uncontended lock",
        ["command", "ms", f"x {PYTHON}"],
        "Medians of whole processes by turns; the ratio is the median of the pairs of one round.",
    )
    ratios = {name: median(a / b for a, b in zip(spent, floor, strict=True)) for name, spent in taken.items()}
    for name, spent in taken.items():
        table.rows.append([name, number(median(spent) * 1e3), number(ratios[name])])
    table.verdicts.append(at_most("pylock run x -- true", MOST_TIMES, ratios["pylock run x -- true"]))
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
