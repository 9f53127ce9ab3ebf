"""``pylock run``: exit statuses and signals, row by row, with real processes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from command import PYLOCK, Start, environment, pylock
from contender import ROOT, Contender, until, waiting
from terminal import interactive_shell, on_terminal, read_until

import pylock as library
from pylock._file import header

READY = "echo ready; "
CLEANS_UP = "trap 'sleep 0.3; echo cleaned; exit 3' TERM; echo ready; while :; do sleep 0.01; done"


def is_free(name: str) -> bool:
    return not library.inspect(name).holders


# Exit status


@pytest.mark.parametrize("status", [0, 1, 7, 75, 125, 255])
def test_exit_status_is_the_commands_own(status: int) -> None:
    assert pylock("run", "x", "--", "sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR1])
def test_death_of_the_command_is_passed_on(number: int, tmp_path: Path) -> None:
    done = pylock("run", "x", "--", "sh", "-c", f"kill -{number} $$", cwd=tmp_path)
    assert done.returncode == -number
    assert list(tmp_path.glob("core*")) == []
    assert is_free("x")


@pytest.mark.parametrize("words", [[], ["--idle-lifespan=0"], ["--sequence"], ["--wait-for=tree"]])
@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM)])
def test_pylock_may_be_upgraded_or_removed_while_the_command_runs(
    words: list[str], script: str, status: int, start: Start, contenders: type[Contender], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "pylock", tmp_path / "pylock")
    running = start("run", *words, "x", "--", "sh", "-c", f"{READY}read go; {script}", stdin=subprocess.PIPE,
                    cwd=tmp_path, env=environment(PYTHONPATH=str(tmp_path)))  # fmt: skip
    assert running.line() == "ready"
    waiter = contenders()
    if "--sequence" not in words:
        waiter.start_acquiring("x")
        waiting("x", 1)
    shutil.rmtree(tmp_path / "pylock")
    assert running.process.stdin is not None
    running.process.stdin.write("go\n")
    assert running.end() == (status, "", "")
    if "--sequence" not in words:
        assert waiter.answer(), "the token"


@pytest.mark.parametrize("given", [{}, {"LC_CTYPE": "C.UTF-8"}])
def test_command_gets_the_locale_that_pylock_was_given(given: dict[str, str]) -> None:
    """Python adds LC_CTYPE to an environment whose locale is C, as it is under cron."""
    needed = {name: os.environ[name] for name in ("PATH", "PYLOCK_DIR")} | {"PYTHONPATH": str(ROOT)}
    done = pylock("run", "x", "--", "env", env=needed | given)
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("LC_"))
    assert shown == given


def test_many_signals_at_once_end_a_waiter_by_one_of_them(start: Start, contenders: type[Contender]) -> None:
    contenders().acquire("x")
    running = start("run", "x", "--", "true")
    waiting("x", 1)
    running.signal(signal.SIGSTOP)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCONT):
        running.signal(number)
    status, _, errors = running.end()
    assert (-status in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT), errors) == (True, "")
    assert library.inspect("x").waiters == ()


def test_waiter_whose_pylock_is_removed_says_so(start: Start, contenders: type[Contender], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pylock", tmp_path / "pylock")
    contenders().acquire("x")
    variables = environment(PYTHONPATH=str(tmp_path))
    running = start("run", "-q", "-t", "0.5", "x", "--", "true", cwd=tmp_path, env=variables)
    waiting("x", 1)
    shutil.rmtree(tmp_path / "pylock")
    status, _, errors = running.end()
    assert status == 125
    assert re.fullmatch(r"pylock: No module named .*; pylock was upgraded or removed while it waited: .*\n", errors)
    assert library.inspect("x").waiters == ()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["-n"], 75), (["-t", "0.05"], 75), (["--timeout=0"], 75), (["-n", "-E", "9"], 9), (["--skip-if-busy"], 0),
        (["--no-wait", "--busy-exit-code=1"], 1),
    ],
)  # fmt: skip
def test_busy_lock(words: list[str], status: int, contenders: type[Contender]) -> None:
    contenders().acquire("x")
    done = pylock("run", *words, "x", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (status, "")
    assert ('pylock: gave up on "x"' in done.stderr) is (status != 0)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--", "no-such-command"], 127, "no-such-command: command not found"),
        (["--", "/no/such/command"], 127, "No such file or directory"),
        (["--", "/etc/passwd"], 126, "permission denied"),
        (["--", "/tmp"], 126, "is a directory"),
        (["-w", "6", "-c", "5", "x", "--", "true"], 125, "can never be had"),
        (["x"], 125, "the command is missing"),
        (["x", "--"], 125, "the command is missing"),
        (["x", "y", "--", "true"], 125, "only one lock can be named before --"),
        (["--nonsense", "x", "--", "true"], 125, "unknown option --nonsense"),
        (["-t", "soon", "x", "--", "true"], 125, "'soon' is not a number of seconds"),
        (["-m", "strange", "x", "--", "true"], 125, "not a lock mode"),
        (["--with=y:shard", "x", "--", "true"], 125, "'shard' is not a mode; write y:shared, or y:shard:exclusive"),
        (["--ignore-signal=KILL", "x", "--", "true"], 125, "SIGKILL cannot be ignored"),
        (["--ignore-signal=SIGNONE", "x", "--", "true"], 125, "is not a signal"),
        (["--ignore-signal=RTMIN+99", "x", "--", "true"], 125, "'RTMIN+99' is not a signal"),
        (["--ignore-signal=RTMAX-", "x", "--", "true"], 125, "'RTMAX-' is not a signal"),
        (["-d", "/no/such/dir", "x", "--", "true"], 125, "lock directory does not exist"),
        (["--wait-for=all", "x", "--", "true"], 125, "--wait-for is one of command, tree"),
        (["--exec", "--new-group", "x", "--", "true"], 125, "--exec cannot be combined with --new-group"),
    ],
)
def test_failure_of_our_own(words: list[str], status: int, message: str) -> None:
    done = pylock("run", *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("pylock: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_command_is_found_out_before_waiting(contenders: type[Contender]) -> None:
    contenders().acquire("x")
    assert pylock("run", "x", "--", "no-such-command").returncode == 127


def test_script_without_interpreter_line_is_run_by_sh(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0 $1"\n')
    script.chmod(0o755)
    assert pylock("run", "x", "--", str(script), "word").stdout == f"{script} word\n"


def test_name_defaults(start: Start) -> None:
    running = start("run", "--", "sh", "-c", READY + "sleep 60")
    assert running.line() == "ready"
    assert library.inspect("default").holders[0].command == f"sh -c {READY}sleep 60"


# The command's surroundings


def test_command_is_told_its_lock(directory: Path) -> None:
    done = pylock("run", "-s", "x", "--", "sh", "-c", 'echo "$PYLOCK_NAME $PYLOCK_MODE $PYLOCK_DIR $PYLOCK_TOKEN"')
    name, mode, where, token = done.stdout.split()
    assert (name, mode, where) == ("x", "shared", str(directory))
    assert int(token) > 10**15


def test_command_has_no_descriptor_but_the_locks(directory: Path) -> None:
    listed = pylock("run", "x", "--", sys.executable, "-c", """
