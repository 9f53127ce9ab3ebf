"""FLoM's command line comes out as FLoM's own: order of events, what commands are told, exit statuses."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
from command import PYLOCK, Running, environment
from command import pylock as run_pylock
from contender import waiting

import pylock
from pylock.compat import flom as names
from pylock.modes import ALL, rule_of

CODES = [rule.code for rule in ALL]


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
    assert "can never be had" in done.stderr


def test_element_of_a_set_is_the_last_argument() -> None:
    """Use cases 12 and 13."""
    assert output("-r", "red.green.blue", "--", "echo", "x") == "x red"
    with pylock.pool("red.green.blue", ["red", "green", "blue"], weight=2):
        assert output("-r", "red.green.blue", "--", "echo") == "blue"
    with pylock.pool("red.green.blue", ["red", "green", "blue"], weight=3):
        assert flom("-r", "red.green.blue", "-o", "0", "--", "echo").returncode == 98


def test_hierarchy_excludes_ancestors_and_descendants() -> None:
    """Use cases 14 and 15."""
    with pylock.path_lock("/a/b"):
        for path, expected in (("/a", 98), ("/a/b/c", 98), ("/a/b", 98), ("/a/c", 0)):
            assert flom("-r", path, "-l", "PR", "-o", "0", "--", "true").returncode == expected, path


def test_resource_that_must_not_be_created(home: Path) -> None:
    """Use cases 16 and 17."""
    assert flom("-r", "R", "-e", "no", "-o", "0", "--", "true").returncode == 96
    assert flom("-r", "R", "-e", "no", "-o", "50", "--", "true").returncode == 98
    assert flom("-r", "R", "-i", "60000", "--", "true").returncode == 0
    assert flom("-r", "R", "-e", "no", "-o", "0", "--", "true").returncode == 0


def test_sequence_value_is_the_last_argument_and_goes_back_if_transactional() -> None:
    """Use case 18; a command that a signal killed has failed too, unlike there."""
    assert [output("-r", "_s_plain[1]", "--", "echo") for _ in range(3)] == ["1", "2", "3"]
    assert flom("-r", "_s_plain[1]", "--", "false").returncode == 1
    assert output("-r", "_s_plain[1]", "--", "echo") == "5"
    assert output("-r", "_S_safe[1]", "--", "echo") == "1"
    assert flom("-r", "_S_safe[1]", "--", "false").returncode == 1
    assert flom("-r", "_S_safe[1]", "--", "sh", "-c", "kill -9 $$").returncode == -signal.SIGKILL
    assert output("-r", "_S_safe[1]", "--", "echo") == "2"


def test_timestamp_is_the_last_argument() -> None:
    """Use case 19."""
    first, second = (output("-r", "_t_%Y%m%d-%H%M%S.#ffff[1]", "--", "echo") for _ in range(2))
    assert re.fullmatch(r"\d{8}-\d{6}\.\d{4}", first)
    assert first < second
    assert flom("-r", "_t_%Y%m%d[1]", "--", "echo").returncode == 99


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
        (["--no-such-option", "--", "true"], 99),
        ([], 99),
        (["-x"], 0),
        (["-X"], 0),
        (["-d", "0"], 0),
        (["-d", "-1", "-v", "-T", "a", "-t", "b", "--", "true"], 0),
        (["-V"], 0),
        (["--signal-list"], 0),
    ],
)
def test_exit_status(words: list[str], status: int) -> None:
    assert flom(*words).returncode == status


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["-a", "host"], "NFS"),
        (["--unicast-port=28015"], "NFS"),
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


def test_socket_name_is_a_directory_of_its_own(home: Path) -> None:
    """Use cases 1 to 6 with -s: two daemons know nothing of each other."""
    socket = str(home / "socket")
    with pylock.lock("R"):
        assert flom("-s", socket, "-r", "R", "-o", "0", "--", "true").returncode == 0
    with pylock.lock("R", directory=socket):
        assert flom("-s", socket, "-r", "R", "-o", "0", "--", "true").returncode == 98
    (home / "file").touch()
    assert flom("-s", str(home / "file"), "--", "true").returncode == 99


def test_nested_command_of_the_same_resource_fails_instead_of_hanging() -> None:
    done = flom("--", *PYLOCK, "flom", "--", "true")
    assert done.returncode == 99
    assert "already runs under it" in done.stderr
    assert flom("--", *PYLOCK, "flom", "-o", "0", "--", "true").returncode == 98


def test_key_file_counts_until_the_command_line_says_otherwise(home: Path) -> None:
    (home / ".flom").write_text("# mine\n[Resource]\nName=A[3]\nQuantity=2\nTimeout=0\n[Trace]\nVerbose=yes\n")
    assert output("--", "sh", "-c", "echo $PYLOCK_NAME") == "A[3]"
    with pylock.lock("A[3]", "shared", capacity=3, weight=2):
        assert flom("--", "true").returncode == 98
        assert flom("-q", "1", "--", "true").returncode == 0
    other = home / "other"
    other.write_text("[Resource]\nName=B\nLockMode=PR\nCreate=no\nIdleLifespan=5\n")
    assert flom("-c", str(other), "--", "true").returncode == 96


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


@pytest.mark.parametrize("way", ["option", "key"])
def test_ignored_signal_to_the_group_leaves_the_lock_with_the_command(home: Path, way: str) -> None:
    """The seed's second transcript: a scheduler ends the group, and the command cleans up."""
    words = ["--ignore-signal=SIGTERM"]
    if way == "key":
        (home / ".flom").write_text("[Monitor]\nIgnoredSignals=SIGTERM;SIGHUP\n")
        words = []
    script = "trap 'echo cleaning; read line; exit 0' TERM; echo started; while :; do sleep 0.01; done"
    job = Running("flom", *words, "--", "sh", "-c", script, stdin=-1)
    assert job.line() == "started"
    job.signal_group(signal.SIGTERM)
    assert job.line() == "cleaning"
    assert flom("-o", "0", "--", "true").returncode == 98, "not let go while it cleans up"
    assert job.end()[0] == 0
    assert flom("-o", "0", "--", "true").returncode == 0


