"""The rooms of the house: which module may import which, and what a fast start may not import at all."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from contender import ROOT

PACKAGE = ROOT / "pylock"

LAYERS = [
    "harmless", "bytemap", "errors", "process", "mounts", "descriptors", "byterange", "modes", "enums", "fronts",
    "directories", "layout", "failures", "lockfile", "headers", "new_directory", "tickets", "grants", "units",
    "elements", "bells", "removal",
    "agreement", "request", "waiting", "blocks", "census", "nesting", "survival", "existence", "deadlocks",
    "contention", "conversion", "holds", "locks", "several", "kinds", "definitions", "survey", "terminal",
    "descendants", "supervisor", "signames", "running", "__init__", "compat", "cli", "__main__",
]  # fmt: skip
"""From the ground up: a module imports only those before it. Imports for annotations alone do not count."""


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a module imports at run time, anywhere in it."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    depth = len(path.relative_to(PACKAGE).parts)  # as many dots lead to the package itself
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module.partition(".")[0]] if node.module else [alias.name for alias in node.names]
            found |= {name for name in names if name in LAYERS}
    return found


def imports_of_room(module: str) -> set[str]:
    files = sorted((PACKAGE / module).rglob("*.py")) or [PACKAGE / f"{module}.py"]
    return set().union(*map(imports_of, files))


@pytest.mark.parametrize("module", LAYERS)
def test_module_imports_only_what_lies_below(module: str) -> None:
    assert imports_of_room(module) <= set(LAYERS[: LAYERS.index(module)])


def test_every_module_has_its_layer() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert {path.stem for path in PACKAGE.glob("*.py")} | folders == set(LAYERS)


def test_every_module_is_in_the_picture_of_the_architecture() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    table = page.partition("| floor |")[2].partition("\n\n")[0].splitlines()
    floors = [re.findall(r"`(\w+)`", row) for row in table]
    assert sorted(room for floor in floors for room in floor) == sorted(LAYERS)
    reached: set[str] = set()
    for floor in floors:
        reached |= {*floor}
        assert set().union(*map(imports_of_room, floor)) <= reached, floor


def test_only_byterange_calls_fcntl() -> None:
    users = {path.name for path in PACKAGE.rglob("*.py") if "fcntl import" in path.read_text()}
    assert users == {"byterange.py"}


def loaded_after(program: str) -> set[str]:
    """The modules that the program loads beyond those of a bare interpreter."""
    report = "\nimport sys; print(*sorted(sys.modules))"
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYLOCK_DIR": os.environ["PYLOCK_DIR"]}
    runs = [
        subprocess.run(
            [sys.executable, "-S", "-c", code + report], env=environment, capture_output=True, text=True, check=True
        )
        for code in ("pass", program)
    ]
    bare, full = (set(done.stdout.split()) for done in runs)
    return full - bare


def test_locking_loads_nothing_heavy() -> None:
    heavy = {"asyncio", "subprocess", "ctypes", "typing", "dataclasses", "enum", "re", "json", "functools", "threading"}
    loaded = loaded_after(
        "import pylock\nwith pylock.lock('x'): pass\nwith pylock.lock('y', 'shared', capacity=3): pass"
    )
    assert "pylock.locks" in loaded
    assert not loaded & heavy


def test_fork_loads_before_all_that_a_lock_may_need_later() -> None:
    """What a thread is loading at the moment of a fork would never be loaded in the child."""
    import pylock

    core = LAYERS[: LAYERS.index("several")]
    needed = {"locks"}
    while more := set().union(*map(imports_of_room, needed)) - needed:
        needed |= more
    assert needed <= set(core)
    loaded = {name.removeprefix("pylock.") for name in loaded_after("import pylock")}
    assert needed - loaded == set(pylock._BELOW.split())


def test_public_names_are_all_there() -> None:
    import pylock

    for name in pylock.__all__:
        assert getattr(pylock, name) is not None
    assert set(pylock.__all__) <= set(dir(pylock))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        pylock.nonsense  # noqa: B018


def test_windows_gets_a_clear_import_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['fcntl'] = None; import pylock"],
        env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "ImportError: pylock needs the open file description locks of Linux" in done.stderr