import os
for fd in sorted(map(int, os.listdir("/proc/self/fd"))):
    try: print(fd, os.readlink(f"/proc/self/fd/{fd}"))
    except OSError: pass
""").stdout.splitlines()  # fmt: skip
    beyond = [line.split(" ", 1)[1] for line in listed if int(line.split()[0]) > 2]
    assert beyond == [str(directory / "x.lock")]


@pytest.mark.parametrize("closed", [(0,), (1, 2), (0, 1, 2)])
def test_closed_standard_descriptors_stay_closed_and_are_no_lock(
    closed: tuple[int, ...], directory: Path, tmp_path: Path
) -> None:
    result = tmp_path / "result"
    probe = f"import os; open({str(result)!r}, 'w').write(str(os.getpid()))"
    redirect = " ".join(f"{fd}>&-" for fd in closed)
    command = f"{shlex.join([*PYLOCK, 'run', 'x', '--', sys.executable, '-c', probe])} {redirect}"
    subprocess.run(["sh", "-c", command], env=environment(), check=True, timeout=60)
    assert result.exists()
    assert (directory / "x.lock").read_text().startswith('{"pylock"')


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ([], []), ([], ["--no-wait"]), ([], ["--skip-if-busy"]), (["-s"], ["-x"]), (["-c2", "-w2"], ["-w1"]),
        (["-c2"], ["-c2", "-w2"]),
    ],
)  # fmt: skip
def test_nested_run_of_the_same_lock_fails_at_once(outer: list[str], inner: list[str]) -> None:
    done = pylock("run", *outer, "x", "--", *PYLOCK, "run", *inner, "x", "--", "true")
    assert done.returncode == 125
    assert 'would wait for ever for "x"' in done.stderr
    assert "held for it by pid" in done.stderr


def test_nested_run_for_which_the_capacity_has_room_gets_it() -> None:
    done = pylock("run", "-c2", "x", "--", *PYLOCK, "run", "-c2", "x", "--", "echo", "runs")
    assert (done.stdout, done.stderr) == ("runs\n", "")


def test_outer_run_of_a_file_that_is_about_to_go_is_passed_over(directory: Path) -> None:
    (directory / "x.lock").write_bytes(header.REMOVED)
    variables = environment(PYLOCK_HELD=f"1 PR 1 {directory / 'x.lock'}")
    assert pylock("run", "-s", "x", "--", "true", env=variables).returncode == 0


@pytest.mark.parametrize("held", ["", "\n", "² EX ² {}", "1 EX", f"{'9' * 5000} EX 1 {{}}", "-1 EX 1 {}", "x y z {}"])
def test_garbage_about_outer_runs_is_passed_over(held: str, directory: Path) -> None:
    variables = environment(PYLOCK_HELD=held.format(directory / "x.lock"))
    assert pylock("run", "x", "--", "true", env=variables).returncode == 0


def test_nested_run_of_another_or_a_compatible_lock_goes_on() -> None:
    assert pylock("run", "x", "--", *PYLOCK, "run", "y", "--", "true").returncode == 0
    assert pylock("run", "-s", "x", "--", *PYLOCK, "run", "-s", "x", "--", "true").returncode == 0


def test_daemon_that_outlived_its_lock_may_take_it_again(tmp_path: Path) -> None:
    again = shlex.join([*PYLOCK, "run", "-t", "20", "x", "--", "touch", str(tmp_path / "done")])
    pylock("run", "x", "--", "sh", "-c", f"(sleep 0.2; {again}) >/dev/null 2>&1 &")
    until((tmp_path / "done").exists)


@pytest.mark.parametrize("name", ["db:5432", "a:b", "std::vector", ":x", "x:", "app:PRD", "y:shard:exclusive"])
def test_colon_may_belong_to_the_name_of_a_lock(name: str) -> None:
    assert pylock("run", "z", "--with", name, "--", "true").returncode == 0
    assert name.removesuffix(":exclusive") in [lock.name for lock in library.status()]


def test_several_locks_are_had_together_in_any_order(start: Start) -> None:
    first = start("run", "a", "--with", "b", "--", "sh", "-c", READY + "sleep 0.2")
    assert first.line() == "ready"
    second = start("run", "b", "--with", "a:shared", "--", "sh", "-c", READY)
    assert second.line() == "ready"
    assert first.process.wait(30) == 0
    assert not is_free("a") or second.end()[0] == 0


# Signals


def test_lock_is_held_while_the_command_cleans_up_after_a_kill_of_the_group(start: Start) -> None:
    """The seed's second transcript: with --ignore-signal the lock outlives the kill."""
    first = start("run", "--ignore-signal=SIGTERM", "x", "--", "sh", "-c", CLEANS_UP)
    assert first.line() == "ready"
    second = start("run", "x", "--", "sh", "-c", "date +%s.%N")
    waiting("x", 1)
    first.signal_group(signal.SIGTERM)
    assert first.line() == "cleaned"
    ended = time.time()
    status, _, _ = first.end()
    assert status == 3
    _, started, _ = second.end()
    assert float(started) > ended - 0.1
    assert is_free("x")


