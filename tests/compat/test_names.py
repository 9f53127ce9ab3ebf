"""The adapters have every public name of the packages, and what they are called with; differences are listed here."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from contender import ROOT

MODULES = [
    "filelock", "filelock.asyncio", "filelock.version", "portalocker", "portalocker.constants",
    "portalocker.exceptions", "portalocker.portalocker", "portalocker.types", "portalocker.utils",
]  # fmt: skip
OTHERS = {
    "filelock": {"AsyncFileLock", "AsyncReadWriteLock", "AsyncUnixFileLock", "FileLock", "ReadWriteLock",
                 "UnixFileLock", "lock_descriptor", "unlock_descriptor", "asyncio"},
    "filelock.asyncio": {"AsyncUnixFileLock"},
    "portalocker": {"BoundedSemaphore", "Lock", "NamedBoundedSemaphore", "PidFileLock", "RLock", "TemporaryFileLock",
                    "lock", "unlock", "utils"},
    "portalocker.utils": {"BoundedSemaphore", "Lock", "NamedBoundedSemaphore", "PidFileLock", "RLock",
                          "TemporaryFileLock"},
}  # fmt: skip
"""What is not the package's own object: what waits, and the submodules that hold it."""


def both(name: str) -> tuple[ModuleType, ModuleType]:
    return import_module(name), import_module(f"pylock.compat.{name}")


def public(module: ModuleType) -> set[str]:
    found = {name for name in dir(module) if not name.startswith("_")} | {*getattr(module, "__all__", ())}
    return found - {"annotations"}


@pytest.mark.parametrize("name", MODULES)
def test_every_name_is_there_and_is_the_packages_own_but_for_what_waits(name: str) -> None:
    real, ours = both(name)
    assert set(getattr(ours, "__all__", ())) == set(getattr(real, "__all__", ()))
    differing = {each for each in public(real) if getattr(ours, each) is not getattr(real, each)}
    assert differing == OTHERS.get(name, set())


@pytest.mark.parametrize("name", MODULES)
def test_unknown_name_is_unknown(name: str) -> None:
    assert not hasattr(both(name)[1], "nonsense")


@pytest.mark.parametrize(("name", "each"), [(name, each) for name, all_of in OTHERS.items() for each in sorted(all_of)])
def test_what_waits_is_called_as_in_the_package(name: str, each: str) -> None:
    real, ours = (getattr(module, each) for module in both(name))
    if inspect.ismodule(real):
        return
    assert parameters(ours) == parameters(real)
    if inspect.isclass(real):
        assert issubclass(ours, real)
        members = [member for member in dir(real) if not member.startswith("_")]
        assert members == [member for member in dir(ours) if not member.startswith("_")]
        for member in members:
            if callable(getattr(real, member)):
                assert parameters(getattr(ours, member)) == parameters(getattr(real, member)), member


def parameters(called: Any) -> list[tuple[str, Any, Any]]:
    return [(one.name, one.kind, one.default) for one in inspect.signature(called).parameters.values()]


def test_class_hierarchy_is_that_of_the_package() -> None:
    for name, all_of in OTHERS.items():
        real, ours = both(name)
        classes = [each for each in all_of if inspect.isclass(getattr(real, each))]
        for one in classes:
            for other in classes:
                expected = issubclass(getattr(real, one), getattr(real, other))
                assert issubclass(getattr(ours, one), getattr(ours, other)) == expected, (one, other)


def test_locker_is_the_one_in_use() -> None:
    from pylock.compat.portalocker import portalocker

    assert portalocker is import_module("portalocker.portalocker")


# Without the package, and in its place


