"""The other commands, as a user types them, and what they say when the words are wrong."""

from __future__ import annotations

import grp
import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command import PYLOCK, Running, environment, pylock
from contender import Contender, until
from shells import need

import pylock as library
from pylock._cli import commands, examples, helping, manual, options, watch


def test_status_shows_holders_and_waiters_as_a_table(contenders: type[Contender]) -> None:
    holder, waiter = contenders(), contenders()
    holder.acquire("build", "shared", capacity=5, weight=2, reason="nightly")
    waiter.start_acquiring("build")
    library.define("closed", capacity=0)
    lines = pylock("status").stdout.splitlines()
    assert lines[0].split() == ["LOCK", "USED", "WHO", "MODE", "PID", "HOST", "USER", "AGE", "COMMAND", "REASON"]
    assert lines[1].startswith("build   2/5   holds     shared x2  ")
    assert str(holder.pid) in lines[1]
    assert lines[1].endswith("nightly")
    assert "waits #1  exclusive" in lines[2]
    me = library.inspect("closed").closed
    assert me is not None
    assert lines[3].split()[:5] == ["closed", "0/0", "closed", me.host, me.user]


def test_status_as_json_is_complete(contenders: type[Contender]) -> None:
    holder, waiter = contenders(), contenders()
    token = holder.acquire("x")
    waiter.start_acquiring("x", priority=3)
    (lock,) = json.loads(pylock("status", "x", "--json").stdout)["locks"]
    assert (lock["name"], lock["capacity"], lock["policy"], lock["defined"]) == ("x", None, "shared-first", False)
    assert (lock["holders"][0]["pid"], lock["holders"][0]["token"]) == (holder.pid, token)
    assert (lock["waiters"][0]["place"], lock["waiters"][0]["priority"]) == (1, 3)


def test_status_quiet_answers_with_its_exit_status(contenders: type[Contender]) -> None:
    assert pylock("status", "-q", "x").returncode == 2
    holder = contenders()
    holder.acquire("x")
    done = pylock("status", "--quiet", "x")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    holder.release()
    done = pylock("status", "-q", "x")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_status_of_an_empty_directory_says_so(directory: Path) -> None:
    assert pylock("status").stdout == f"no locks in {directory}\n"


def test_status_watch_goes_on_until_interrupted() -> None:
    running = Running("status", "--watch")
    try:
        assert running.line().startswith("no locks")
        running.signal(2)
        assert running.end()[0] == -2
    finally:
        running.close()


def test_watch_shows_as_many_lines_as_the_terminal_has_room_for() -> None:
    assert watch.cropped(["a", "b", "c"], 3) == ["a", "b", "c"]
    assert watch.cropped(["a", "b", "c", "d", "e"], 3) == ["a", "b", "... and 3 more"]


def test_set_says_what_changed_and_who_is_affected(contenders: type[Contender]) -> None:
    holder, waiter = contenders(), contenders()
    holder.acquire("x", "shared")
    change, effect, _, closed, row = pylock("set", "x", "--capacity", "0").stdout.splitlines()
    assert change == '"x": capacity unlimited -> 0 (closed)'
    assert effect == "1 holder, 0 waiters; nobody starts, the holders go on"
    assert closed.split()[:3] == ["x", "1/0", "closed"]
    assert row.split()[:3] == ["holds", "shared", str(holder.pid)]
    waiter.start_acquiring("x", "shared")
    assert pylock("set", "x", "-c", "unlimited", "--policy=fair").stdout.startswith(
        '"x": capacity 0 (closed) -> unlimited, policy shared-first -> fair\n'
    )
    assert isinstance(waiter.answer(), int)
    assert "unchanged: capacity unlimited, policy fair" in pylock("set", "x", "-c", "unlimited").stdout


def test_set_drain_returns_when_the_holders_are_gone(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x", "shared")
    running = Running("set", "x", "--capacity=0", "--drain")
    try:
        assert running.line().startswith('"x": capacity')
        assert running.process.stderr is not None
        assert running.process.stderr.readline().startswith("pylock: in ")
        assert f'waiting for 1 holder of "x", first pid {holder.pid}' in running.process.stderr.readline()
        assert running.process.poll() is None
        holder.release()
        assert running.end()[0] == 0
    finally:
        running.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another group")
def test_init_makes_a_directory_for_a_group_or_for_everybody(tmp_path: Path) -> None:
    group = grp.getgrgid(1).gr_name
    assert pylock("init", str(tmp_path / "group"), "--group", group).returncode == 0
    status = (tmp_path / "group").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o2770, 1)
    assert pylock("init", str(tmp_path / "all")).returncode == 0
    assert stat.S_IMODE((tmp_path / "all").stat().st_mode) == 0o1777
    assert pylock("init", str(tmp_path / "all"), "-g", "no-such-group").returncode == 125


