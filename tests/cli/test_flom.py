"""FLoM's command line comes out as FLoM's own: order of events, what commands are told, exit statuses."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command import PYLOCK, Running, environment
from command import pylock as run_pylock
from contender import ROOT, waiting

import pylock
from pylock._cli.flom_options import FLOM
from pylock._modes import ALL, rule_of
from pylock._run import signals as signames
from pylock.compat import flom as names

CODES = [rule.code for rule in ALL]
KILLED = ("--", "sh", "-c", "kill -9 $$")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without a key file, in which the locks of other directories may be made."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def flom(*words: str, **options: Any) -> Any:
    return run_pylock("flom", *words, **options)


def output(*words: str) -> str:
    done = flom(*words)
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


def test_command_runs_without_any_option() -> None:
    assert output("--", "echo", "hello") == "hello"
    assert output("echo", "hello") == "hello"


@pytest.mark.parametrize("held", CODES)
def test_modes_exclude_as_in_the_published_matrix(held: str) -> None:
    """Use cases 1 to 6."""
    asked = ["PR", "EX"] if held not in ("EX", "PR", "CR") else CODES
    with pylock.lock("stuff", held):
        for mode in asked:
            expected = 0 if mode in rule_of(held).compatible else 98
            assert flom("-r", "stuff", "-o", "0", "-l", mode, "--", "true").returncode == expected, mode


def test_second_command_starts_when_the_first_has_ended() -> None:
    first = Running("flom", "--", "sh", "-c", "echo first; read line; echo done", stdin=-1)
    assert first.line() == "first"
    second = Running("flom", "--", "echo", "second")
    waiting("_RESOURCE", 1)
    assert first.process.stdin is not None
    first.process.stdin.write("\n")
    first.process.stdin.flush()
    assert first.line() == "done"
    assert second.line() == "second"
    assert [first.end()[0], second.end()[0]] == [0, 0]


def test_numeric_resource_has_so_many_units() -> None:
    """Use cases 10 and 11. A[5] and A[8] are two resources."""
    with pylock.lock("A[5]", "shared", capacity=5, weight=4):
        assert flom("-r", "A[5]", "-q", "2", "-o", "0", "--", "true").returncode == 98
        assert flom("-r", "A[5]", "-q", "1", "-o", "0", "--", "true").returncode == 0
        assert flom("-r", "A[8]", "-q", "8", "-o", "0", "--", "true").returncode == 0


def test_more_than_there_is_is_impossible_at_once() -> None:
    done = flom("-r", "A[5]", "-q", "6", "--", "true")
    assert done.returncode == 99
    sentence, reason = done.stderr.splitlines()
    assert sentence == "Resource will never satisfy the request, the lock cannot be obtained"
    assert "can never be had" in reason
    pylock.define("A[5]", capacity=2)
    assert flom("-r", "A[5]", "-q", "3", "--", "true").stderr.startswith(sentence)


@pytest.mark.parametrize("name", ["a[0]", "_s_a[0]", "_S_a[0]", "_t_%S[0]"])
def test_nothing_of_something_is_impossible_at_once(name: str) -> None:
    done = flom("-r", name, "--", "true")
    assert done.returncode == 99
    assert "can never be had" in done.stderr


def test_element_of_a_set_is_the_last_argument() -> None:
    """Use cases 12 and 13."""
    assert output("-r", "red.green.blue", "--", "echo", "x") == "x red"
    with pylock.pool("red.green.blue", ["red", "green", "blue"], weight=2):
        assert output("-r", "red.green.blue", "--", "echo") == "blue"
    with pylock.pool("red.green.blue", ["red", "green", "blue"], weight=3):
        assert flom("-r", "red.green.blue", "-o", "0", "--", "echo").returncode == 98


def test_set_rotates_as_long_as_it_exists() -> None:
    assert [output("-r", "a.b.c", "--", "echo") for _ in range(2)] == ["a", "a"]
    assert [output("-r", "d.e.f", "-i", "60000", "--", "echo") for _ in range(2)] == ["d", "e"]
    assert [output("-r", "d.e.f", "--", "echo") for _ in range(2)] == ["f", "d"]


def test_set_with_a_name_twice_is_refused() -> None:
    done = flom("-r", "a.b.a", "--", "true")
    assert done.returncode == 99
    assert "must differ" in done.stderr


@pytest.mark.parametrize("long", names.LONG_MODES)
def test_modes_have_long_names(long: str, home: Path) -> None:
    code = names.MODES[names.LONG_MODES.index(long)]
    expected = f"[Resource]/LockMode={CODES.index(code)}"
    assert expected in output("-V", "-l", long.upper(), "--", "true").splitlines()
    (home / ".flom").write_text(f"[Resource]\nLockMode={long}\n")
    held = "CR" if code in ("PW", "EX") else "NL"
    with pylock.lock("_RESOURCE", held):
        assert flom("-o", "0", "--", "true").returncode == (98 if code == "EX" else 0)
    assert expected in output("-V", "--", "true").splitlines()


@pytest.mark.parametrize(
    "path", ["/a_b", "/a-b", "/srv/my-file.txt", "/1", "/a b", "/a[3]", "/a[0]", "/..", "/a/.", "/ä/\udcff"]
)
def test_levels_of_a_hierarchy_may_be_anything_but_slashes(path: str) -> None:
    assert output("-r", path, "--", "echo", "ok") == "ok"
    assert names.settings_of(path, "PR", 1) == {"tree": path, "whole_tree_exists": True, "mode": "PR"}
    with pylock.path_lock("/a b") if path == "/a b" else pylock.path_lock("/"):
        assert flom("-r", path, "-o", "0", "--", "true").returncode == 98


def test_existence_and_idle_life_are_those_of_the_whole_hierarchy() -> None:
    assert flom("-r", "/bar", "-i", "60000", "--", "true").returncode == 0
    assert flom("-r", "/foo", "-e", "no", "-o", "0", "--", "true").returncode == 96
    assert flom("-r", "/bar/a/b", "-e", "no", "-o", "0", "--", "true").returncode == 0
    assert flom("-r", "/foo/a", "-i", "60000", "--", "true").returncode == 0
    assert flom("-r", "/foo", "-e", "no", "-o", "0", "--", "true").returncode == 0


@pytest.mark.parametrize("name", ["R", "R[3]", "a.b", "/a/b", "_s_a[1]", "_S_a[1]", "_t_%S#ffffff[1]"])
def test_each_use_renews_the_idle_life(name: str) -> None:
    """One that says nothing of it, too; the longest counts."""
    top = "/a" if name.startswith("/") else name
    words = ("-r", name, "--", "true")
    began = time.time()
    assert flom("-i", "60000", *words).returncode == 0
    first = end_of_idle_life(top)
    assert began + 60 <= first <= time.time() + 60
    for more in ([], ["-i", "10"], ["-e", "no"]):
        again = time.time()
        assert flom(*more, *words).returncode == 0
        assert end_of_idle_life(top) >= again + 60


def end_of_idle_life(name: str) -> float:
    """Of a lock that nobody uses, in seconds since 1970."""
    line = re.findall(rb'{"until":(\d+)', Path(pylock.inspect(name).path).read_bytes())
    return int(line[0]) / 1e6


def test_hierarchy_excludes_ancestors_and_descendants() -> None:
    """Use cases 14 and 15."""
    with pylock.path_lock("/a/b"):
        for path, expected in (("/a", 98), ("/a/b/c", 98), ("/a/b", 98), ("/a/c", 0)):
            assert flom("-r", path, "-l", "PR", "-o", "0", "--", "true").returncode == expected, path


def test_resource_that_must_not_be_created(home: Path) -> None:
    """Use cases 16 and 17."""
    done = flom("-r", "R", "-e", "no", "-o", "0", "--", "true")
    assert done.returncode == 96
    assert done.stderr.startswith("The resource could be available in the future, but the requester can't wait\n")
    assert flom("-r", "R", "-e", "no", "-o", "50", "--", "true").returncode == 98
    assert flom("-r", "R", "-i", "60000", "--", "true").returncode == 0
    assert flom("-r", "R", "-e", "no", "-o", "0", "--", "true").returncode == 0


def test_sequence_value_is_the_last_argument_and_goes_back_if_transactional() -> None:
    """Use case 18; the number of a command that a signal killed goes back too, unlike there."""
    assert [output("-r", "_s_plain[1]", "--", "echo") for _ in range(3)] == ["1", "2", "3"]
    assert flom("-r", "_s_plain[1]", "--", "false").returncode == 1
    assert output("-r", "_s_plain[1]", "--", "echo") == "5"
    assert output("-r", "_S_safe[1]", "--", "echo") == "1"
    assert flom("-r", "_S_safe[1]", "--", "false").returncode == 1
    assert flom("-r", "_S_safe[1]", *KILLED).returncode == 0
    assert output("-r", "_S_safe[1]", "--", "echo") == "2"


def test_numbers_that_went_back_come_lowest_first() -> None:
    holders = [pylock.sequence("_S_a[3]", capacity=3, transactional=True).acquire() for _ in range(3)]
    for place in (2, 0, 1):
        holders[place].rollback()
    assert [output("-r", "_S_a[3]", "--", "echo") for _ in range(4)] == ["1", "2", "3", "4"]


def test_timestamp_is_the_last_argument() -> None:
    """Use case 19."""
    first, second = (output("-r", "_t_%Y%m%d-%H%M%S#ffff[1]", "--", "echo") for _ in range(2))
    assert re.fullmatch(r"\d{8}-\d{6}\.\d{4}", first)
    assert first < second
    assert flom("-r", "_t_%Y%m%d[1]", "--", "echo").returncode == 99


@pytest.mark.parametrize(
    ("format", "form"),
    [
        ("bar:%S#fff", r"bar:\d\d\.\d{3}"),
        ("%S.#fff", r"\d\d\.\.\d{3}"),
        ("%S#f", r"\d\d\.\d"),
        ("%S#ffffff", r"\d\d\.\d{6}"),
    ],
)
def test_fraction_begins_with_its_dot(format: str, form: str) -> None:
    assert re.fullmatch(form, output("-r", f"_t_{format}[1]", "--", "echo"))


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--", "false"], 1),
        (["--", "sh", "-c", "exit 42"], 42),
        (["--", "no-such-program"], 97),
        (["-r", "bad name", "--", "true"], 99),
        (["-r", "a[0]", "-q", "1", "-o", "0", "--", "true"], 99),
        (["-l", "XX", "--", "true"], 99),
        (["-o", "soon", "--", "true"], 99),
        (["-e", "perhaps", "--", "true"], 99),
        (["-e", "nobody", "--", "true"], 99),
        (["-l", "the PR mode", "--", "true"], 99),
        (["--no-such-option", "--", "true"], 99),
        ([], 97),
        (["-V"], 97),
        (["-x"], 0),
        (["-X"], 0),
        (["-d", "5000"], 97),
        (["-d", "0", "--", "true"], 0),
        (["-d", "-1", "-V", "-T", "a", "-t", "b", "--append-trace-file=yes", "--", "true"], 0),
        (["-v"], 0),
        (["--signal-list"], 0),
        (["--help-all"], 0),
        (["-r", "_RESOURCE", "--", "true"], 99),
        (["-q", "0", "-r", "a[5]", "--", "true"], 0),
        (["-q", "-3", "-r", "a[5]", "--", "true"], 0),
        (["-i", "0", "--", "true"], 0),
        (["-i", "-100", "--", "true"], 0),
        (["-o", "0x10", "--", "true"], 0),
        (["-o", "010", "--", "true"], 0),
        (["-o", "09", "--", "true"], 99),
        (["-o", "2147483647", "--", "true"], 0),
        (["-o", "2147483648", "--", "true"], 99),
        (["-r", "a[2147483647]", "--", "true"], 0),
        (["-r", "_s_a[2147483647]", "--", "true"], 0),
        (["-r", "a[2147483648]", "--", "true"], 99),
        (["-r", f"a[{'9' * 5000}]", "--", "true"], 99),
        (["-q", "9" * 5000, "-r", "a[5]", "--", "true"], 99),
        (["-r", "_t_%Y[1]", "--", "true"], 99),
        (["-s", "", "--", "true"], 0),
        (["-c", "/nowhere", "--", "true"], 99),
        (["-c", "/", "--", "true"], 99),
    ],
)
def test_exit_status(words: list[str], status: int) -> None:
    done = flom(*words)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 600


def test_zero_quantity_and_zero_idle_life_say_nothing(home: Path) -> None:
    (home / ".flom").write_text("[Resource]\nName=a[5]\nQuantity=3\nIdleLifespan=70\n")
    printed = output("-V", "-q", "0", "-i", "0", "--", "true").splitlines()
    assert {"[Resource]/Quantity=3", "[Resource]/IdleLifespan=70"} <= set(printed)
    assert "[Resource]/IdleLifespan=90" in output("-V", "-i", "-90", "--", "true").splitlines()
    done = flom("-V", "-q", "-2", "--", "true")
    assert "-2 is less than nothing" in done.stderr
    assert "[Resource]/Quantity=3\n" in done.stdout


def test_killed_command_is_no_failure() -> None:
    done = flom(*KILLED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "killed by SIGKILL" in flom("-V", *KILLED).stderr


def test_killed_command_is_a_failure_where_the_site_says_so(home: Path) -> None:
    keys = home / "keys"
    keys.write_text("[Monitor]\nKilledIsFailure=yes\n")
    assert flom("-c", str(keys), *KILLED).returncode == -signal.SIGKILL
    (home / ".flom").write_text(keys.read_text())
    script = f"{shlex.join(PYLOCK)} flom -- sh -c 'kill -9 $$'; exit $?"
    assert subprocess.run(["sh", "-c", script], env=environment(), check=False).returncode == 137


def test_signal_to_flom_and_its_command_ends_both_alike() -> None:
    job = Running("flom", "--", "sh", "-c", "echo started; exec sleep 60")
    assert job.line() == "started"
    job.signal(signal.SIGTERM)
    assert job.end()[0] == -signal.SIGTERM


@pytest.mark.parametrize("name", ["SIGXXXX", "SIGKILL", "STOP", "0", "-1", "65", "", "9" * 5000, "²"])
def test_signal_that_cannot_be_ignored_is_told_of_and_passed_over(name: str, home: Path) -> None:
    done = flom(f"--ignore-signal={name}", "--ignore-signal=TERM", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "--ignore-signal is passed over" in done.stderr
    assert run_pylock("run", f"--ignore-signal={name}", "x", "--", "true").returncode == 125
    (home / ".flom").write_text(f"[Monitor]\nIgnoredSignals=SIGHUP;{name}\n")
    assert output("--", "echo", "ran") == "ran"


def test_signal_list_has_all_that_can_be_ignored() -> None:
    listed = dict(line.split()[::-1] for line in output("--signal-list").splitlines())
    assert {"SIGTERM", "SIGHUP", "SIGRTMIN+1"} <= set(listed)
    assert not {"SIGKILL", "SIGSTOP"} & set(listed)
    for name, number in listed.items():
        assert names_a_signal(name)
        assert names_a_signal(number)
    assert flom("--ignore-signal=RTMIN+1", "--ignore-signal=TERM", "--", "true").stderr == ""


def names_a_signal(text: str) -> bool:
    return signames.ignorable(text) in signal.valid_signals()


def test_busy_and_timed_out_are_said_in_the_words_of_flom_and_then_in_ours() -> None:
    with pylock.lock("_RESOURCE"):
        busy, late = flom("-o", "0", "--", "true"), flom("-o", "100", "--", "true")
    assert busy.stderr.startswith("Resource already locked, the lock cannot be obtained\npylock: ")
    assert late.stderr.startswith(
        "The lock was not obtained because timeout (100 milliseconds) expired\npylock: gave up on"
    )
    waited = re.search(r"after (\d+\.\d) s", late.stderr)
    assert waited
    assert 0.1 <= float(waited[1]) < 5
    for done in (busy, late):
        assert "held by pid" in done.stderr
        assert done.returncode == 98


def test_missing_command_is_said_in_the_words_of_flom() -> None:
    assert flom("-d", "0").stderr.startswith("No command to execute!\n")


def test_verbose_prints_the_settings_in_the_order_of_flom(home: Path) -> None:
    (home / ".flom").write_text("[Trace]\nDaemonTraceFile=/tmp/d\n[Monitor]\nIgnoredSignals=SIGHUP;SIGTERM\n")
    words = ("-T", "/tmp/c", "-r", "a.b", "-o", "-100", "-e", "no", "-i", "60000", "-d", "231")
    assert flom("-r", "a.b", "-i", "60000", "--", "true").returncode == 0
    printed = flom("--verbose", *words, "--", "echo", "out").stdout.splitlines()
    assert printed[-2:] == ["Locked element is 'b'", "out b"]
    groups = [line.partition("/")[0] for line in printed[:-2]]
    order = ["[Trace]", "[Resource]", "[Daemon]", "[Monitor]", "[Network]", "[TLS]"]
    assert list(dict.fromkeys(groups)) == order
    assert groups == sorted(groups, key=order.index)
    assert printed[:10] == [
        "[Trace]/DaemonTraceFile='/tmp/d'", "[Trace]/CommandTraceFile='/tmp/c'", "[Trace]/AppendTraceFile=0",
        "[Trace]/Verbose=1", "[Resource]/Name='a.b'", "[Resource]/Timeout=-100", "[Resource]/Quantity=1",
        "[Resource]/LockMode=5", "[Resource]/Create=0", "[Resource]/IdleLifespan=60000",
    ]  # fmt: skip
    assert "[Daemon]/Lifespan=231" in printed
    assert "[Monitor]/IgnoredSignals='SIGHUP;SIGTERM'" in printed
    assert "[Daemon]/UnicastPort=28015" in printed


def test_settings_are_printed_before_the_command_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    assert flom("-V", "--", "echo", "out").stdout.endswith("\n[TLS]/TlsCheckPeerId=0\nout\n")


def test_version_is_asked_for_by_a_small_letter() -> None:
    done = flom("-v", "--", "echo", "not run")
    assert done.stdout.startswith("pylock ")
    assert "not run" not in done.stdout
    assert flom("--version").stdout == done.stdout


def test_what_has_no_effect_is_told_of_only_if_verbose() -> None:
    words = ("-r", "a[5]", "-l", "PR", "--", "true")
    assert flom(*words).stderr == ""
    assert "LockMode is passed over: a[5] has none" in flom("-V", *words).stderr
    assert "Quantity is passed over: R has none" in flom("-V", "-r", "R", "-q", "2", "--", "true").stderr


def test_reader_that_has_gone_ends_flom_before_the_command(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PYLOCK, "flom", "-V", "--", "touch", tmp_path / "made"], env=environment(), stdout=writing, check=False
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == -signal.SIGPIPE
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["-a", "host"], "NFS"),
        (["--unicast-port=28016"], "NFS"),
        (["--discovery-ttl", "4"], "NFS"),
        (["--tls-check-peer-id", "yes"], "permissions"),
        (["-A", "224.0.0.1"], "NFS"),
        (["-n", "eth0"], "NFS"),
        (["--tls-certificate", "x"], "permissions"),
        (["-m", "/mnt"], "pylock status"),
        (["--unique-id"], "permissions"),
    ],
)
def test_what_is_not_here_says_what_to_use_instead(words: list[str], instead: str) -> None:
    done = flom(*words, "--", "true")
    assert done.returncode == 99
    assert instead in done.stderr


def test_what_is_not_here_may_have_its_default_value(home: Path) -> None:
    words = "-p 28015 -P 28015 -D 2 -I 500 --discovery-ttl=1 --tcp-keepalive-time=60 --tcp-keepalive-intvl=10"
    words += (
        " --tcp-keepalive-probes=6 --tls-check-peer-id=no --network-interface= --unicast-address= --tls-certificate="
    )
    assert output(*words.split(), "--", "echo", "ran") == "ran"
    (home / ".flom").write_text(
        "[Daemon]\nUnicastPort=28015\nMulticastPort=28015\n[Network]\nDiscoveryAttempts=2\nDiscoveryTimeout=500\n"
        "DiscoveryTTL=1\nTcpKeepaliveTime=60\nTcpKeepaliveIntvl=10\nTcpKeepaliveProbes=6\n[TLS]\nTlsCheckPeerId=no\n"
    )
    assert output("--", "echo", "ran") == "ran"


def test_socket_name_is_a_directory_of_its_own(home: Path) -> None:
    """Use cases 1 to 6 with -s: two daemons know nothing of each other."""
    socket = str(home / "socket")
    with pylock.lock("R"):
        assert flom("-s", socket, "-r", "R", "-o", "0", "--", "true").returncode == 0
    with pylock.lock("R", directory=socket):
        assert flom("-s", socket, "-r", "R", "-o", "0", "--", "true").returncode == 98
    assert Path(socket).stat().st_mode & 0o777 == 0o700
    (home / "file").touch()
    assert flom("-s", str(home / "file"), "--", "true").returncode == 99


def test_nested_command_of_the_same_resource_fails_instead_of_hanging() -> None:
    done = flom("--", *PYLOCK, "flom", "--", "true")
    assert done.returncode == 99
    assert "already runs under it" in done.stderr
    assert flom("--", *PYLOCK, "flom", "-o", "0", "--", "true").returncode == 98


def test_key_file_counts_until_the_command_line_says_otherwise(home: Path) -> None:
    (home / ".flom").write_text("# mine\n[Resource]\nName=A[3]\nQuantity=2\nTimeout=0\n[Trace]\nVerbose=yes\n")
    assert output("--", "sh", "-c", "echo $PYLOCK_NAME").splitlines()[-1] == "A[3]"
    with pylock.lock("A[3]", "shared", capacity=3, weight=2):
        assert flom("--", "true").returncode == 98
        assert flom("-q", "1", "--", "true").returncode == 0
    other = home / "other"
    other.write_text("[Resource]\nName=B\nLockMode=PR\nCreate=no\nIdleLifespan=5\n")
    assert flom("-c", str(other), "--", "true").returncode == 96


def test_key_file_may_have_spaces_and_comments(home: Path) -> None:
    (home / ".flom").write_text("\n # mine\n  [Resource]\n  Name = A[3]\n\tQuantity =2\n\n  # two\nTimeout= 70 \n")
    expected = {"[Resource]/Name='A[3]'", "[Resource]/Quantity=2", "[Resource]/Timeout=70"}
    assert expected <= set(output("-V", "--", "true").splitlines())


def test_timeout_for_ever_wins_over_a_key_file(home: Path) -> None:
    (home / ".flom").write_text("[Resource]\nTimeout=0\n")
    assert "[Resource]/Timeout=-1" in output("-V", "-o", "-1", "--", "true").splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Resource]\nNmae=A\n", r"\[Resource\] Nmae is not a key of FLoM"),
        ("[Resource]\nQuantity=two\n", r"\[Resource\] Quantity: 'two' is not a whole number"),
        ("[Network]\nNetworkInterface=eth0\n", r"\[Network\] NetworkInterface: .*NFS"),
        ("[Daemon]\nUnicastAddress=host\n", r"UnicastAddress: .*NFS"),
        ("[TLS]\nTlsCertificate=x\n", "TlsCertificate: .*permissions"),
        ("Name=A\n", "no section headers"),
    ],
)
def test_bad_key_file_is_named_with_its_key(home: Path, text: str, message: str) -> None:
    path = home / "keys"
    path.write_text(text)
    done = flom("-c", str(path), "--", "true")
    assert done.returncode == 99
    assert re.search(re.escape(str(path)) + ": .*" + message, done.stderr) or re.search(message, done.stderr)
    assert str(path) in done.stderr


def test_network_keys_without_a_value_are_no_matter(home: Path) -> None:
    (home / ".flom").write_text("[Network]\nNetworkInterface=\n[TLS]\n[Daemon]\nLifespan=5000\nMountPointVFS=\n")
    assert flom("--", "true").returncode == 0


def test_messages_go_to_standard_error() -> None:
    with pylock.lock("_RESOURCE"):
        done = flom("-o", "0", "--", "true")
    assert done.stdout == ""
    assert done.stderr


def test_help_shows_every_option_once() -> None:
    text = flom("-?").stdout
    for option in ("--resource-name", "--ignore-signal", "--quiesce-exit", "--tls-certificate"):
        assert text.count(option) >= 1
    assert flom("--help").stdout == text


@pytest.mark.parametrize(
    "name",
    ["1a", "a b", "a.", ".a", "/", "/a/", "//a", "/a//b", "/a\nb", "a[", "a[x]", "a[²]", "_s_a", "_q_a[1]", "", "a..b"],
)
def test_what_is_no_resource_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a FLoM resource"):
        names.settings_of(name, "EX", 1)


# The executable


@pytest.fixture
def executable(home: Path) -> Path:
    """A flom that was installed."""
    tools = home / "my tools"
    tools.mkdir()
    assert output("--install", str(tools)) == f"wrote {tools}/flom"
    return tools / "flom"


def test_executable_works_from_cron(executable: Path, home: Path) -> None:
    """With nothing of what a login sets; another directory and shell, no terminal."""
    line = f"'{executable}' -s '{home}/locks of cron' -r stuff -- sh -c 'echo $0 $PYLOCK_NAME' ok"
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(home), "SHELL": "/bin/sh", "LOGNAME": "root"}
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=bare, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("ok stuff\n", "")


def test_executable_is_found_by_scripts_and_imports_nothing_from_where_they_run(
    executable: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for module in ("pylock", "re", "os", "signal"):
        (here / f"{module}.py").write_text("raise SystemExit('strange code')\n")
        (executable.parent / f"{module}.py").write_text("raise SystemExit('strange code')\n")
    script = here / "nightly"
    script.write_text("#!/bin/sh\nflom -r stuff -- echo ok\nflom -o 0 -- flom -o 0 -- true || echo $?\n")
    script.chmod(0o755)
    variables = {"PATH": f"{executable.parent}:{os.environ['PATH']}", "PYLOCK_DIR": os.environ["PYLOCK_DIR"]}
    done = subprocess.run([script], env=variables, cwd=here, capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n98\n"


def test_executable_finds_an_interpreter_whose_path_has_spaces(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "My Job's venv"
    place.mkdir()
    (place / "python").symlink_to(sys.executable)
    subprocess.run([place / "python", "-m", "pylock", "flom", "--install", place], env=environment(), check=True)
    done = subprocess.run([place / "flom", "-v"], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pylock ")


def test_install_replaces_its_own_executable_and_no_other(executable: Path, home: Path) -> None:
    before = executable.stat().st_ino
    assert flom("--install", str(executable.parent), umask=0o077).returncode == 0
    assert executable.stat().st_ino != before
    assert executable.stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in executable.parent.iterdir()] == ["flom"]
    executable.write_text("#!/bin/sh\necho the real one\n")
    done = flom("--install", str(executable.parent))
    assert done.returncode == 99
    assert "not written by pylock" in done.stderr
    assert "the real one" in executable.read_text()
    executable.unlink()
    executable.symlink_to(home / "nowhere")
    assert flom("--install", str(executable.parent)).returncode == 99
    assert flom("--install", str(home / "nowhere")).returncode == 99


# The page


PAGE = (ROOT / "docs" / "reference" / "flom.md").read_text()


def rows() -> list[list[str]]:
    table = PAGE.partition("| FLoM |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in table]


def test_every_row_of_the_page_has_a_verdict_and_a_test() -> None:
    pages = [path.read_text() for path in Path(__file__).parent.parent.glob("*/test_*.py")]
    tests = set(re.findall(r"^def (test_\w+)", "\n".join(pages), re.MULTILINE))
    assert len(rows()) > 40
    for row in rows():
        assert len(row) == 4, row
        assert row[2].split(":")[0] in ("same", "better", "not"), row
        named = re.findall(r"`(test_\w+)`", row[3])
        assert named, row
        assert set(named) <= tests, row


def test_every_option_is_on_the_page() -> None:
    for option in FLOM.options:
        assert f"--{option.long}" in PAGE, option.long
        assert not option.short or f"`-{option.short}" in PAGE or f" -{option.short}" in PAGE, option.short


def test_every_key_is_on_the_page() -> None:
    for key in names.KEYS:
        assert key.name in PAGE, key.name
