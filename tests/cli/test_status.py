"""`pylock status`: what matters comes first and fits, what is wrong is said, and programs can rely on it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from command import PYLOCK, environment, pylock
from contender import Contender

import pylock as library
from pylock._cli import table


def on_terminal(columns: int, lines: int, *words: str, **variables: str) -> list[str]:
    """Run the command with its standard output on a terminal of that size; return what it showed there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with subprocess.Popen([*PYLOCK, *words], stdout=theirs, stderr=subprocess.DEVNULL, env=environment(**variables)):
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # the terminal's other end was closed
            pass
    os.close(ours)
    return shown.decode().splitlines()


def test_who_holds_and_waits_comes_first_and_free_locks_last(contenders: type[Contender]) -> None:
    for name in ("a", "z"):
        with library.lock(name):
            pass
    library.define("b", capacity=0)
    contenders().acquire("y")
    names = [line.split()[0] for line in pylock("status").stdout.splitlines()[1:]]
    assert names == ["y", "b", "a", "z"]


@pytest.mark.parametrize("columns", [120, 80, 60])
def test_table_fits_the_terminal_and_cuts_age_and_reason_last(columns: int, contenders: type[Contender]) -> None:
    holder, waiter = contenders(), contenders()
    holder.acquire("nightly-figures-of-all-customers", "concurrent_write", reason="month")
    waiter.start_acquiring("nightly-figures-of-all-customers", reason="release 2.1")
    head, *rows = on_terminal(columns, 24, "status")
    assert all(len(line) <= columns for line in (head, *rows))
    assert {"AGE", "REASON"} <= set(head.split())
    assert re.search("CW|concurrent_write", rows[0])
    assert rows[0].endswith("month")
    assert rows[1].endswith("release 2.1")
    assert "…" in rows[0]
    assert all(len(line) <= 30 for line in on_terminal(30, 24, "status"))


def test_table_that_goes_into_a_pipe_is_not_cut(contenders: type[Contender]) -> None:
    contenders().acquire("n" * 50, reason="r" * 50)
    row = pylock("status").stdout.splitlines()[1]
    assert row.startswith("n" * 50)
    assert row.endswith("r" * 50)


def test_policy_is_shown_where_it_is_not_the_usual_one() -> None:
    library.define("plain", capacity=2)
    assert "POLICY" not in pylock("status").stdout
    library.define("just", policy="fair")
    shown = pylock("status").stdout
    assert "POLICY" in shown.splitlines()[0]
    assert shown.count("fair") == 1


def test_closed_lock_says_by_whom_and_since_when(contenders: type[Contender]) -> None:
    contenders().acquire("x", "shared", capacity=3)
    assert pylock("set", "x", "--capacity", "0", "--reason", "moving").returncode == 0
    _, closed, holder = pylock("status").stdout.splitlines()
    assert re.fullmatch(r"x +1/0 +closed +\S+ +\S+ +\ds +moving", closed)
    assert holder.split()[0] == "holds"
    (lock,) = json.loads(pylock("status", "--json").stdout)["locks"]
    assert lock["closed"]["reason"] == "moving"
    assert lock["closed"]["since"] > 1e9
    pylock("set", "x", "--capacity", "2")
    assert "closed" not in pylock("status").stdout


def test_files_that_cannot_be_used_are_rows_and_an_exit_status(directory: Path) -> None:
    with library.lock("good"):
        pass
    library.define("torn", capacity=1)
    torn = directory / "torn.lock"
    torn.write_bytes(torn.read_bytes().replace(b'"capacity":1', b'"capacity":2', 1))
    (directory / "notes.lock").write_text("remember the milk\n")
    (directory / "folder.lock").mkdir()
    (directory / "link.lock").symlink_to("good.lock")
    done = pylock("status")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert done.returncode == 3
    assert re.search("damaged .*its header is damaged", rows["torn.lock"])
    assert re.search("foreign .*does not begin with a pylock header", rows["notes.lock"])
    assert re.search("foreign .*it is a symbolic link", rows["link.lock"])
    assert "folder.lock" in rows
    assert f"pylock: {torn} is damaged: " in done.stderr
    unusable = json.loads(pylock("status", "--json").stdout)["unusable"]
    assert {bad["file"]: bad["problem"] for bad in unusable} == {
        "torn.lock": "damaged", "notes.lock": "foreign", "link.lock": "foreign", "folder.lock": "foreign",
    }  # fmt: skip
    assert pylock("status", "good").returncode == 0
    for words in (["torn"], ["-q", "torn"], ["torn", "--json"]):
        assert pylock("status", *words).returncode == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_a_row(directory: Path) -> None:
    library.define("x", capacity=1)
    (directory / "x.lock").chmod(0)
    assert re.search("x.lock +unreadable +Permission denied", pylock("status").stdout)