def output(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("package", ["filelock", "portalocker"])
@pytest.mark.parametrize("found", ["None", "types.ModuleType('old')"], ids=["absent", "old"])
def test_missing_package_is_told_with_the_extra_that_brings_it(package: str, found: str) -> None:
    told = output(f"import sys, types; sys.modules[{package!r}] = {found}; import pylock.compat.{package}")
    assert f'pip install "pylock-fcntl[{package}]"' in told.splitlines()[-1]
    assert told.splitlines()[-1].startswith("ImportError: ")


def test_pylock_itself_needs_neither() -> None:
    assert output("import sys; sys.modules.update(filelock=None, portalocker=None); import pylock._cli") == ""


@pytest.mark.parametrize(
    ("package", "uses"),
    [
        ("filelock", "filelock.FileLock, filelock.AsyncFileLock, filelock.ReadWriteLock, filelock.asyncio"),
        ("portalocker", "portalocker.Lock, portalocker.utils.Lock, portalocker.utils"),
    ],
)
def test_adapter_stands_in_for_the_package(package: str, uses: str) -> None:
    told = output(
        f"from pylock.compat.stand_in import stand_in; stand_in({package!r}); stand_in({package!r})\n"
        f"import {package}\nfor each in ({uses}): print(getattr(each, '__module__', each.__name__))"
    )
    assert {line.rpartition(".")[0] for line in told.splitlines()} <= {f"pylock.compat.{package}"}


def test_rest_of_the_package_is_in_the_adapter_that_stands_in() -> None:
    told = output(
        "from pylock.compat.stand_in import stand_in; stand_in('filelock')\n"
        "import filelock._soft, filelock; print(filelock.SoftFileLock is filelock._soft.SoftFileLock)"
    )
    assert told == "True\n"


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("filelock", "from pylock.compat.filelock import *"),
        ("filelock", "import sys, pylock.compat.filelock as ours; sys.modules[__name__] = ours"),
        ("portalocker", "from pylock.compat.portalocker import *; from pylock.compat.portalocker import utils"),
        ("portalocker", "import sys, pylock.compat.portalocker as ours; sys.modules[__name__] = ours"),
    ],
)
def test_module_before_the_package_on_the_path_may_be_the_adapter(tmp_path: Path, package: str, line: str) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(line)
    uses = {
        "filelock": "filelock.FileLock, filelock.AsyncFileLock, filelock.ReadWriteLock, filelock.AsyncReadWriteLock",
        "portalocker": "portalocker.Lock, portalocker.lock, portalocker.utils.PidFileLock",
    }
    submodule = {"filelock": "filelock.version", "portalocker": "portalocker.exceptions"}[package]
    told = output(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {package}, {submodule}\n"
        f"for each in ({uses[package]}): print(each.__module__)"
    )
    assert {line.rpartition(".")[0] for line in told.splitlines()} == {f"pylock.compat.{package}"}, told


def test_nothing_else_can_be_stood_in_for() -> None:
    from pylock.compat.stand_in import stand_in

    with pytest.raises(ValueError, match="filelock, portalocker"):
        stand_in("fasteners")


# Types

PROGRAM = """
import asyncio
from typing import IO
import filelock
from filelock import AsyncFileLock, BaseFileLock, FileLock, ReadWriteLock, Timeout
import portalocker
from portalocker import AlreadyLocked, BoundedSemaphore, Lock, PidFileLock, RLock, TemporaryFileLock
from portalocker.exceptions import LockException
from portalocker.utils import open_atomic

def text(lock: Lock[IO[str]]) -> str:
    with lock as fh:
        return fh.read()

def data(lock: Lock[IO[bytes]]) -> bytes:
    with lock as fh:
        return fh.read()

def main(base: BaseFileLock) -> None:
    text(Lock("x", "r")); data(Lock("x", "rb")); text(RLock("x")); text(TemporaryFileLock("x"))
    main(FileLock("x", timeout=1)); main(AsyncFileLock("x"))
    with FileLock("x").acquire(timeout=1) as lock:
        lock.release(force=True)
    with ReadWriteLock("x").read_lock(timeout=1):
        pass
    pid: int | None = PidFileLock("x").read_pid()
    BoundedSemaphore(2, "x").acquire()
    try:
        portalocker.lock(open("x"), portalocker.LOCK_EX | portalocker.LOCK_NB)
    except (AlreadyLocked, LockException, Timeout):
        filelock.lock_descriptor(1, blocking=False)
    with open_atomic("x"):
        pass
    text(Lock("x", "rb"))
    FileLock("x").acquire(timeout="x")
    Lock("x", 3)

async def task() -> None:
    async with AsyncFileLock("x"):
        pass
    await (await AsyncFileLock("x").acquire()).lock.release()
"""


def test_type_checker_accepts_and_refuses_what_it_does_for_the_packages(tmp_path: Path) -> None:
    """The errors are those of the last lines of main, which are wrong."""
    ours = PROGRAM
    for package in ("filelock", "portalocker"):
        ours = ours.replace(f"from {package}", f"from pylock.compat.{package}")
        ours = ours.replace(f"import {package}\n", f"from pylock.compat import {package}\n")
    (tmp_path / "real.py").write_text(PROGRAM)
    (tmp_path / "ours.py").write_text(ours)
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "real.py", "ours.py"]
    environment = {"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "compat")}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    errors = re.findall(r"^(real|ours)\.py:(\d+): error: .*\[(.*)\]$", done.stdout, re.MULTILINE)
    found = {name: [error[1:] for error in errors if error[0] == name] for name in ("real", "ours")}
    assert found["ours"] == found["real"]
    assert len(found["real"]) == 3, done.stdout