def test_kill_of_the_group_without_the_option_waits_for_the_command_too(start: Start) -> None:
    """The seed's first transcript lets go at once; we hold on, and die as the command died."""
    running = start("run", "x", "--", "sh", "-c", READY + "exec sleep 60")
    assert running.line() == "ready"
    running.signal_group(signal.SIGTERM)
    assert running.end()[0] == -signal.SIGTERM
    assert is_free("x")


FENCE = signal.SIGRTMAX
COUNTS = f"""
import signal, sys
counted, fence = int(sys.argv[1]), {int(FENCE)}
signal.pthread_sigmask(signal.SIG_BLOCK, [counted, fence])
print("ready", flush=True)
count = 0
while signal.sigwait([counted, fence]) == counted:
    count += 1
    if count == 1:
        print("got it", flush=True)
print(count)
sys.exit(5)
"""
"""Counts one signal until another one comes, which is handed on after it; the higher of two that wait comes last."""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGRTMIN"])
def test_signal_to_the_supervisor_alone_is_handed_on_once(name: str, start: Start) -> None:
    number = getattr(signal, name)
    running = start("run", "x", "--", sys.executable, "-c", COUNTS, str(int(number)))
    assert running.line() == "ready"
    running.signal(number)
    assert running.line() == "got it"
    running.signal(FENCE)
    assert running.end()[:2] == (5, "1\n")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("USR1", signal.SIGUSR1),
        ("SIGRTMIN+2", signal.SIGRTMIN + 2),
        ("rtmax-1", signal.SIGRTMAX - 1),
        ("RTMAX-0", signal.SIGRTMAX),
        ("RTMIN+0", signal.SIGRTMIN),
    ],
)
def test_ignored_signal_is_swallowed_and_the_command_has_its_default(name: str, number: int, start: Start) -> None:
    running = start("run", "--ignore-signal", name, "x", "--", "sh", "-c", "echo $$; read line; exit 0",
                    stdin=subprocess.PIPE)  # fmt: skip
    child = int(running.line())
    running.signal(number)
    ignored = int(Path(f"/proc/{child}/status").read_text().split("SigIgn:")[1].split()[0], 16)
    assert not ignored & 1 << number - 1
    os.kill(child, number)
    assert running.end()[0] == -number


