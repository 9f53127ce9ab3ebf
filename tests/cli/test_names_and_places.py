"""One name is one lock, and one directory is meant, however a command is told of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from command import PYLOCK, environment, pylock

import pylock as library

NAME = "Büro-Ü"
BYTES = os.fsencode(NAME)
NO_UTF8 = b"caf\xe9"


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of locales with one in ISO-8859-1."""
    place = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None:
        pytest.skip("this machine cannot make a locale")
    made = place / "en_US.ISO-8859-1"
    subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(made)], capture_output=True, check=False)
    if not (made / "LC_CTYPE").exists():
        pytest.skip("this machine has no sources of locales")
    return place


@pytest.fixture(params=["C", "C.UTF-8", "en_US.ISO-8859-1"])
def surroundings(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of each locale."""
    if request.param != "en_US.ISO-8859-1":
        return environment(LC_ALL=request.param)
    return environment(LC_ALL=request.param, LOCPATH=str(request.getfixturevalue("locales")))


def run(surroundings: dict[str, str], *words: str | bytes) -> bytes:
    done = subprocess.run([*PYLOCK, *words], env=surroundings, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_locale_is_another_one_indeed(locales: Path) -> None:
    """Else the tests below would prove nothing."""
    seen = run_python(environment(LC_ALL="en_US.ISO-8859-1", LOCPATH=str(locales)))
    assert seen.split() == ["iso8859-1", "'B\\xc3\\xbcro-\\xc3\\x9c'"]


def run_python(surroundings: dict[str, str]) -> str:
    program = "import sys; print(sys.getfilesystemencoding(), ascii(sys.argv[1]))"
    return subprocess.run(
        [PYLOCK[0], "-c", program, BYTES], env=surroundings, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("name", [BYTES, NO_UTF8], ids=["UTF-8", "other bytes"])
def test_a_name_is_its_bytes_in_every_locale(name: bytes, surroundings: dict[str, str]) -> None:
    text = name.decode("utf-8", "surrogateescape")
    told = run(surroundings, "run", b"--reason=" + name, name, b"--with", name + b"2:shared", b"--",
               "sh", "-c", 'printf "%s" "$PYLOCK_NAME"')  # fmt: skip
    assert told == name
    run(surroundings, "set", name + b"3", "--capacity", "2")
    assert sorted(lock.name for lock in library.status()) == [text, text + "2", text + "3"]
    with library.lock(text, timeout=0):
        held = subprocess.run([*PYLOCK, "status", "-q", name], env=surroundings, capture_output=True, check=False)
        assert held.returncode == 1


def test_paths_elements_and_reasons_are_their_bytes_in_every_locale(surroundings: dict[str, str]) -> None:
    run(surroundings, "run", b"--tree=/" + BYTES + b"/x", "--", "true")
    assert "/" + NAME in [lock.name for lock in library.status()]
    given = run(surroundings, "run", b"--any-of=" + BYTES + b",b", "pool", "--",
                "sh", "-c", 'printf "%s" "$PYLOCK_ELEMENT"')  # fmt: skip
    assert given == BYTES
    assert library.inspect("pool").definition.elements == (NAME, "b")
    run(surroundings, "set", b"other", b"--elements=c," + BYTES)
    assert library.inspect("other").definition.elements == ("c", NAME)
    shown = run(surroundings, "run", b"--reason=" + BYTES, "x", "--", *PYLOCK, "status", "--json", "x")
    assert rb'"reason": "B\u00fcro-\u00dc"' in shown


def test_names_in_settings_are_the_same_in_every_locale(surroundings: dict[str, str], tmp_path: Path) -> None:
    directory = tmp_path / NAME
    directory.mkdir(mode=0o700)
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[resource]\nname = "{NAME}"\ndirectory = "{directory}"\n', encoding="utf-8")
    told = run(surroundings, "run", f"--config={settings}", "--", "sh", "-c", 'printf "%s" "$PYLOCK_NAME"')
    assert told == BYTES
    assert [lock.name for lock in library.status(directory)] == [NAME]


def test_names_are_completed_as_their_bytes(surroundings: dict[str, str]) -> None:
    name = "café"  # of which no byte is a control character in ISO-8859-1
    library.define(name, capacity=1)
    assert run(surroundings, "completion", "--answer", "--", "status", "").split() == [b"words", name.encode()]
    assert run(surroundings, "completion", "--line", "pylock status caf", "--", " =:").split() == [
        b"words", b"caf\xc3\xa9",
    ]  # fmt: skip


def test_a_holder_shows_its_command_as_its_bytes(surroundings: dict[str, str]) -> None:
    program = "import pylock; lock = pylock.lock('x').acquire(); print(ascii(pylock.inspect('x').holders[0].command))"
    shown = subprocess.run(
        [PYLOCK[0], "-c", program, BYTES], env=surroundings, capture_output=True, text=True, check=True
    ).stdout
    assert ascii(NAME).strip("'") in shown


def test_flom_names_a_path_by_its_bytes(surroundings: dict[str, str]) -> None:
    run(surroundings, "flom", "-r", b"/" + BYTES, "--", "true")
    assert "/" + NAME in [lock.name for lock in library.status()]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def of_settings(elsewhere: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose settings name a directory."""
    settings = tmp_path / "home/.config/pylock/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[resource]\ndirectory = "{elsewhere}"\n')
    return environment(HOME=str(tmp_path / "home"))


def test_directory_of_the_settings_counts_for_every_command(elsewhere: Path, of_settings: dict[str, str]) -> None:
    said = pylock("set", "maintain", "--capacity", "0", env=of_settings)
    assert f"pylock: in {elsewhere}, by " in said.stderr
    assert ".config/pylock/config.toml" in said.stderr
    assert library.inspect("maintain", elsewhere).definition.capacity == 0
    assert pylock("run", "-n", "maintain", "--", "true", env=of_settings).returncode == 75
    shown = pylock("status", env=of_settings)
    assert "maintain" in shown.stdout
    assert f"pylock: in {elsewhere}, by " in shown.stderr
    assert str(elsewhere) in pylock("check", env=of_settings).stdout
    assert pylock("completion", "--answer", "--", "status", "", env=of_settings).stdout == "words\nmaintain\n"
    assert str(elsewhere) in pylock("clean", env=of_settings).stdout
    assert library.status() == ()


def test_option_goes_before_settings_and_those_before_the_variable(
    directory: Path, of_settings: dict[str, str]
) -> None:
    shown = pylock("status", "-d", str(directory), env=of_settings)
    assert shown.stderr == f"pylock: in {directory}, by -d\n"
    assert pylock("status").stderr == f"pylock: in {directory}, by $PYLOCK_DIR\n"
    assert pylock("status", "-d", str(directory)).stderr == f"pylock: in {directory}, by -d\n"


@pytest.mark.parametrize("command", ["check", "clean", "init"])
def test_directory_is_an_option_or_an_operand_but_not_both(command: str, elsewhere: Path) -> None:
    elsewhere.chmod(0o1777)
    for words in (["-d", str(elsewhere)], [str(elsewhere)]):
        assert str(elsewhere) in pylock(command, *words).stdout
    both = pylock(command, "-d", str(elsewhere), str(elsewhere))
    assert (both.returncode, both.stdout) == (125, "")
    assert "one DIR at most" in both.stderr


@pytest.mark.parametrize("words", [["-w", "30"], ["-w", "1"], ["-s", "-w", "30"]])
def test_weight_without_a_capacity_is_refused_before_anything_is_made(words: list[str], directory: Path) -> None:
    done = pylock("run", *words, "x", "--", "echo", "ran")
    assert (done.returncode, done.stdout, list(directory.iterdir())) == (125, "", [])
    assert f"To wait {words[-1]} seconds at most is --timeout: -t {words[-1]}" in done.stderr


@pytest.mark.parametrize("words", [["-w", "1", "-s"], ["-w", "2", "-c", "5"], ["-w", "2", "--any-of=a,b"]])
def test_weight_that_means_something_is_taken(words: list[str]) -> None:
    assert pylock("run", *words, "x", "--", "echo", "ran").stdout == "ran\n"


def test_weight_is_taken_where_the_lock_has_its_capacity_already(tmp_path: Path) -> None:
    library.define("x", capacity=5)
    assert pylock("run", "-w", "2", "x", "--", "echo", "ran").stdout == "ran\n"
    settings = tmp_path / "settings.toml"
    settings.write_text("[locks.y]\ncapacity = 3\n[resource]\nweight = 2\n")
    assert pylock("run", f"--config={settings}", "y", "--", "echo", "ran").stdout == "ran\n"
    assert pylock("run", f"--config={settings}", "z", "--", "echo", "ran").returncode == 125


def test_capacity_of_a_lock_in_the_settings_does_not_imply_shared(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[locks.y]\ncapacity = 3\n")
    done = pylock("run", f"--config={settings}", "y", "--", "sh", "-c", "echo $PYLOCK_MODE")
    assert done.stdout == "exclusive\n"


def test_settings_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_bytes(b'\xef\xbb\xbf[resource]\nname = "build"\n')
    done = pylock("run", f"--config={settings}", "--", "sh", "-c", "echo $PYLOCK_NAME")
    assert done.stdout == "build\n"