def test_clean_removes_idle_files_and_keeps_the_rest(directory: Path) -> None:
    with library.lock("idle"):
        pass
    library.define("defined", capacity=1)
    with library.lock("held"):
        assert pylock("clean", "--dry-run").stdout == "would remove idle.lock\n"
        assert pylock("clean").stdout == "removed idle.lock\n"
        assert pylock("clean", str(directory)).stdout == f"nothing to remove in {directory}\n"
    assert sorted(entry.name for entry in directory.iterdir()) == ["defined.lock", "held.lock"]


def test_signals_lists_what_can_be_ignored() -> None:
    lines = pylock("signals").stdout.splitlines()
    assert " 15 SIGTERM" in lines
    assert library.signals()["SIGTERM"] == 15
    assert "SIGKILL" not in library.signals()


@pytest.mark.parametrize("words", [["--version"], ["-V"]])
def test_version(words: list[str]) -> None:
    assert pylock(*words).stdout == f"pylock {library.__version__}\n"


def test_help_without_and_with_a_command() -> None:
    assert pylock().returncode == 125
    overview = pylock("--help")
    assert overview.returncode == 0
    for command in commands.ALL:
        assert command.name in overview.stdout
        text = pylock(command.name, "--help").stdout
        for option in command.options:
            assert f"--{option.long}" in text
        assert all(len(line) <= 100 for line in text.splitlines()), command.name


def test_wrong_command_names_the_right_ones() -> None:
    done = pylock("lock", "x")
    assert done.returncode == 125
    assert done.stderr.startswith("pylock: 'lock' is not a command of pylock; use one of run, status, set")


@pytest.mark.parametrize(
    "words", [["set"], ["set", "x"], ["init"], ["status", "a", "b"], ["signals", "x"], ["set", "x", "-c", "-1"]]
)
def test_wrong_words_are_a_line_on_standard_error(words: list[str]) -> None:
    done = pylock(*words)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("pylock: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command", [command for command in commands.ALL if command.takes != options.WORDS], ids=lambda it: it.name
)
def test_every_option_is_in_an_example_that_can_be_parsed(command: options.Command) -> None:
    shown: dict[str, set[str]] = {}
    for group, found in examples.EXAMPLES.get(command.name, {}).items():
        for text, _ in found:
            words = shlex.split(text.partition(" || ")[0])
            assert words[:2] == ["pylock", command.name]
            options.parse(command, words[2:])
            shown.setdefault(group, set()).update(words)
    for option in command.options:
        if option.long != "help":
            assert shown[option.group] & {f"--{option.long}", f"-{option.short}"}, option.long


@pytest.mark.parametrize("words", [[], *([command.name] for command in commands.ALL)], ids=str)
def test_help_fits_a_terminal_of_80_columns(words: list[str]) -> None:
    assert [line for line in pylock("help", *words).stdout.splitlines() if len(line) > 79] == []


@pytest.mark.parametrize("command", commands.ALL, ids=lambda command: command.name)
def test_man_page_of_a_command_has_all_that_its_help_has(command: options.Command) -> None:
    page, help = (pylock(word, command.name).stdout for word in ("man", "help"))
    assert page.startswith(f".TH PYLOCK\\-{command.name.upper()} 1 ")
    for option in helping.in_full(command).options:
        assert option.help in help.replace("\n" + " " * 28, " ")
        assert manual.troff(option.help) in page
    for code, what in helping.in_full(command).exit_codes:
        assert f"  {code:<8}{what}" in help.replace("\n" + " " * 10, " ")
        assert rf"\fB{manual.troff(code)}\fR" in page


def test_man_page_of_pylock_names_those_of_its_commands() -> None:
    page = pylock("man").stdout
    assert page.startswith(".TH PYLOCK 1 ")
    for command in commands.ALL:
        assert rf"\fBpylock\-{command.name}\fR(1)" in page


def test_man_pages_are_rendered_without_a_complaint(tmp_path: Path) -> None:
    need("man")
    for name, text in manual.man_pages().items():
        page = tmp_path / f"{name}.1"
        page.write_text(text)
        done = subprocess.run(
            ["man", "--warnings", "--local-file", str(page)],
            env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"},
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stderr == ""
        assert f"{name} - " in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "values", "operands"),
    [
        (["-sn", "x"], {"mode": "shared", "timeout": 0.0}, ["x"]),
        (["-t5", "x"], {"timeout": 5.0}, ["x"]),
        (["-t=5", "--weight=2"], {"timeout": 5.0, "weight": 2}, []),
        (["--with", "a", "--with=b:shared"], {"others": ("a", "b:shared")}, []),
        (["--busy", "3"], {"busy_exit_code": 3}, []),
    ],
)
def test_words_are_parsed(words: list[str], values: dict[str, object], operands: list[str]) -> None:
    assert options.parse(commands.RUN, [*words, "--", "c", "-s"]) == (values, operands, ["c", "-s"])


