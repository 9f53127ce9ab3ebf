"""What users of one machine cannot do to each other through a lock directory."""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import environment
from contender import ROOT, Contender, waiting
from kernel import replaced

import pylock
from pylock._file.directories import resolve
from pylock._file.new_directory import make_shared
from pylock._file.removal import clean


def test_check_runs_nothing_that_lies_where_it_is_called(directory: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "json.py").write_text("open('was-run', 'w')\n")
    command = tmp_path / "pylock"  # as installers write it
    command.write_text("from pylock._cli import console\nconsole()\n")
    done = subprocess.run(
        [sys.executable, str(command), "check", str(directory)], cwd=here, env=environment(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert not (here / "was-run").exists()
    assert "is fit for locks" in done.stdout


def is_spared(path: Path) -> bool:
    return bool(path.lstat().st_mode & stat.S_ISVTX)


def test_lock_files_and_bells_have_the_bit_that_systemd_tmpfiles_spares(
    directory: Path, contenders: type[Contender]
) -> None:
    with pylock.lock("x"), pylock.sequence("numbers"):
        contenders().start_acquiring("x")
        assert {path.name: is_spared(path) for path in directory.iterdir()} == {
            "x.lock": True, "x.lock.0": True, "numbers.lock": True,
        }  # fmt: skip


def test_file_system_that_refuses_the_bit_gives_the_mode_without(
    directory: Path, contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fchmod

    def without_sticky(fd: int, mode: int) -> None:
        if mode & stat.S_ISVTX:
            raise PermissionError(1, "no such bit")
        real(fd, mode)

    monkeypatch.setattr(os, "fchmod", without_sticky)
    directory.chmod(0o2770)
    with pylock.lock("x"):
        pass
    assert stat.S_IMODE((directory / "x.lock").stat().st_mode) & 0o777 == 0o660


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="there is no systemd-tmpfiles")
def test_systemd_tmpfiles_removes_neither_lock_files_nor_bells(
    directory: Path, tmp_path: Path, contenders: type[Contender]
) -> None:
    settings = tmp_path / "settings.conf"
    settings.write_text(f"e {directory} - - - 1us\n")
    (directory / "stranger").touch()
    with pylock.lock("x"):
        contenders().start_acquiring("x")
        subprocess.run(["systemd-tmpfiles", "--clean", str(settings)], check=True, capture_output=True)
        assert {path.name for path in directory.iterdir()} == {"x.lock", "x.lock.0"}


# What others put in the place of a bell, each at the moment that is the best for them


def after(function: Callable[..., Any], path: Path, then: Callable[[], object]) -> Callable[..., Any]:
    """The function, and behind its first call for that path what an attacker does."""
    waits = True

    def call(name: str, *arguments: Any) -> Any:
        nonlocal waits
        result = function(name, *arguments)
        if waits and name == str(path):
            waits = False
            then()
        return result

    return call


def wait_in_vain() -> None:
    hold = pylock.lock("x").acquire()
    with pytest.raises(pylock.LockTimeout):
        pylock.lock("x", timeout=0.02).acquire()
    hold.release()


@pytest.fixture
def bell(directory: Path) -> Path:
    """Where the first who waits for the lock hangs its bell, in a directory that a group shares."""
    directory.chmod(0o2775)
    return directory / "x.lock.0"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("private key")
    path.chmod(0o600)
    return path


def test_bell_can_be_rung_by_all_who_may_use_the_lock(bell: Path, contenders: type[Contender]) -> None:
    with pylock.lock("x"):
        contenders().start_acquiring("x")
        waiting("x", 1)
        assert stat.S_IMODE(bell.lstat().st_mode) & 0o777 == 0o664


@pytest.mark.parametrize("moment", ["mkfifo", "open"])
@pytest.mark.parametrize("link", ["symlink", "link"])
def test_file_that_is_put_in_the_place_of_a_bell_keeps_its_mode_and_its_text(
    moment: str, link: str, bell: Path, secret: Path
) -> None:
    def put() -> None:
        bell.unlink()
        getattr(os, link)(secret, bell)

    with replaced(os, moment, after(getattr(os, moment), bell, put)):
        wait_in_vain()
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.read_text() == "private key"


def test_fifo_of_our_own_that_others_linked_as_a_bell_keeps_its_mode(bell: Path, tmp_path: Path) -> None:
    """Such a link can be made where fs.protected_hardlinks is 0; here it is gone again as soon as it is open."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    os.link(fifo, bell)
    with replaced(os, "open", after(os.open, bell, bell.unlink)):
        wait_in_vain()
    assert stat.S_IMODE(fifo.stat().st_mode) == 0o600


def test_root_writes_into_no_file_that_the_owner_of_a_private_directory_put_for_a_bell(
    directory: Path, bell: Path, secret: Path, contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # the directory is of somebody else
    with pylock.lock("x"):
        waiter = contenders()
        waiter.start_acquiring("x")
        bell.unlink()
        os.link(secret, bell)
    assert isinstance(waiter.answer(), int)
    assert secret.read_text() == "private key"


def test_what_is_opened_in_a_directory_is_no_link_and_neither_waits_nor_becomes_the_terminal(
    bell: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, opened = os.open, dict[str, int]()

    def open_(path: str, flags: int, *arguments: Any, **keywords: Any) -> int:
        if str(path) != str(directory):
            opened[os.path.basename(path)] = opened.get(os.path.basename(path), ~0) & flags
        return real(path, flags, *arguments, **keywords)

    with replaced(os, "open", open_):
        wait_in_vain()
        pylock.sequence("numbers").acquire().release()
        pylock.status()
        list(clean(resolve(None)))
        make_shared(str(directory), 0o2770, -1, force=False)
    assert {"x.lock", "x.lock.0", "numbers.lock"} <= opened.keys()
    careful = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    assert {name for name, flags in opened.items() if flags & careful != careful} == set()


# What the kernel or a file server refuses


def disbelieving(made_by_others: bool) -> Callable[..., int]:
    """``os.open`` on a host that believes that a file is not there until it asks for it to be made.

    A file that others just made is another user's in a sticky directory, where O_CREAT is refused when it was found.
    Source: proc_sys_fs(5), protected_regular.
    """
    real, absent = os.open, True

    def open_(path: str, flags: int, *mode: int) -> int:
        nonlocal absent
        if flags & os.O_EXCL:
            if made_by_others:
                os.close(real(path, flags, *mode))
            raise FileExistsError(17, "somebody else just made it", path)
        if absent and not flags & os.O_CREAT:
            raise FileNotFoundError(2, "so this host believes", path)
        absent = False
        if flags & os.O_CREAT and made_by_others:
            raise PermissionError(13, "another user's", path)
        return real(path, flags, *mode)

    return open_


def test_file_that_is_gone_again_when_the_server_is_asked_is_made_for_all_who_use_it(remote: Path) -> None:
    with replaced(os, "open", disbelieving(made_by_others=False)):
        pylock.lock("x").acquire_nowait().release()
    assert stat.S_IMODE((remote / "x.lock").stat().st_mode) == 0o600 | stat.S_ISVTX


def test_another_users_file_in_a_sticky_directory_is_found_on_a_server_too(remote: Path) -> None:
    with replaced(os, "open", disbelieving(made_by_others=True)):
        pylock.lock("x").acquire_nowait().release()


# The page about it

ELSEWHERE = {
    "_process": "/proc", "_run/descendants": "/proc", "_run/embedded": "/proc", "_run/terminal": "/dev/tty",
    "_run/programs": "the program to run", "_cli/runner": "/proc", "_cli/taking": "/dev/null",
    "_cli/check/sweepers": "the settings of systemd-tmpfiles", "_cli/completion": "the scripts of the package",
}  # fmt: skip
"""Rooms that have to do with paths outside lock directories alone."""
OPERATIONS = {
    "chmod", "chown", "fchmod", "fchown", "link", "listdir", "lstat", "makedirs", "mkdir", "mkfifo", "mknod", "open",
    "remove", "rename", "replace", "rmdir", "scandir", "stat", "symlink", "truncate", "unlink",
}  # fmt: skip
BY_ANOTHER_NAME = {"open_noted": "open", "os_open": "open", "give_mode": "fchmod", "open": "open"}


def operations_on_paths() -> set[tuple[str, str]]:
    package, found = ROOT / "pylock", set()
    for module in package.rglob("*.py"):
        room = str(module.relative_to(package).with_suffix(""))
        for node in ast.walk(ast.parse(module.read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in OPERATIONS:
                    found.add((room, name))
                case ast.Name(id=name) if name in BY_ANOTHER_NAME:
                    found.add((room, BY_ANOTHER_NAME[name]))
    return {(room, name) for room, name in found if room not in ELSEWHERE and not room.startswith("compat")}


def test_every_operation_on_a_path_is_in_the_table() -> None:
    page = (ROOT / "docs" / "explanation" / "security.md").read_text()
    told = set()
    for room, operations in re.findall(r"^\| `([\w/]+)` \| ([^|]+) \|", page, re.MULTILINE):
        told |= {(room, name) for name in re.findall(r"`(\w+)`", operations)}
    assert operations_on_paths() - told == set()
    assert told - operations_on_paths() == set()
