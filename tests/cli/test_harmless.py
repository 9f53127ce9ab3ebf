"""What comes from others is printed harmless."""

from __future__ import annotations

import ast
import builtins
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import pylock

import pylock as library
from pylock import _errors
from pylock._cli.table import as_table
from pylock._definitions import Definition
from pylock._errors import LockError, bad_file, harmless, unsupported
from pylock._file.layout import SLOT_SIZE, slots_start

EVIL = "a\x1b]0;owned\x07\n\r\u202ez\x9b"


@pytest.mark.parametrize("text", ["plain", "naïve 日本", ""])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_what_moves_hides_rings_or_turns_round_is_spelled_out() -> None:
    assert harmless(EVIL) == "a\\x1b]0;owned\\x07\\n\\r\\u202ez\\x9b"
    assert harmless("\udcff") == "\\udcff"


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", EVIL),
        ("status", "--json"),
        ("set", EVIL, "-c", "1"),
        ("set", f"pool{EVIL}", "--elements", f"{EVIL},b"),
        ("clean", "--dry-run"),
        ("clean",),
        ("run", EVIL, "--verbose", "--reason", EVIL, "--", "true"),
        ("run", f"pool{EVIL}", "--any-of", EVIL, "--", EVIL),
        ("completion", "--answer", "--", "status", ""),
        ("completion", EVIL),
        (EVIL,),
    ],
)
def test_no_command_prints_a_name_raw(words: tuple[str, ...], directory: Path) -> None:
    library.lock(EVIL, reason=EVIL).acquire().release()
    (lock_file,) = directory.iterdir()
    shutil.copy(lock_file, directory / f"{EVIL.replace(chr(0x9B), '')}.lock")
    done = pylock(*words)
    for line in (done.stdout + done.stderr).split("\n"):
        assert line.isprintable()
    assert "Traceback" not in done.stderr


def test_table_shows_no_field_raw_that_another_process_wrote() -> None:
    waiter = library.Waiter(
        library.Mode.SHARED, 1, 7, 8, EVIL, EVIL, EVIL, None, EVIL, 0, EVIL, EVIL, held=None, place=1,
    )  # fmt: skip
    lock = library.LockStatus(EVIL, f"/{EVIL}", Definition(), (), (waiter,))
    lines = as_table((lock,), "/").splitlines()
    assert len(lines) == 2
    assert all(map(str.isprintable, lines))
    assert as_table((), EVIL).isprintable()


# Errors, whatever has them printed


@pytest.mark.parametrize("kind", [kind for kind in vars(_errors).values() if isinstance(kind, type)], ids=str)
def test_errors_of_all_kinds_are_one_harmless_line(kind: type[Exception]) -> None:
    if issubclass(kind, LockError):
        error = kind(f"not {EVIL}")
        assert str(error) == f"not {harmless(EVIL)}"
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_errors_that_name_a_path_a_mount_or_an_address_are_harmless() -> None:
    for error in (bad_file(EVIL, EVIL), unsupported(OSError(37, EVIL), EVIL, EVIL)):
        assert str(error).isprintable()
        assert error.path == EVIL


def released(hold: library.Hold) -> None:
    hold.release()
    hold.release()


def copied(hold: library.Hold) -> None:
    try:
        pickle.dumps(hold)
    finally:
        hold.release()


def converted(hold: library.Hold) -> None:
    try:
        hold.convert("exclusive")
    finally:
        hold.release()


MISUSES: list[Callable[[], object]] = [
    lambda: library.lock(EVIL, "shared", weight=2).acquire(),
    lambda: library.lock(EVIL, "shared", capacity=1, weight=2),
    lambda: library.lock("x", EVIL),  # type: ignore[call-overload]
    lambda: library.lock("x", policy=EVIL),
    lambda: library.lock("x", directory=f"/no/{EVIL}").acquire(),
    lambda: library.lock("x", directory=f"/no/{EVIL}\0"),
    lambda: library.inspect("x", f"/no/{EVIL}"),
    lambda: library.define(EVIL, kind=EVIL),
    lambda: library.pool(EVIL).acquire(),
    lambda: library.pool(EVIL, ["a"], weight=2),
    lambda: library.pool("x", [EVIL, EVIL]),
    lambda: library.path_lock(EVIL),
    lambda: library.timestamp("x", EVIL),
    lambda: library.timestamp("x", f"%H{EVIL}%999S"),
    lambda: library.all_of(library.lock(EVIL), library.lock(EVIL)),
    lambda: library.run(["true"], "x", ignore_signals=[EVIL]),
    lambda: library.run(EVIL, "x"),
    lambda: library.run([f"no-such-{EVIL}"], "x"),
    lambda: released(library.lock(EVIL).acquire()),
    lambda: converted(library.pool(EVIL, ["a"]).acquire()),
    lambda: copied(library.lock(EVIL).acquire()),
]