@pytest.mark.parametrize("words", [[], ["--new-group"]])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_ignored_signal_is_not_handed_on(name: str, words: list[str], start: Start) -> None:
    number = getattr(signal, name)
    counts = [sys.executable, "-c", COUNTS, str(int(number))]
    running = start("run", "--ignore-signal", name, *words, "x", "--", *counts)
    assert running.line() == "ready"
    running.signal(number)
    running.signal(FENCE)
    assert running.end()[:2] == (5, "0\n")


def test_new_group_gets_the_signal_once_although_the_group_was_meant(start: Start) -> None:
    running = start("run", "--new-group", "x", "--", sys.executable, "-c", COUNTS, str(int(signal.SIGTERM)))
    assert running.line() == "ready"
    running.signal_group(signal.SIGTERM)
    assert running.line() == "got it"
    running.signal(FENCE)
    assert running.end()[:2] == (5, "1\n")


AT_A_MOMENT = """
import os, signal, sys
from pylock import _cli as cli
from pylock._acquiring.claim import Claim
def strike(module, name):
    real = getattr(module, name)
    def struck(*arguments, **keywords):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **keywords)
    setattr(module, name, struck)
strike({module}, {name!r})
sys.exit(cli.main(["run", "x", "--", "sh", "-c", {script!r}]))
"""


@pytest.mark.parametrize(
    ("module", "name", "script", "status"),
    [("os", "posix_spawn", "exec sleep 60", -signal.SIGTERM), ("Claim", "release", "exit 3", 3)],
    ids=["between lock and exec", "between end and release"],
)
def test_signal_at_a_moment_between(module: str, name: str, script: str, status: int) -> None:
    """It reaches the command that is about to start, and does not change how one ended."""
    program = AT_A_MOMENT.format(module=module, name=name, script=script)
    done = subprocess.run([sys.executable, "-c", program], env=environment(), timeout=60, check=False)
    assert done.returncode == status
    assert is_free("x")


def test_second_signal_is_handed_on_too(start: Start) -> None:
    program = "trap 'trap \"echo second; exit 4\" TERM; echo first' TERM; echo ready; while :; do sleep 0.01; done"
    running = start("run", "x", "--", "sh", "-c", program)
    assert running.line() == "ready"
    running.signal(signal.SIGTERM)
    assert running.line() == "first"
    running.signal(signal.SIGTERM)
    assert running.line() == "second"
    assert running.end()[0] == 4


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
@pytest.mark.parametrize("quiet", [True, False])
def test_signal_while_waiting_leaves_the_queue_and_is_died_of(
    name: str, quiet: bool, start: Start, contenders: type[Contender], directory: Path
) -> None:
    contenders().acquire("x")
    running = start("run", *["-q"] * quiet, "x", "--", "echo", "ran")
    waiting("x", 1)
    running.signal(getattr(signal, name))
    status, output, _ = running.end()
    assert (status, output) == (-getattr(signal, name), "")
    assert [entry.name for entry in directory.iterdir()] == ["x.lock"]


