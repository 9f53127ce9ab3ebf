"""The rules of the house hold: which room may know which, who opens files, and what is loaded late."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from contender import ROOT
from rules import LATE, OPENERS, ORDER, UPWARDS

PACKAGE = ROOT / "pylock"


def room_of(module: Path) -> str:
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


def imports(module: Path, node: ast.AST) -> Iterator[tuple[str, str]]:
    """The modules of the package, dotted, that are imported anywhere below the node; with the name that is wanted."""
    package = list(module.relative_to(PACKAGE).parts[:-1])
    for each in ast.walk(node):
        if isinstance(each, ast.ImportFrom) and each.level:
            base = package[: len(package) + 1 - each.level] + (each.module.split(".") if each.module else [])
            for alias in each.names:
                dotted = [*base, alias.name]
                inner = PACKAGE.joinpath(*dotted)
                is_module = inner.is_dir() or inner.with_suffix(".py").exists()
                yield ".".join(dotted if is_module else base) or "__init__", alias.name


def test_every_entry_has_its_place() -> None:
    entries = {path.stem for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "py.typed")}
    assert entries == set(ORDER)
    assert len(ORDER) <= 20


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_knows_only_what_lies_below(module: Path) -> None:
    mine = room_of(module)
    for dotted, _ in imports(module, tree_of(module)):
        theirs = dotted.split(".")[0]
        if theirs != mine and (mine, theirs) not in UPWARDS:
            assert ORDER.index(theirs) < ORDER.index(mine), dotted


def test_there_is_no_circle_inside_a_folder() -> None:
    knows = {
        ".".join(module.relative_to(PACKAGE).with_suffix("").parts): {
            dotted for dotted, _ in imports(module, tree_of(module)) if dotted.count(".")
        }
        for module in modules()
        if module.parent != PACKAGE and module.name != "__init__.py"
    }
    while knows:
        ground = {name for name, below in knows.items() if not below & set(knows)}
        assert ground, f"a circle among {sorted(knows)}"
        for name in ground:
            del knows[name]


def test_every_room_is_in_the_picture_of_the_architecture() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    table = page.partition("| room |")[2].partition("\n\n")[0]
    rooms = re.findall(r"^\| `(\w+)", table, re.MULTILINE)
    assert rooms == [room for room in ORDER if room not in ("__init__", "__main__")]


def test_only_byterange_calls_fcntl() -> None:
    users = {path.name for path in modules() if "fcntl import" in path.read_text()}
    assert users - {"portalocker.py"} <= {"byterange.py"}


def test_files_are_opened_where_the_list_says() -> None:
    for module in modules():
        place = module.relative_to(PACKAGE)
        calls = re.search(r"\bos\.open\(|os import open", module.read_text())
        assert not calls or str(place) in OPENERS or place.parts[0] in OPENERS, place


def defined(module: Path) -> set[str]:
    """The private names that a module gives: functions, classes, variables, slots and attributes of its own."""
    found = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # of __slots__
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def test_nobody_uses_a_private_name_of_another_module() -> None:
    own = {module: defined(module) for module in modules()}
    anywhere = set().union(*own.values())
    found = []
    for module in modules():
        foreign = anywhere - own[module]
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Attribute) and node.attr in foreign:
                found.append(f"{module.relative_to(PACKAGE)}:{node.lineno} {node.attr}")
        found += [
            f"{module.relative_to(PACKAGE)} imports {name}"
            for dotted, name in imports(module, tree_of(module))
            if name in anywhere and not dotted.endswith(name) and dotted != "__init__"
        ]
    assert found == []


def test_imports_inside_functions_are_those_of_the_list() -> None:
    used = set()
    for module in modules():
        if room_of(module) in ("__init__", "_cli", "compat"):
            continue
        for function in ast.walk(tree_of(module)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                used |= {dotted for dotted, _ in imports(module, function)}
    assert used == set(LATE)


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
    assert "pylock._locks" in loaded
    assert not loaded & heavy


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


def test_docstrings_name_what_is_there() -> None:
    """A name in backquotes, `module.name` or `Class.name`, is one of the package."""
    given: dict[str, set[str]] = {}
    for module in modules():
        scopes = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Module | ast.ClassDef)]
        for scope in scopes:
            owner = module.stem.strip("_") if isinstance(scope, ast.Module) else scope.name
            given.setdefault(owner, set()).update(names_in(scope))
    given["Lock"] |= given["Asking"]  # which it inherits
    for module in modules():
        for owner, name in re.findall(r"(?<!`)`(\w+)\.(\w+)[^`]*`(?!`)", module.read_text()):
            assert name in given.get(owner.strip("_"), ()), f"{module.relative_to(PACKAGE)}: `{owner}.{name}`"


def names_in(scope: ast.Module | ast.ClassDef) -> set[str]:
    """What a module or class gives, by whichever way it is said."""
    found = {
        alias.asname or alias.name for node in scope.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for node in ast.walk(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found