@pytest.mark.parametrize("misuse", MISUSES)
def test_what_is_said_of_a_wrong_word_is_harmless(misuse: Callable[[], object]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        misuse()
    assert str(caught.value).isprintable()
    assert "owned" in str(caught.value)


def test_objects_show_their_names_harmless() -> None:
    lock = library.lock(EVIL)
    with lock as hold, library.path_lock(f"/{EVIL}") as path:
        assert all(repr(each).isprintable() for each in (lock, hold, path, library.path_lock(f"/{EVIL}")))


def test_warning_of_a_dropped_hold_is_harmless() -> None:
    with pytest.warns(ResourceWarning) as caught:
        library.lock(EVIL).acquire()
    assert all(str(each.message).isprintable() for each in caught)


# What a neighbour wrote

FORGED = ["host", "command", "reason", "value", "below", "mode", "boot"]


@pytest.fixture
def forged(directory: Path) -> Iterator[None]:
    """A lock that is held by somebody whose every word is evil."""
    hold = library.lock("x", reason="r").acquire()
    place = slots_start("x")
    fd = os.open(directory / "x.lock", os.O_RDWR)
    record = json.loads(os.pread(fd, SLOT_SIZE, place).split(b"\n")[0])
    text = json.dumps(record | dict.fromkeys(FORGED, EVIL), ensure_ascii=False, separators=(",", ":")).encode()
    assert len(text) < SLOT_SIZE
    os.pwrite(fd, text.ljust(SLOT_SIZE - 1) + b"\n", place)
    os.close(fd)
    yield
    hold.release()


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", "x", "--json"),
        ("set", "x", "--policy", "fair"),
        ("run", "-t", "1.1", "x", "--", "true"),
        ("run", "-n", "x", "--", "true"),
        ("flom", "-r", "x", "-o", "100", "--", "true"),
    ],
)
def test_no_command_prints_a_record_raw(words: tuple[str, ...], forged: None) -> None:
    done = pylock(*words)
    assert "owned" in done.stdout + done.stderr or words[0] == "flom"
    assert all(map(str.isprintable, (done.stdout + done.stderr).split("\n")))


def test_errors_tell_a_record_harmless(forged: None) -> None:
    with pytest.raises(library.LockTimeout) as late:
        library.lock("x", timeout=0).acquire()
    with pytest.raises(library.WouldBlock) as busy:
        library.lock("x").acquire_nowait()
    for caught in (late, busy):
        assert "owned" in str(caught.value)
        assert str(caught.value).isprintable()


PACKAGE = Path(library.__file__).parent
FROM_OTHERS = re.compile(r"(?!harmless|.*\b(rule|kind)\.name)\S*\b(name|path|text|host|command|reason|element)")


def test_no_error_of_pythons_own_is_told_a_name_as_it_is() -> None:
    """`LockError` spells out what is not harmless; into other errors a name comes by repr or `harmless`.

    What the command says, for FLoM too, is spelled out when it says it.
    """
    raw = []
    for module in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(module.read_text())):
            kind = getattr(builtins, call.func.id, None) if is_call_by_name(call) else None
            if isinstance(kind, type) and issubclass(kind, BaseException) and not {"_cli", "compat"} & {*module.parts}:
                raw += [f"{module.relative_to(PACKAGE)}:{call.lineno} {name}" for name in raw_names(call)]
    assert raw == []


def is_call_by_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def raw_names(call: ast.AST) -> list[str]:
    shown = [each for each in ast.walk(call) if isinstance(each, ast.FormattedValue) and each.conversion != ord("r")]
    return [name for name in (ast.unparse(each.value) for each in shown) if FROM_OTHERS.fullmatch(name)]