def test_settings_come_from_files_and_the_command_line_wins(tmp_path: Path, contenders: type[Contender]) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        '[resource]\nname = "build"\nmode = "shared"\ntimeout = 0\n[monitor]\nignored_signals = ["TERM"]\n'
    )
    done = pylock("run", "--config", str(settings), "--", "sh", "-c", "echo $PYLOCK_NAME $PYLOCK_MODE")
    assert done.stdout == "build shared\n"
    done = pylock(
        "run",
        "-x",
        "y",
        "--",
        "sh",
        "-c",
        "echo $PYLOCK_NAME $PYLOCK_MODE",
        env=environment(PYLOCK_CONFIG=str(settings)),
    )
    assert done.stdout == "y exclusive\n"
    contenders().acquire("build")
    assert pylock("run", f"--config={settings}", "--", "true").returncode == 75


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[resource]\ncolour = 1\n", ":2: resource.colour is not a key of [resource]"),
        ("[resources]\n", ":1: resources is not a table of pylock"),
        ('[resource]\ntimeout = "soon"\n', ":2: resource.timeout must be a number of seconds, not 'soon'"),
        ("[monitor]\nignored_signals = 15\n", ":2: monitor.ignored_signals must be a list of signals"),
        ('[monitor]\nignored_signals = ["SIGNOT"]\n', ":2: monitor.ignored_signals must be a list of signals"),
        ('[monitor]\nignored_signals = "TERM"\n', ":2: monitor.ignored_signals must be a list of signals"),
        ('[monitor]\nwait_for = "all"\n', ":2: monitor.wait_for must be command or tree, not 'all'"),
        ('[resource]\n\nmode = "sideways"\n', ":3: resource.mode must be a mode: null, concurrent_read"),
        ("[resource]\npriority = 64\n", ":2: resource.priority must be a whole number from -63 to 63, not 64"),
        ("[resource]\nweight = 0\n", ":2: resource.weight must be a whole number from 1 on, not 0"),
        ("[resource]\ncreate = 1\n", ":2: resource.create must be true or false, not 1"),
        ('[locks.x]\npolicy = "lifo"\n', ":2: locks.x.policy must be shared-first or fair, not 'lifo'"),
        ("[locks.x]\ncapacity = -1\n", ":2: locks.x.capacity must be a whole number or"),
        ("[resource\n", "Expected ']'"),
    ],
)
def test_bad_settings_name_file_line_and_key(text: str, message: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(text)
    done = pylock("run", "--config", str(settings), "x", "--", "true")
    assert done.returncode == 125
    assert done.stderr.startswith(f"pylock: {settings}")
    assert message in done.stderr


def test_absent_named_settings_are_an_error() -> None:
    assert "No such file" in pylock("run", "--config", "/no/such/file", "x", "--", "true").stderr


def test_locks_defined_in_the_settings_are_defined_as_they_are_used(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[locks.pool]\ncapacity = 3\npolicy = "fair"\n')
    assert pylock("run", f"--config={settings}", "-s", "pool", "--", "true").returncode == 0
    definition = library.inspect("pool").definition
    assert (definition.capacity, definition.policy) == (3, "fair")


def test_read_only_directory_is_a_clear_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    done = pylock("run", "-d", str(closed), "x", "--", "true")
    assert (done.returncode, "Permission denied" in done.stderr) == (125, True)


def test_standard_output_that_nobody_reads_is_no_traceback() -> None:
    until(lambda: True)
    done = subprocess.run(
        f"'{sys.executable}' -m pylock --help | head -c 0", shell=True, capture_output=True, text=True, check=False,
        env=environment(),
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_definitions_of_the_settings_count_for_other_locks_too(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[locks.few]\ncapacity = 1\n")
    assert pylock("run", f"--config={settings}", "x", "--with", "few:shared", "--", "true").returncode == 0
    assert library.inspect("few").definition.capacity == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["status", "--watch", "--json"], "--watch shows a table; without it --json prints one look"),
        (["check", "--peer", "no-such-command host"], "--peer=no-such-command host: not a command; give what reaches"),
        (["check", "--peer", "ssh 'host"], "--peer=ssh 'host: No closing quotation"),
    ],
)
def test_words_that_make_no_sense_together_are_refused(words: list[str], message: str) -> None:
    done = pylock(*words)
    assert (done.returncode, done.stdout) == (125, "")
    assert message in done.stderr


@pytest.mark.parametrize("words", [["init", ""], ["check", ""], ["check", "--peer", ""], ["clean", ""]])
def test_empty_operand_is_refused_before_anything_is_changed(words: list[str], tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    done = pylock(*words, cwd=tmp_path)
    assert done.returncode == 125
    assert tmp_path.stat().st_mode & 0o7777 == 0o700


def test_table_shows_no_control_characters_and_no_endless_names() -> None:
    with library.lock("a\nb\x1b[31m" + "c" * 300, reason="x\ny\x1b[31m"):
        shown = pylock("status").stdout
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2
    assert max(map(len, shown.splitlines())) < 400


@pytest.mark.parametrize("words", ["path x", "set x -c 3 --drain", "status", "clean", "--help", "signals"])
def test_closed_standard_output_keeps_no_command_from_its_work(words: str) -> None:
    done = subprocess.run(f"{shlex.join([*PYLOCK])} {words} >&-", shell=True, env=environment(), stderr=-1, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