def test_without_it_the_lock_stays_too_until_the_command_has_ended() -> None:
    """The seed's first transcript, but for its defect: there the lock was free while the command cleaned up."""
    script = "trap 'echo cleaning; read line; exit 3' TERM; echo started; while :; do sleep 0.01; done"
    job = Running("flom", "--", "sh", "-c", script, stdin=-1)
    assert job.line() == "started"
    job.signal_group(signal.SIGTERM)
    assert job.line() == "cleaning"
    assert flom("-o", "0", "--", "true").returncode == 98
    assert job.end()[0] == 3


def test_verbose_and_messages_never_go_to_standard_output() -> None:
    done = flom("-v", "--", "echo", "out")
    assert done.stdout == "out\n"
    with pylock.lock("_RESOURCE"):
        assert flom("-o", "0", "--", "true").stdout == ""


def test_help_shows_every_option_once() -> None:
    text = flom("-?").stdout
    for option in ("--resource-name", "--ignore-signal", "--quiesce-exit", "--tls-certificate"):
        assert text.count(option) >= 1
    assert flom("--help").stdout == text


@pytest.mark.parametrize("name", ["1a", "a b", "a.", ".a", "/", "/a/", "a[", "a[x]", "_s_a", "_q_a[1]", "", "a..b"])
def test_what_is_no_resource_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a FLoM resource"):
        names.settings_of(name, "EX", 1)


def test_alias_needs_nothing_but_the_word(home: Path) -> None:
    (home / "alias").write_text(f'flom() {{ {" ".join(PYLOCK)} flom "$@"; }}\nflom -r stuff -- echo ok\n')
    import subprocess

    done = subprocess.run(["sh", home / "alias"], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n"
