"""What `import pylock` adds to the start of a program, and which modules it brings along that it need not.

Each sample is a fresh interpreter with its byte code cached; the time is that of the whole process and, measured inside
it, of the import alone. The modules are looked at in an interpreter without `site`, which imports things of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

import pylock

from .common import Sample, Table, at_most, interleaved, number, verdict
from .peers import installed

ROOT = Path(pylock.__file__).resolve().parents[1]
NOTHING = "nothing"
MOST_MILLISECONDS = 15.0
UNWANTED = ("asyncio", "subprocess", "ctypes", "typing", "dataclasses", "enum", "re", "json")

TIMED = "import time; begun = time.perf_counter(); {}; print(time.perf_counter() - begun)"
LOADED = f"import sys; print(*sorted({set(UNWANTED)!r} & sys.modules.keys()))"
"""Prints which of the unwanted modules are loaded."""
STAGES = {
    "before": "pass",
    "after import pylock": "import pylock",
    "after the first lock, of a new file": 'with pylock.lock("startup"): pass',
    "after the second one": 'with pylock.lock("startup"): pass',
}


def run(code: str, *options: str) -> str:
    """Run the code in a fresh interpreter that finds pylock, and return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": os.path.abspath("bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # The code comes from the standard input, as pylock keeps the command line, and needs json if that has quotes.
    command = [sys.executable, "-s", "-P", *options, "-"]
    return subprocess.run(command, env=environment, input=code, stdout=subprocess.PIPE, check=True, text=True).stdout


def start(library: str) -> Sample:
    """Return the seconds of the whole process and of the import alone."""
    code = TIMED.format("pass" if library == NOTHING else f"import {library}")
    begun = perf_counter()
    alone = float(run(code))
    return perf_counter() - begun, alone


def loaded() -> dict[str, list[str]]:
    """Return the unwanted modules that are loaded at each stage of one program."""
    code = "\n".join(f"{stage}\n{LOADED}" for stage in STAGES.values())
    return dict(zip(STAGES, (line.split() for line in run(code, "-S").splitlines()), strict=True))


def tables(quick: bool) -> list[Table]:
    measures = {library: partial(start, library) for library in (NOTHING, "pylock", *installed())}
    interleaved(1, measures)  # fills the cache of byte code
    found = interleaved(5 if quick else 25, measures)
    floor = found[NOTHING][0]
    table = Table(
        "Start of a program",
        ["import", "process ms", "ms more than nothing", "import alone ms"],
        "Medians of fresh interpreters by turns, byte code cached.",
    )
    for library, (whole, alone) in found.items():
        table.rows.append([library, *(number(seconds * 1e3) for seconds in (whole, whole - floor, alone))])
    table.verdicts = verdicts((found["pylock"][0] - floor) * 1e3)
    return [table]


def verdicts(added: float) -> list[str]:
    lines = [at_most("import pylock adds", MOST_MILLISECONDS, added, "ms")]
    for stage, modules in loaded().items():
        lines.append(
            verdict(f"loaded {stage}", f"none of {', '.join(UNWANTED)}", ", ".join(modules) or "none", not modules)
        )
    return lines
