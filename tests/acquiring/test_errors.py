"""Errors say what happened, who is in the way and what to do, and survive a pickle."""

from __future__ import annotations

import os
import pickle
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from command import environment
from command import pylock as command
from contender import Contender

import pylock
from pylock._cli import main

ALL = [
    pylock.BadLockFile, pylock.Deadlock, pylock.DefinitionMismatch, pylock.LockLost, pylock.LockTimeout, pylock.NotHeld,
    pylock.Unsupported, pylock.WouldBlock,
]  # fmt: skip


def test_timeout_names_holder_waiters_and_what_to_do(contenders: type[Contender]) -> None:
    holder, waiter = contenders(), contenders()
    holder.acquire("build", reason="nightly")
    waiter.start_acquiring("build")
    with pytest.raises(pylock.LockTimeout) as caught:
        pylock.lock("build").acquire(0.02)
    text = str(caught.value)
    assert text.startswith('gave up on "build" (exclusive) at once: held by pid ')
    assert f"pid {holder.pid} on {os.uname().nodename}" in text
    assert "(nightly) since " in text
    assert text.endswith(', 1 waiter ahead; see "pylock status build"')
    assert caught.value.holders[0].pid == holder.pid
    assert caught.value.waiters[0].pid == waiter.pid
    assert isinstance(caught.value, TimeoutError)


def test_installation_that_has_lost_a_part_is_told_and_taken_for_no_timeout(
    contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:
    contenders().acquire("x")
    monkeypatch.setitem(sys.modules, "pylock._acquiring.refusals", None)
    with pytest.raises(ImportError, match="refusals"):
        pylock.lock("x").acquire(0)


def test_what_to_do_can_be_pasted_into_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = tmp_path / "my locks"
    elsewhere.mkdir()
    lock = pylock.lock("-a b", directory=elsewhere)
    with lock, pytest.raises(pylock.WouldBlock) as caught:
        pylock.lock("-a b", directory=elsewhere).acquire_nowait()
    command = str(caught.value).partition('; see "')[2].removesuffix('"')
    words = shlex.split(command)
    assert words == ["pylock", "status", "-d", str(elsewhere), "--", "-a b"]
    with lock:
        assert main(words[1:]) == 0
    assert "-a b  " in capsys.readouterr().out


def test_who_is_denied_is_told_what(tmp_path: Path) -> None:
    program = """
import os, sys
import pylock
if not os.getuid():
    os.setuid(65534)
for name in ("known", "new"):
    try:
        pylock.lock(name, directory=sys.argv[1]).acquire()
    except PermissionError as error:
        print(error.errno, os.path.basename(error.filename), error.strerror)
"""
    with TemporaryDirectory(prefix="denied-") as place:
        pylock.lock("known", directory=place).acquire().release()
        Path(place, "known.lock").chmod(0o444)
        Path(place).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", program, place], env=environment(), capture_output=True, check=True
        )
        Path(place).chmod(0o755)
    known, new = done.stdout.decode().splitlines()
    assert known.startswith(
        "13 known.lock Permission denied; to take a lock, shared too, is to write its file, which has"
    )
    what = f"nobody has used this lock yet, and its file cannot be made in {place}, which has mode 0555"
    assert new.startswith(f"13 new.lock Permission denied; {what}")


@pytest.mark.parametrize("kind", ALL)
def test_error_can_be_pickled_with_its_fields(kind: type[pylock.LockError]) -> None:
    error = kind("what happened", name="x", path="/p")
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.name, copy.path, copy.__notes__) == (kind, str(error), "x", "/p", ["a note"])


def test_real_refusal_can_be_pickled() -> None:
    with pylock.lock("x"), pytest.raises(pylock.WouldBlock) as caught:
        pylock.lock("x").acquire_nowait()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.holders == caught.value.holders
    assert copy.mode is pylock.Mode.EXCLUSIVE


def test_every_error_is_a_lock_error() -> None:
    assert all(issubclass(kind, pylock.LockError) for kind in ALL)
    assert issubclass(pylock.Unsupported, OSError)
    assert issubclass(pylock.DefinitionMismatch, ValueError)


def test_definition_can_be_pickled() -> None:
    definition = pylock.Definition(5, "fair", True)
    assert pickle.loads(pickle.dumps(definition)) == definition


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: pylock.lock("x", directory="/no/such"), FileNotFoundError, "/no/such"),
        (lambda: pylock.lock(pylock.lock), TypeError, 'decorate with @pylock.lock("NAME")'),  # type: ignore[arg-type]
        (lambda: pylock.path_lock("a/b/"), ValueError, "did you mean '/a/b'?"),
        (lambda: pylock.run(["true"], "x", ignore_signals="TERM"), TypeError, "as a list: ['TERM']"),
        (lambda: pylock.run(["ls -l"], "x"), FileNotFoundError, "write its words apart, without quotes"),
    ],
)
def test_mistake_is_told_with_what_to_write_and_without_what_pylock_tried_before(
    call: Callable[[], object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_settings_and_log_that_are_not_there_are_not_taken_for_the_command() -> None:
    for option, message in (("--config=/no/such", "settings file /no/such: "), ("--log=/no/such", "log /no/such: ")):
        assert message in command("run", option, "x", "--", "true").stderr
