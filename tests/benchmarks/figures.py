"""The measured tables as JSON, with the machine, the date and the peers they were taken with: for plots and pages."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pylock
from pylock._file.directories import mount_of

from .common import Table
from .peers import installed


def circumstances(parent: str) -> dict[str, Any]:
    """Return what somebody has to know who compares these figures with others."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {processor()}{', in a virtual machine' if is_virtual() else ''}",
        "python": platform.python_version(),
        "kernel": f"Linux {platform.release().partition('-')[0]}",
        "file system": mount_of(parent).type,
        "pylock": pylock.__version__,
        "peers": {library: version(library) for library in installed()},
    }


def processor() -> str:
    """Return the model as the kernel names it, else the architecture. Source: proc_cpuinfo(5)."""
    return _of_cpuinfo("model name") or platform.machine()


def is_virtual() -> bool:
    """Return whether the processor says that a hypervisor runs this kernel; only those of x86 do."""
    return "hypervisor" in _of_cpuinfo("flags").split()


def _of_cpuinfo(field: str) -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def write(path: Path, parent: str, tables: dict[str, list[Table]]) -> None:
    """Write the tables by question, cells as they are printed."""
    questions = {
        question: [
            {"title": table.title, "columns": table.columns, "rows": table.rows, "verdicts": table.verdicts}
            for table in found
        ]
        for question, found in tables.items()
    }
    text = json.dumps({"circumstances": circumstances(parent), "questions": questions}, indent=1, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")