@pytest.mark.parametrize("words", [[], ["-q"]])
def test_name_that_no_lock_has_is_said_and_is_exit_status_2(words: list[str], directory: Path) -> None:
    done = pylock("status", *words, "bakcup")
    assert (done.returncode, done.stdout) == (2, "")
    assert f'pylock: there is no lock "bakcup" in {directory}' in done.stderr


def test_json_has_a_format_number_and_its_directory(directory: Path) -> None:
    library.define("x", capacity=1)
    shown = json.loads(pylock("status", "--json").stdout)
    assert (shown["format"], shown["directory"]) == (table.JSON_FORMAT, str(directory))


def test_pids_are_those_of_this_host_that_hold_and_are_there(directory: Path, contenders: type[Contender]) -> None:
    first, second, waiter = contenders(), contenders(), contenders()
    first.acquire("x", "shared")
    second.acquire("x", "shared")
    waiter.start_acquiring("x")
    pids = pylock("status", "--pids", "x").stdout.split()
    assert pids == [str(first.pid), str(second.pid)]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().encode()
    file = directory / "x.lock"
    with file.open("r+b") as opened:
        foreign = file.read_bytes().replace(boot, boot[::-1])
        opened.write(foreign)
    assert pylock("status", "--pids", "x").stdout == ""
    assert len(library.inspect("x").holders) == 2


def test_a_pid_that_was_used_again_is_none_of_a_holder(directory: Path, contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    assert library.inspect("x").holders[0].is_here
    file = directory / "x.lock"
    start = library.inspect("x").holders[0].start
    with file.open("r+b") as opened:
        opened.write(file.read_bytes().replace(f'"start":{start}'.encode(), f'"start":{str(start)[::-1]}'.encode()))
    assert pylock("status", "--pids", "x").stdout == ""


def test_prometheus_format_tells_numbers_of_all_locks(directory: Path, contenders: type[Contender]) -> None:
    contenders().acquire('a"\\b', "shared", capacity=3)
    contenders().start_acquiring('a"\\b')
    library.define("closed", capacity=0)
    shown = pylock("status", "--prometheus").stdout
    for line in shown.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) pylock_\w+ .+|pylock_\w+\{(\w+="([^"\\]|\\.)*",?)+\} [0-9.e+-]+', line), (
            line
        )
    where = f'directory="{directory}"'
    odd = r'lock="a\"\\b"'
    for sample in (
        f'pylock_holders{{{where},{odd},mode="shared"}} 1',
        f"pylock_waiters{{{where},{odd}}} 1",
        f"pylock_used_units{{{where},{odd}}} 1",
        f"pylock_capacity_units{{{where},{odd}}} 3",
        f'pylock_capacity_units{{{where},lock="closed"}} 0',
        f'pylock_unusable_files{{{where},problem="damaged"}} 0',
    ):
        assert sample in shown.splitlines()
    assert 0 < float(re.findall(r"longest_wait_seconds\{.*a.*\} (\S+)", shown)[0]) < 60


def test_only_one_view_at_a_time_is_shown() -> None:
    done = pylock("status", "--json", "--pids")
    assert (done.returncode, done.stderr) == (125, "pylock: --json cannot be combined with --pids\n")


def test_path_is_cut_at_its_beginning_and_a_lock_after_all_that_tells_less() -> None:
    paths = [f"/customers/of-the-north/{name}" for name in ("acme", "bolt")]
    holds = [library.path_lock(path, reason="a reason that is rather long").acquire() for path in paths]
    try:
        wide, narrow = (table.as_table(library.status(), "locks", width=width) for width in (None, 80))
        assert all(path in wide for path in paths)
        assert all(re.search(rf"…[a-z/-]*/{name} ", narrow) for name in ("acme", "bolt"))
        assert max(map(len, narrow.splitlines())) <= 80
    finally:
        for hold in holds:
            hold.release()
    with library.path_lock(f"/{'a' * 70}/end"):
        assert "a/end" in table.as_table(library.status(), "locks")
