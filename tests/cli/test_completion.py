"""Completion: what may follow, and what bash, zsh and fish make of it at a TAB."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from command import environment, pylock
from shells import BY_AUTOLOAD, Shell, need, with_pylock

import pylock as library
from pylock._cli import commands, completion

TRAPS = ("$(touch trap)", "`touch trap`", "(touch trap)", "; touch trap", "*", "\\", "~root", "!!")
"""Names that some shell would make something of, were they not quoted."""
NAMES = ("build", "a b", 'it\'s "so"', "host:job", "wow!build", *TRAPS)


@pytest.fixture
def named() -> None:
    for name in (*NAMES, "new\nline", "\x1b[31mred", "turned\u202eround", "--exec", "\udcff"):
        library.lock(name).acquire().release()


@pytest.fixture
def elsewhere(tmp_path: Path) -> None:
    """Another lock directory beside the usual one, with one lock."""
    (tmp_path / "other").mkdir(mode=0o700)
    library.lock("elsewhere", directory=tmp_path / "other").acquire().release()


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    opened = Shell(request.param, tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def words(*typed: str) -> list[str]:
    return [word for word, _ in completion.answer(list(typed))[1]]


def test_answer_is_a_line_of_what_it_is_and_a_line_for_each_word() -> None:
    library.lock("build").acquire().release()
    done = pylock("completion", "--answer", "--", "status", "")
    assert (done.returncode, done.stdout) == (0, "words\nbuild\n")
    done = pylock("completion", "--answer", "--", "init", "-")
    assert "--group\tthe group whose members may lock" in done.stdout
    assert pylock("completion", "--answer", "--", "init", "").stdout == "directories\n"


@pytest.mark.usefixtures("named")
def test_names_that_are_not_printable_or_look_like_options_are_left_out() -> None:
    assert sorted(words("status", "")) == sorted(NAMES)
    assert len(pylock("completion", "--answer", "--", "status", "").stdout.splitlines()) == 1 + len(NAMES)


@pytest.mark.parametrize("command", commands.ALL, ids=lambda it: it.name)
def test_every_option_of_every_command_is_completed(command: commands.Command) -> None:
    assert command.name in words("")
    assert {f"--{option.long}" for option in command.options} <= set(words(command.name, "-"))


@pytest.mark.parametrize(
    ("typed", "kind", "some"),
    [
        ("run --mode ''", completion.WORDS, ["shared", "PR"]),
        ("run -m ''", completion.WORDS, ["concurrent_read", "CR"]),
        ("run --mode=", completion.WORDS, ["--mode=exclusive"]),
        ("run --policy ''", completion.WORDS, ["shared-first", "fair"]),
        ("run --ignore-sig ''", completion.WORDS, ["SIGTERM", "SIGRTMIN+1"]),
        ("run --create=", completion.WORDS, ["--create=no"]),
        ("set --kind ''", completion.WORDS, ["path", "pool", "sequence", "timestamp"]),
        ("run --wait-for ''", completion.WORDS, ["command", "tree"]),
        ("init -g ''", completion.WORDS, ["root"]),
        ("completion ''", completion.WORDS, ["bash", "zsh", "fish"]),
        ("man ''", completion.WORDS, ["run", "flom", "man"]),
        ("run name ''", completion.WORDS, ["--"]),
        ("run -sq name ''", completion.WORDS, ["--"]),
        ("flom ''", completion.WORDS, ["--"]),
        ("-", completion.WORDS, ["--version", "run"]),
        ("run --config ''", completion.FILES, []),
        ("run --config=", completion.FILES, []),
        ("run -sd ''", completion.DIRECTORIES, []),
        ("flom -s ''", completion.DIRECTORIES, []),
        ("check ''", completion.DIRECTORIES, []),
        ("check --peer ''", completion.COMMANDS, []),
        ("run --reason ''", completion.WORDS, []),
        ("run --no-such-option=", completion.WORDS, []),
        ("run -Z name ''", completion.WORDS, ["--"]),
        ("status one ''", completion.WORDS, []),
        ("status -d /no/such/directory ''", completion.WORDS, []),
        ("nonsense ''", completion.WORDS, []),
    ],
)
def test_values_and_operands_are_completed(typed: str, kind: str, some: list[str]) -> None:
    found, candidates = completion.answer(shlex.split(typed))
    assert found == kind
    assert {word for word, _ in candidates} >= set(some)
    assert bool(candidates) == bool(some)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("typed", ["-d {}", "-d{}", "-qd={}", "--directory={}", "--dir {}"])
def test_names_are_those_of_the_directory_that_is_given(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    library.lock("here").acquire().release()
    for spelled in (str(tmp_path / "other"), "$WHERE/other", "~/other"):
        assert words("run", *shlex.split(typed.format(f"'{spelled}'")), "") == ["elsewhere"]
    assert words("run", "") == ["here"]


@pytest.mark.parametrize(
    ("line", "before", "text"),
    [
        ("pylock run ", ["pylock", "run"], ""),
        (r"pylock a\ b", ["pylock"], "a b"),
        ("pylock 'a b' c", ["pylock", "a b"], "c"),
        ('pylock "a b', ["pylock"], "a b"),
        (r'pylock "a\"\$\x', ["pylock"], r'a"$\x'),
        ("pylock '' x'y'z", ["pylock", ""], "xyz"),
        ("pylock a\\", ["pylock"], "a"),
    ],
)
def test_line_is_split_as_the_shell_does(line: str, before: list[str], text: str) -> None:
    words, current = completion.split(line, "=:")
    assert (words, current.text) == (before, text)


def begun(name: str) -> Iterator[str]:
    """The first two characters as one may type them: bare, or after a quote, where that can be done."""
    start = name[:2]
    yield "".join(f"\\{char}" for char in start)
    if "'" not in start:
        yield f"'{start}"
    if "!" not in start:
        yield '"' + "".join(f"\\{char}" if char in '"$`\\' else char for char in start)


@pytest.mark.usefixtures("named")
def test_what_is_completed_is_one_word_that_says_the_name(shell: Shell, tmp_path: Path) -> None:
    """Whatever it is called: the shell reads back what was named, and runs nothing."""
    for name in NAMES:
        for typed in begun(name):
            line = shell.complete(f"pylock status {typed}")
            assert read_back(shell, line) == ["pylock", "status", name], line
    assert not list(tmp_path.rglob("trap"))


def read_back(shell: Shell, line: str) -> list[str]:
    """The words of the line as the shell itself reads them."""
    shown = shell.run(f"printf '%s\\0' {line}")
    return shown.split("\0")[:-1]


@pytest.mark.usefixtures("named", "elsewhere")
def test_shell_completes_commands_options_values_and_names(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "some settings").touch()
    (tmp_path / "$(touch trap)").mkdir()
    for typed, completed in (
        ("pylock st", "pylock status "),
        ("pylock run --mo", "pylock run --mode "),
        ("pylock run --mode excl", "pylock run --mode exclusive "),
        ("pylock run --mode=excl", "pylock run --mode=exclusive "),
        ("pylock status bui", "pylock status build "),
        ("pylock status host:", "pylock status host:job "),
        ("pylock run --with bui", "pylock run --with build "),
        ("pylock run -d other e", "pylock run -d other elsewhere "),
        ("pylock run --directory=other e", "pylock run --directory=other elsewhere "),
        ("pylock run -d ~/other e", "pylock run -d ~/other elsewhere "),
        ("pylock run --config some", "pylock run --config some\\ settings "),
        ("pylock run --config=some", "pylock run --config=some\\ settings "),
        ("pylock init oth", "pylock init other/"),
        ("pylock init \\$", "pylock init \\$\\(touch\\ trap\\)/"),
        ("pylock run build ", "pylock run build -- "),
        ("pylock run build -- pylo", "pylock run build -- pylock "),
        ("pylock run build -- cat some", "pylock run build -- cat some\\ settings "),
        ("pylock nonsense x", "pylock nonsense x"),
        ('pylock status "$(touch trap)" x', 'pylock status "$(touch trap)" x'),
    ):
        assert shell.complete(typed) == completed
    assert not list(tmp_path.rglob("trap"))


def test_zsh_finds_the_installed_script_by_itself(tmp_path: Path) -> None:
    shell = Shell("zsh", tmp_path, BY_AUTOLOAD)
    try:
        assert shell.complete("pylock run --mo") == "pylock run --mode "
        assert shell.complete("pylock run --mode excl") == "pylock run --mode exclusive "
    finally:
        shell.close()


def test_installation_has_the_scripts_and_the_man_pages_where_they_are_looked_for() -> None:
    try:
        installed = {str(file).rpartition("share/")[2]: file for file in metadata.files("pylock-fcntl") or ()}
    except metadata.PackageNotFoundError:
        pytest.skip("pylock is not installed here")
    for file in (
        "bash-completion/completions/pylock",
        "zsh/site-functions/_pylock",
        "fish/vendor_completions.d/pylock.fish",
        "man/man1/pylock.1",
        *(f"man/man1/pylock-{command.name}.1" for command in commands.ALL),
    ):
        assert "pylock" in Path(installed[file].locate()).read_text()


@pytest.mark.usefixtures("named")
def test_functions_of_bash_alone_run_nothing(tmp_path: Path) -> None:
    need("bash")
    ask = 'COMP_WORDS=(pylock status "") COMP_CWORD=2; _pylock'
    script = f'eval "$(pylock completion bash)"; {ask}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", script], env=with_pylock(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert sorted(shlex.split(line)[0] for line in done.stdout.splitlines()) == sorted(NAMES)
    assert not list(tmp_path.rglob("trap"))


@pytest.mark.usefixtures("named", "elsewhere")
def test_fish_completes_commands_options_values_and_names(tmp_path: Path) -> None:
    need("fish")
    (tmp_path / "some settings").touch()
    asked = {
        "pylock st": ["status"],
        "pylock run --busy": ["--busy-exit-code"],
        "pylock run --mode excl": ["exclusive"],
        "pylock run --mode=excl": ["--mode=exclusive"],
        "pylock status ": sorted(NAMES),
        "pylock status 'a ": ["a b"],
        "pylock run -d other ": ["elsewhere"],
        "pylock run -d ~/other e": ["elsewhere"],
        "pylock run --config some": ["some settings"],
        "pylock run --config=some": ["--config=some settings"],
        "pylock init oth": ["other/"],
        "pylock run build ": ["--"],
        "pylock run build -- pylock st": ["status"],
        "pylock run build -- cat some": ["some settings"],
        "pylock run build -- 'x; pylock' statu": [],
        'pylock status "(touch trap)" (touch trap) b': [],
    }
    script = "pylock completion fish | source; for line in $argv; complete -C $line; echo; end"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script, *asked], env=with_pylock(tmp_path), cwd=tmp_path, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    answers = iter(done.stdout.splitlines())
    for line, expected in asked.items():
        found = [word.partition("\t")[0] for word in iter(answers.__next__, "")]
        assert sorted(found) == expected, line
    assert not list(tmp_path.rglob("trap"))


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_script_is_one_that_the_shell_can_read(shell_name: str) -> None:
    script = pylock("completion", shell_name).stdout
    assert "pylock completion --" in script
    need(shell_name)
    subprocess.run([shell_name, "-n"], input=script, text=True, check=True, env=environment())


def test_other_words_than_a_shell_are_refused() -> None:
    for wrong in (["completion"], ["completion", "tcsh"], ["completion", "bash", "zsh"]):
        done = pylock(*wrong)
        assert (done.returncode, done.stderr) == (125, "pylock: completion needs one of bash, zsh, fish\n")
