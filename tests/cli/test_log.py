"""What `pylock run` tells of a wait, while it waits, afterwards, and in its log."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import syslog
import time
from pathlib import Path

import pytest
from command import PYLOCK, Running, environment, pylock
from contender import Contender, until, waiting

import pylock as library
from pylock._cli.log import Log


def events(log: Path) -> list[dict[str, str]]:
    """The lines of a log, each read as a shell reads words."""
    return [dict(word.split("=", 1) for word in shlex.split(line)) for line in log.read_text().splitlines()]


def test_each_grant_and_release_is_a_line(tmp_path: Path, directory: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        pylock("run", f"--log={log}", "--reason=a b", "x", "--with", "y", "--", "sh", "-c", "exit 7")
    found = events(log)
    assert [(line["event"], line["lock"]) for line in found] == 2 * [
        ("grant", "x"), ("grant", "y"), ("release", "x"), ("release", "y"),
    ]  # fmt: skip
    grant, _, release, _ = found[:4]
    assert (grant["waited"], grant["mode"], grant["reason"]) == ("0.000", "exclusive", "a b")
    assert (grant["directory"], grant["command"]) == (str(directory), "sh -c exit 7")
    assert (release["status"], release["token"]) == ("7", grant["token"])
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]", release["time"])
    assert float(release["held"]) >= 0


def test_wait_and_refusal_are_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with library.lock("x"):
        assert pylock("run", f"--log={log}", "-t", "0.05", "x", "--", "true").returncode == 75
        running = Running("run", f"--log={log}", "x", "--", "true")
        until(lambda: len(events(log)) == 3)
        running.signal(signal.SIGTERM)
        assert running.end()[0] == -signal.SIGTERM
    wait, refusal, again, struck = events(log)
    assert [wait["event"], again["event"]] == ["wait", "wait"]
    assert (refusal["event"], struck["event"], struck["why"]) == ("refusal", "refusal", "signal 15")
    assert refusal["why"].startswith('gave up on "x" (exclusive) after 0.1 s: held by pid')
    assert float(refusal["waited"]) >= 0.05


def test_no_name_or_reason_can_break_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pylock("run", f"--log={log}", '--reason=\n"event=grant\x1b[31m', "a b\nevent=grant", "--", "true")
    assert [line["event"] for line in events(log)] == ["grant", "release"]
    assert all(line.isprintable() for line in log.read_text().splitlines())


def test_a_log_that_cannot_be_opened_is_said_before_anything_is_locked(directory: Path) -> None:
    done = pylock("run", "--log", "/no/such/log", "x", "--", "true")
    assert (done.returncode, list(directory.iterdir())) == (125, [])
    assert "/no/such/log" in done.stderr


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    done = pylock("run", "--log", "/dev/full", "x", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr == "pylock: cannot write into the log /dev/full: No space left on device\n"


def test_the_systems_log_gets_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(syslog, "syslog", sent.append)
    Log("syslog").write("grant", library.lock("x").request, waited=0.25)
    (line,) = sent
    assert line.startswith("event=grant lock=x mode=exclusive waited=0.250 pid=")


def test_log_stands_in_the_settings(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[monitor]\nlog = "{tmp_path}/log"\n')
    pylock("run", f"--config={settings}", "x", "--", "true")
    assert len(events(tmp_path / "log")) == 2


def test_command_and_verbose_tell_how_long_it_waited(directory: Path) -> None:
    with library.lock("x"):
        running = Running("run", "-v", "x", "--", "sh", "-c", "echo $PYLOCK_WAITED")
        waiting("x", 1)
        time.sleep(0.01)
    status, waited, said = running.end()
    assert status == 0
    assert re.fullmatch(r"\d+\.\d{3}\n", waited)
    assert 0.01 <= float(waited) < 60
    assert re.search(rf'holds "x", token \d+, after 0\.\d s, in {directory}, by \$PYLOCK_DIR\n', said)
    assert pylock("run", "x", "--", "sh", "-c", "echo $PYLOCK_WAITED").stdout == "0.000\n"


def line_of(running: Running) -> str:
    assert running.process.stderr is not None
    return running.process.stderr.readline()


def test_waiting_line_names_who_is_before_us_where_no_holder_is_in_the_way(contenders: type[Contender]) -> None:
    library.define("x", policy="fair")
    reader, writer = contenders(), contenders()
    reader.acquire("x", "shared")
    writer.start_acquiring("x", reason="nightly")
    running = Running("run", "-s", "x", "--", "true")
    try:
        said = line_of(running)
        assert f"place 2 of 2, behind pid {writer.pid} on " in said
        assert "(nightly)" in said
        assert "who waits for it before us (exclusive)" in said
        assert "held by" not in said
        reader.release()
        writer.answer()
        writer.release()
        assert running.end()[0] == 0
    finally:
        running.close()


def test_waiting_line_names_the_holder_that_is_in_the_way(contenders: type[Contender]) -> None:
    harmless, writer = contenders(), contenders()
    harmless.acquire("x", "concurrent_read")
    writer.acquire("x", "protected_write")
    running = Running("run", "-m", "CW", "x", "--", "true")
    try:
        assert f"held by pid {writer.pid} on " in line_of(running)
    finally:
        running.close()


@pytest.mark.parametrize(("term", "in_place"), [("dumb", False), ("xterm", True)])
def test_dumb_terminals_get_plain_lines(term: str, in_place: bool) -> None:
    shown = b""
    with library.lock("x"):
        pid, terminal = pty.fork()
        if not pid:
            os.execve(PYLOCK[0], [*PYLOCK, "run", "x", "--", "true"], environment(TERM=term))
        while b'"x"' not in shown:
            shown += os.read(terminal, 4096)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert (b"\x1b" in shown) == in_place


def test_exec_logs_the_grant_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    subprocess.run([*PYLOCK, "run", "--exec", f"--log={log}", "x", "--", "true"], env=environment(), check=True)
    assert [line["event"] for line in events(log)] == ["grant"]