def test_ignored_signal_still_ends_the_waiting(start: Start, contenders: type[Contender]) -> None:
    contenders().acquire("x")
    running = start("run", "--ignore-signal=TERM", "x", "--", "true")
    waiting("x", 1)
    running.signal(signal.SIGTERM)
    assert running.end()[0] == -signal.SIGTERM


def test_killed_supervisor_leaves_the_lock_to_its_command(start: Start) -> None:
    running = start("run", "x", "--", "sh", "-c", "echo $$; sleep 60")
    child = int(running.line())
    os.kill(running.pid, signal.SIGKILL)
    running.process.wait(30)
    assert library.lock("x").locked()
    os.killpg(running.pid, signal.SIGKILL)
    until(lambda: not library.lock("x").locked())
    assert child


def test_daemon_left_behind_does_not_keep_the_lock(start: Start) -> None:
    done = pylock("run", "x", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
    daemon = int(done.stdout)
    try:
        assert not library.lock("x").locked()
        os.kill(daemon, 0)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_wait_for_tree_holds_until_the_last_descendant_is_gone(start: Start) -> None:
    running = start(
        "run", "--wait-for=tree", "x", "--", "sh", "-c", "(exec sleep 60 >/dev/null 2>&1) & echo $!; exit 3"
    )
    descendant = int(running.line())
    assert running.process.stderr is not None
    said = running.process.stderr.readline()
    assert f"its descendants hold on: pid {descendant}" in said
    assert not is_free("x")
    os.kill(descendant, signal.SIGKILL)
    assert running.end()[0] == 3
    assert is_free("x")


def test_exec_leaves_no_supervisor_and_holds_until_the_end(start: Start) -> None:
    running = start("run", "--exec", "x", "--", "sh", "-c", "echo $$; sleep 60")
    assert int(running.line()) == running.pid
    assert library.lock("x").locked()
    running.signal_group(signal.SIGKILL)
    running.end()
    assert not library.lock("x").locked()


def test_exec_restores_signals_and_runs_scripts_as_a_shell_does(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("grep SigIgn /proc/$$/status\n")
    script.chmod(0o755)
    ignored = int(pylock("run", "--exec", "x", "--", str(script)).stdout.split()[1], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_inherited_ignored_signal_stays_ignored(start: Start) -> None:
    running = start(
        "run", "x", "--", "sh", "-c", "grep SigIgn /proc/$$/status; " + READY + "sleep 0.1",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    assert int(running.line().split()[1], 16) & 1 << signal.SIGHUP - 1
    assert running.line() == "ready"
    running.signal(signal.SIGHUP)
    assert running.end()[0] == 0


def test_ignored_sigchld_and_python_sigpipe_are_as_a_shell_has_them(start: Start) -> None:
    running = start(
        "run", "x", "--", "sh", "-c", "grep SigIgn /proc/$$/status; exit 6",
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )  # fmt: skip
    ignored = int(running.line().split()[1], 16)
    assert not ignored & 1 << signal.SIGPIPE - 1
    assert running.end()[0] == 6


def test_stopped_supervisor_holds_the_lock(start: Start) -> None:
    running = start("run", "x", "--", "sh", "-c", READY + "read line; exit 0", stdin=subprocess.PIPE)
    assert running.line() == "ready"
    running.signal(signal.SIGSTOP)
    assert running.process.stdin is not None
    running.process.stdin.close()
    running.process.stdin = None
    with pytest.raises(library.LockTimeout):
        library.lock("x").acquire(0.1)
    running.signal(signal.SIGCONT)
    assert running.end()[0] == 0
    assert is_free("x")


def test_no_zombie_is_left(start: Start) -> None:
    running = start("run", "x", "--", "sh", "-c", "echo $$")
    child = int(running.line())
    running.end()
    assert not Path(f"/proc/{child}").exists()


def test_many_supervisors_take_turns(tmp_path: Path) -> None:
    count = 200
    log = tmp_path / "log"
    children = [
        subprocess.Popen(
            [*PYLOCK, "run", "-q", "x", "--", "sh", "-c", f"echo begin >>{log}; echo end >>{log}"], env=environment()
        )
        for _ in range(count)
    ]
    assert [child.wait(100) for child in children] == [0] * count
    assert log.read_text().split() == ["begin", "end"] * count


# The waiting line and the terminal


def test_waiting_line_says_who_holds_and_where_we_stand(start: Start, contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x", reason="nightly")
    running = start("run", "x", "--", "true")
    assert running.process.stderr is not None
    line = running.process.stderr.readline()
    assert line.startswith('pylock: waiting 1 s for "x" (exclusive), place 1 of 1, held by pid ')
    assert f"pid {holder.pid} on" in line
    assert "(nightly)" in line
    holder.release()
    status, output, errors = running.end()
    assert (status, output, errors) == (0, "", "")


def test_waiting_line_on_a_narrow_terminal_tells_the_holder_too(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x" * 40)
    pid, terminal = on_terminal([*PYLOCK, "run", "x" * 40, "--", "true"])
    try:
        termios.tcsetwinsize(terminal, (24, 80))
        line = read_until(terminal, "\r\x1b[Kpylock: waiting 1 s for ") + read_until(terminal, f"pid {holder.pid}: ")
        line += read_until(terminal, "\r\x1b[K")
        line = line.split("\r\x1b[K")[1]
        assert 70 < len(line) < 78
        assert ", 1 of 1; held by pid" in line
        holder.release()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(terminal)


def test_waiter_in_the_background_leaves_the_prompt_alone(contenders: type[Contender]) -> None:
    contenders().acquire("x")
    with interactive_shell() as terminal:
        os.write(terminal, f"{shlex.join(PYLOCK)} run x -- true &\n".encode())
        seen = read_until(terminal, "pylock: waiting 1 s for ")
        while "\n" not in seen.partition("waiting 1 s")[2]:
            seen += os.read(terminal, 4096).decode()
        assert "\r\x1b[K" not in seen
        os.write(terminal, b"kill %1\n")


COUNTS_STROKES = """
import signal, sys, time
strokes = []
signal.signal(signal.SIGINT, lambda *_: strokes.append("+"))
print("ready", flush=True)
while not strokes:
    pass
print("struck", flush=True)
end = time.monotonic() + 0.2
while time.monotonic() < end:
    pass
print(*strokes, "done")
sys.exit(3)
"""
"""It does not sleep: of two strokes that come before it wakes it would see one."""
IN_PYTHON = "import sys, pylock; sys.exit(pylock.run(sys.argv[1:], 'x').exit_code)"


@pytest.mark.parametrize(
    "under_the_lock",
    [[*PYLOCK, "run", "x", "--"], [*PYLOCK, "run", "--new-group", "x", "--"], [sys.executable, "-c", IN_PYTHON]],
    ids=["command", "new group", "Python"],
)
def test_ctrl_c_reaches_the_command_once_and_the_lock_is_held_meanwhile(under_the_lock: list[str]) -> None:
    pid, terminal = on_terminal([*under_the_lock, sys.executable, "-c", COUNTS_STROKES])
    try:
        read_until(terminal, "ready")
        os.write(terminal, b"\x03")
        read_until(terminal, "struck")
        assert not is_free("x")
        assert read_until(terminal, "done").split() == ["+", "done"]
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
        assert is_free("x")
    finally:
        os.close(terminal)


def test_waiting_line_on_a_terminal_is_kept_in_place_and_wiped(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    pid, terminal = on_terminal([*PYLOCK, "run", "x", "--", "true"])
    try:
        read_until(terminal, "\r\x1b[Kpylock: waiting 1 s")
        holder.release()
        read_until(terminal, "\r\x1b[K")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(terminal)


@pytest.mark.parametrize("go_on", ["bg", "fg"])
@pytest.mark.parametrize("new_group", [[], ["--new-group"]])
def test_stopped_job_goes_on_where_the_shell_says(new_group: list[str], go_on: str, tmp_path: Path) -> None:
    """Ctrl-Z stops both, which hold on. By bg the terminal is left to the shell, which would end without it."""
    with interactive_shell() as terminal:
        # Not a shell: one that is stopped between vfork and exec never counts as stopped.
        script = tmp_path / "script.py"
        script.write_text(
            "import os, time\nprint('ready', flush=True)\n"
            f"while not os.path.exists('{tmp_path}/go'): time.sleep(0.005)\nprint('done')\n"
        )
        words = shlex.join([*PYLOCK, "run", *new_group, "x", "--", sys.executable, str(script)])
        os.write(terminal, f"{words}\n".encode())
        read_until(terminal, "ready")
        os.write(terminal, b"\x1a")
        read_until(terminal, "Stopped")
        assert library.lock("x").locked()
        os.write(terminal, f"{go_on}\n".encode())
        (tmp_path / "go").touch()
        read_until(terminal, "done")
        until(lambda: is_free("x"))
        os.write(terminal, b"echo still $((6*7))\n")
        read_until(terminal, "still 42")


def is_stopped_by_hand(pid: int) -> bool:
    os.kill(pid, signal.SIGSTOP)
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def stop_and_go_on(terminal: int) -> None:
    """Stop the job in the foreground by Ctrl-Z, and have it in the foreground again, as far as it was."""
    foreground = os.tcgetpgrp(terminal)
    os.write(terminal, b"\x1a")
    read_until(terminal, "Stopped")
    os.write(terminal, b"fg\n")
    until(lambda: os.tcgetpgrp(terminal) == foreground)


NEW_GROUP_FROM_PYTHON = "import sys, pylock; pylock.run(sys.argv[1:], 'x', new_group=True)"


@pytest.mark.parametrize(
    ("words", "redirected"),
    [
        ([*PYLOCK, "run", "--new-group", "x", "--"], "</dev/tty"),
        ([*PYLOCK, "run", "--new-group", "x", "--"], "</dev/null >/dev/null 2>&1"),
        ([sys.executable, "-c", NEW_GROUP_FROM_PYTHON], "</dev/tty"),
        ([sys.executable, "-c", NEW_GROUP_FROM_PYTHON], "</dev/null >/dev/null 2>&1"),
    ],
)
def test_command_in_its_own_group_has_the_terminal(words: list[str], redirected: str, tmp_path: Path) -> None:
    """It may read it, Ctrl-Z stops the whole job, and Ctrl-C ends the command."""
    script = tmp_path / "script.sh"
    script.write_text("read answer </dev/tty; echo heard $answer >/dev/tty; exec sleep 60\n")
    with interactive_shell() as terminal:
        os.write(terminal, f"{shlex.join(words)} sh {script} {redirected}\n".encode())
        until(lambda: not is_free("x"))
        os.write(terminal, b"word\n")
        read_until(terminal, "heard word")
        stop_and_go_on(terminal)
        os.write(terminal, b"\x03")
        until(lambda: is_free("x"))


def test_program_has_the_terminal_again_after_a_command_in_its_own_group() -> None:
    program = """
import os, pylock
pylock.run(["true"], "x", new_group=True)
before = os.listdir("/proc/self/fd")
pylock.run(["true"], "x", new_group=True)
after = os.listdir("/proc/self/fd")
print("heard", open("/dev/tty").readline().strip(), len(after) - len(before))
"""
    with interactive_shell() as terminal:
        os.write(terminal, f"{shlex.join([sys.executable, '-c', program])}\nword\n".encode())
        read_until(terminal, "heard word 0")


@pytest.mark.parametrize(
    "words", [[*PYLOCK, "run", "--new-group", "x", "--"], [sys.executable, "-c", NEW_GROUP_FROM_PYTHON]]
)
@pytest.mark.parametrize("redirected", ["", "</dev/null"])
@pytest.mark.parametrize("by_hand", [False, True])
def test_stop_that_no_shell_would_end_stops_nobody(
    by_hand: bool, words: list[str], redirected: str, tmp_path: Path
) -> None:
    """Ctrl-Z without a shell above, as under "ssh -t host pylock ...", and a stop by hand, which is ended by hand."""
    # Not a shell: one that is stopped between vfork and exec never counts as stopped.
    script = (
        "import os, sys, time; print(os.getpid(), file=open('/dev/tty', 'w'), flush=True)\n"
        f"while not os.path.exists('{tmp_path}/go'): time.sleep(0.005)\nsys.exit(5)"
    )
    inner = f"exec {shlex.join([*words, sys.executable, '-W', 'ignore', '-c', script])} {redirected}"
    pid, terminal = on_terminal(["/bin/sh", "-c", inner])
    try:
        command = int(read_until(terminal, "\n"))
        until(lambda: not is_free("x"))
        if by_hand:
            until(lambda: is_stopped_by_hand(command))
            os.kill(command, signal.SIGCONT)
        else:
            os.write(terminal, b"\x1a")
        (tmp_path / "go").touch()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (5 if "run" in words else 0)
        assert is_free("x")
    finally:
        os.close(terminal)


def test_job_stops_and_dies_while_only_descendants_are_left(tmp_path: Path) -> None:
    with interactive_shell() as terminal:
        words = [*PYLOCK, "run", "--wait-for=tree", "--new-group", "x", "--", "sh", "-c", "sleep 60 & exit 3"]
        os.write(terminal, f"{shlex.join(words)}\n".encode())
        read_until(terminal, "its descendants hold on")
        stop_and_go_on(terminal)
        assert not is_free("x")
        os.killpg(os.tcgetpgrp(terminal), signal.SIGTERM)  # Ctrl-C is ignored by what a shell starts with "&"
        until(lambda: is_free("x"))


def test_stopped_descendant_is_let_go_on_to_die_of_a_signal(start: Start) -> None:
    running = start("run", "--wait-for=tree", "x", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
    descendant = int(running.line())
    os.kill(descendant, signal.SIGSTOP)
    assert running.process.stderr is not None
    assert "descendants hold on" in running.process.stderr.readline()
    running.signal(signal.SIGTERM)
    assert running.end()[0] == 0
    assert is_free("x")


def test_background_job_with_a_group_of_its_own_reads_the_terminal_after_fg(tmp_path: Path) -> None:
    with interactive_shell() as terminal:
        script = tmp_path / "script.py"
        script.write_text("print('heard', input())\n")
        words = shlex.join([*PYLOCK, "run", "--new-group", "x", "--", sys.executable, str(script)])
        os.write(terminal, f"{words} &\n".encode())
        until(lambda: library.lock("x").locked())
        while True:  # the shell tells of the stop before a prompt
            os.write(terminal, b"jobs\n")
            if "Stopped" in read_until(terminal, "$ "):
                break
        os.write(terminal, b"fg\n")
        os.write(terminal, b"words\n")
        read_until(terminal, "heard words")


def test_stopped_command_in_its_own_group_goes_on_without_a_terminal(start: Start) -> None:
    job = start("run", "--new-group", "x", "--", "sh", "-c", "echo $$; read line; echo went on", stdin=subprocess.PIPE)
    command = int(job.line())
    os.kill(command, signal.SIGSTOP)
    until(lambda: "T (stopped)" in Path(f"/proc/{command}/status").read_text())
    os.kill(command, signal.SIGCONT)
    assert job.process.stdin is not None
    job.process.stdin.write("\n")
    job.process.stdin.flush()
    assert job.line() == "went on"
    assert job.end()[0] == 0


def test_orphans_are_reaped_while_the_command_of_a_tree_runs(start: Start) -> None:
    script = "for i in 1 2 3; do (setsid true &); done; echo ready; read line"
    job = start("run", "--wait-for", "tree", "x", "--", "sh", "-c", script, stdin=subprocess.PIPE)
    assert job.line() == "ready"

    def states() -> list[str]:
        pids = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        try:
            return [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids]
        except (FileNotFoundError, ProcessLookupError):  # reaped while we looked
            return []

    until(lambda: len(states()) == 1 and "Z" not in states())
    assert job.end()[0] in (0, 1)


def test_nested_run_is_noticed_however_the_directory_is_spelled(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(directory)
    for spelled in (f"{tmp_path}/link", f"{directory}/", f"{directory}/../{directory.name}", f"/{directory}"):
        done = pylock("run", "x", "--", *PYLOCK, "run", "-d", spelled, "x", "--", "true")
        assert done.returncode == 125, spelled
        assert "already runs under it" in done.stderr


def test_program_that_is_removed_during_the_wait_is_not_found(tmp_path: Path, start: Start) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with library.lock("x"):
        job = start("run", "-q", "x", "--", str(program))
        waiting("x", 1)
        program.unlink()
    assert job.end()[0] == 127
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    done = pylock("run", "x", "--", str(program))
    assert done.returncode == 126
    assert "its interpreter" in done.stderr
