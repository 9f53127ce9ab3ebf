"""Who closed a lock: said to those who wait, in errors, by status; and what set does besides."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from command import Running
from command import pylock as run_pylock
from contender import Contender, waiting

import pylock
from pylock._cli.waiting_line import WaitingLine
from pylock._file.header import parse_line
from pylock._file.layout import LIFE_SLOT, SLOT_SIZE, slots_start

HOST = socket.gethostname()


def close(name: str = "x", reason: str = "kernel update") -> str:
    done = run_pylock("set", name, "--capacity=0", "--reason", reason)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_status_and_errors_say_who_closed_it_when_and_why() -> None:
    close()
    closed = pylock.inspect("x").closed
    assert closed is not None
    assert (closed.host, closed.reason) == (HOST, "kernel update")
    said = f"by {closed.user} on {HOST} since "
    assert str(closed).startswith(said)
    assert str(closed).endswith(": kernel update")
    row = run_pylock("status", "x").stdout.splitlines()[1]
    assert row.split()[:5] == ["x", "0/0", "closed", closed.host, closed.user]
    assert row.endswith("kernel update")
    assert json.loads(run_pylock("status", "x", "--json").stdout)["locks"][0]["closed"]["reason"] == "kernel update"
    refused = run_pylock("run", "-n", "x", "--", "true")
    assert refused.returncode == 75
    assert f"the lock is closed (capacity 0) {said}" in refused.stderr


def test_waiting_line_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    close()
    request = pylock.lock("x").request
    with pytest.raises(pylock.WouldBlock):
        pylock.lock("x").acquire_nowait()
    WaitingLine([request], 0).show()
    assert f", which is closed {pylock.inspect('x').closed}\n" in capsys.readouterr().err


def test_waiting_line_of_several_locks_names_the_one_that_is_in_the_way() -> None:
    pylock.lock("a").acquire().release()
    close("b")
    job = Running("run", "a", "--with=b", "--", "true")
    try:
        assert job.process.stderr is not None
        line = job.process.stderr.readline()
        assert 'for "b" (exclusive), place 1 of 1, which is closed by ' in line
        assert line.endswith(": kernel update\n")
    finally:
        job.close()


def test_opening_forgets_it() -> None:
    close()
    pylock.define("x", capacity=3)
    pylock.define("x", policy="fair")
    assert pylock.inspect("x").closed is None
    pylock.define("x", capacity=0)
    closed = pylock.inspect("x").closed
    assert closed is not None
    assert closed.reason is None


def test_changing_something_else_keeps_it() -> None:
    close()
    pylock.define("x", policy="fair")
    assert pylock.inspect("x").closed is not None


def test_it_stands_beside_the_life_of_the_lock_and_neither_disturbs_the_other(directory: Path) -> None:
    pylock.lock("x", idle_lifespan=600).acquire().release()
    close()
    pylock.lock("x", "null", idle_lifespan=900).acquire().release()
    raw = (directory / "x.lock").read_bytes()[slots_start("x") + LIFE_SLOT * SLOT_SIZE :][:SLOT_SIZE]
    fields = parse_line(raw)
    assert fields is not None
    assert fields["lifespan"] == 900_000_000
    assert pylock.inspect("x").closed is not None


def test_long_reason_is_cut() -> None:
    pylock.define("x", capacity=0, reason="ä" * 5000)
    closed = pylock.inspect("x").closed
    assert closed is not None
    assert closed.reason
    assert set(closed.reason) == {"ä"}
    assert os.path.getsize(pylock.inspect("x").path) <= slots_start("x") + 2 * SLOT_SIZE


def test_reason_is_for_closing_only() -> None:
    with pytest.raises(ValueError, match="for closing"):
        pylock.define("x", capacity=1, reason="because")
    assert run_pylock("set", "x", "-c", "1", "-r", "because").returncode == 125
    assert pylock.status() == ()


def test_set_says_that_it_made_the_lock_new() -> None:
    assert '"x" (a new lock: nobody has used that name): capacity' in close()
    assert "new" not in run_pylock("set", "x", "-c", "1").stdout


def test_the_jobschedulers_number_is_unlimited(tmp_path: Path) -> None:
    close()
    assert "0 (closed) -> unlimited" in run_pylock("set", "x", "-c", str(2**31 - 1)).stdout
    settings = tmp_path / "settings.toml"
    settings.write_text("[locks.y]\ncapacity = 2147483647\n")
    assert run_pylock("run", "--config", str(settings), "--shared", "y", "--", "true").returncode == 0
    assert pylock.inspect("y").definition.capacity == pylock.UNLIMITED


@pytest.mark.parametrize("number", [2**31, 2**30 + 1, 10**400])
def test_more_than_the_most_is_refused_with_the_word_for_it(number: int) -> None:
    done = run_pylock("set", "x", "-c", str(number))
    assert done.returncode == 125
    assert "write unlimited" in done.stderr
    assert len(done.stderr) < 200


def drained(holder: Contender, *words: str) -> Running:
    running = Running("set", "x", "--drain", *words)
    assert running.process.stderr is not None
    assert running.process.stderr.readline().startswith("pylock: in ")
    assert f"first pid {holder.pid}" in running.process.stderr.readline()
    return running


def test_drain_does_not_wait_for_those_who_come_meanwhile(contenders: type[Contender]) -> None:
    old, new = contenders(), contenders()
    old.acquire("x", "shared")
    running = drained(old)
    new.acquire("x", "shared")
    old.release()
    assert running.end()[0] == 0
    assert [holder.pid for holder in pylock.inspect("x").holders] == [new.pid]


def test_drain_with_newcomers_waits_until_nobody_holds_it(contenders: type[Contender]) -> None:
    old, new = contenders(), contenders()
    old.acquire("x", "shared")
    running = drained(old, "--newcomers")
    new.acquire("x", "shared")
    old.release()
    assert running.process.stderr is not None
    while f"first pid {new.pid}" not in running.process.stderr.readline():
        pass
    new.release()
    assert running.end()[0] == 0


def test_drain_gives_up_in_time(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x", "shared")
    done = run_pylock("set", "x", "--drain", "--timeout=0.2")
    assert done.returncode == 75
    assert f'still 1 holder of "x", first pid {holder.pid}' in done.stderr


@pytest.mark.parametrize("option", ["--newcomers", "--timeout=1"])
def test_options_of_drain_need_it(option: str) -> None:
    done = run_pylock("set", "x", "-c", "1", option)
    assert done.returncode == 125
    assert "is for --drain" in done.stderr


def test_closed_lock_that_somebody_waits_for_is_shown_as_closed(contenders: type[Contender]) -> None:
    close()
    contender = contenders()
    contender.tell("acquire", name="x", mode="exclusive")
    waiting("x", 1)
    rows = run_pylock("status").stdout.splitlines()
    assert rows[1].split()[:3] == ["x", "0/0", "closed"]
    assert "waits #1" in rows[2]
