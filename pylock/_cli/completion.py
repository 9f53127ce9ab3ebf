"""Completion: what may follow the words typed so far, made from the table in `commands`; the shells only ask.

The scripts in ``shells`` call ``pylock completion --answer`` at each TAB. The first line of its answer says what kind
of thing may follow; each further line is one word, and what it means behind a tab. A word is printable throughout, so
that a name which another user chose is nothing but text to the shell.
"""

from __future__ import annotations

import os

from .._file.layout import KINDS, LOCK, POLICIES
from .._file.texts import from_os, to_os
from .._modes import ALL as MODES
from . import flom_options as flom
from .commands import ALL
from .options import COMMAND, ON_LOST, SHOWN, Command, Option, UsageError, named
from .options import WORDS as AS_THEY_ARE
from .settings import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .options import Values

SHELLS = {"bash": "pylock.bash", "zsh": "_pylock", "fish": "pylock.fish"}
"""The script of each, as it is called where shells look for them."""

WORDS, FILES, DIRECTORIES, COMMANDS = "words", "files", "directories", "commands"
"""What may follow: the words given, or what the shell itself knows to complete."""

_COMMANDS = tuple(flom.FLOM if command.takes == AS_THEY_ARE else command for command in ALL)
_ABOUT = (("help", "show the help of a command"), ("version", "show the version"))
_OVERALL = (("--help", "show an overview"), ("--version", "show the version"))
_PLACES = {"DIR": DIRECTORIES, "PATH": DIRECTORIES, "FILE": FILES, "HOSTCMD": COMMANDS}
"""What the shell completes, by how the table calls the value or operand."""

_Candidates = list[tuple[str, str]]
"""Words, each with what it means."""


def print_completion(values: Values, operands: list[str]) -> int:
    if "line" in values:
        kind, candidates = _answer_in_bash(from_os(values["line"]), operands[0] if operands else " ")
    elif values.get("answer"):
        kind, candidates = answer([from_os(word) for word in operands or [""]])
    else:
        print(script(*operands), end="")
        return 0
    lines = [f"{word}\t{meaning}" if meaning else word for word, meaning in candidates]
    print("\n".join([kind, *(to_os(line) for line in lines if to_os(line).replace("\t", "").isprintable())]))
    return 0


def script(shell: str = "", *more: str) -> str:
    """Return the script that makes the shell complete. Raises UsageError."""
    import pkgutil

    if more or shell not in SHELLS:
        raise UsageError(f"completion needs one of {', '.join(SHELLS)}")
    return (pkgutil.get_data(__package__, f"shells/{SHELLS[shell]}") or b"").decode()


def names(directory: str | None) -> list[str]:
    """The names of all locks that can be typed as they are: printable, and not taken for an option."""
    from .._status import status

    if directory is None:
        directory = place({}).directory
    return [lock.name for lock in status(directory) if lock.name.isprintable() and not lock.name.startswith("-")]


def answer(words: list[str]) -> tuple[str, _Candidates]:
    """Return what may stand in place of the last of the words, which follow ``pylock``."""
    *before, current = words
    if not before or before == ["help"]:
        about = () if before else (*_ABOUT, *(_OVERALL if current.startswith("-") else ()))
        return WORDS, [*((command.name, command.help) for command in _COMMANDS), *about]
    command = next((command for command in _COMMANDS if command.name == before[0]), None)
    if command is None:
        return WORDS, []
    typed = _Typed(command, before[1:])
    if typed.pending is not None:
        return _values(typed.pending.metavar, typed.directory)
    if not current.startswith("-"):
        return _values(_operand(command, typed.operands), typed.directory)
    long, equals, _ = current.partition("=")
    if not equals:
        return WORDS, list(_options(command))
    option = _option(command, long)
    kind, candidates = _values(option.metavar if option else "", typed.directory)
    return kind, [(f"{long}={word}", meaning) for word, meaning in candidates]


class _Typed:
    """What the words before the one to complete say."""

    def __init__(self, command: Command, words: list[str]) -> None:
        self.operands = 0
        self.pending: Option | None = None
        """Whose value comes next."""
        self.directory: str | None = None
        for word in words:
            if self.pending is not None:
                self._value(self.pending, word)
                self.pending = None
            elif word.startswith("-") and len(word) > 1:
                self._option(command, word)
            else:
                self.operands += 1

    def _option(self, command: Command, word: str) -> None:
        long, equals, text = word.partition("=") if word.startswith("--") else (*_short_with_value(command, word),)
        option = _option(command, long)
        if option is None or not option.metavar:
            return
        if equals:
            self._value(option, text)
        else:
            self.pending = option

    def _value(self, option: Option, text: str) -> None:
        if option.name in ("directory", "socket"):
            self.directory = os.path.expanduser(os.path.expandvars(to_os(text)))


def _short_with_value(command: Command, word: str) -> tuple[str, str, str]:
    """Split short options that may be joined at the first that takes a value, as "-sd/srv" into -d and /srv."""
    for end, letter in enumerate(word[1:], 2):
        option = _option(command, f"-{letter}")
        if option is None or option.metavar:
            return f"-{letter}", word[end:], word[end:].removeprefix("=")
    return word, "", ""


def _option(command: Command, spelled: str) -> Option | None:
    if not spelled.startswith("--"):
        return next((option for option in command.options if f"-{option.short}" == spelled), None)
    try:
        return named(spelled[2:], command)
    except UsageError:
        return None


def _options(command: Command) -> Iterator[tuple[str, str]]:
    for option in command.options:
        yield f"--{option.long}", option.help
        if option.short:
            yield f"-{option.short}", option.help


def _operand(command: Command, place: int) -> str:
    """What the table calls the operand in this place; "" if there is none."""
    if command.takes == COMMAND and (place or not command.operands.startswith("[")):
        return "--"
    return "" if place else command.operands.partition(" ")[0].strip("[]")


def _values(what: str, directory: str | None) -> tuple[str, _Candidates]:
    """What can be given for what the table calls so."""
    if what in _PLACES:
        return _PLACES[what], []
    if what in ("NAME", "NAME[:MODE]"):
        return WORDS, _plain(_names_or_none(directory))
    return WORDS, _plain(_WORDS[what]() if what in _WORDS else ())


def _names_or_none(directory: str | None) -> Iterable[str]:
    try:
        return names(directory)
    except (OSError, ValueError, UsageError):  # nobody is to be told in the middle of a line
        return ()


def _plain(words: Iterable[str]) -> _Candidates:
    return [(word, "") for word in words]


def _signals() -> Iterable[str]:
    from .._run.signals import signals

    return signals()


def _groups() -> Iterable[str]:
    import grp

    return (group.gr_name for group in grp.getgrall() if group.gr_name.isprintable())


_WORDS: dict[str, Callable[[], Iterable[str]]] = {
    "MODE": lambda: (word for mode in MODES for word in (mode.name, mode.code)),
    "POLICY": lambda: POLICIES,
    "KIND": lambda: (kind for kind in KINDS if kind != LOCK),
    "SIG": _signals,
    "GROUP": _groups,
    "WHAT": lambda: ("command", "tree"),
    "HOW": lambda: SHOWN,
    "REACTION": lambda: ON_LOST,
    "yes/no": lambda: ("yes", "no"),
    "yes|no": lambda: ("yes", "no"),
    "bash|zsh|fish": lambda: SHELLS,
    "COMMAND": lambda: (command.name for command in _COMMANDS),
    "--": lambda: ("--",),
}
"""The words that can be given, by how the table calls the value or operand."""


def _answer_in_bash(line: str, breaks: str) -> tuple[str, _Candidates]:
    """The same for a line of bash, which does not compare, nor quote: the words that fit, as they are to be inserted.

    ``breaks`` are the characters that part words for readline: it replaces only what stands behind the last of them.
    """
    words, current = split(line, breaks)
    kind, candidates = answer([*words[1:], current.text])
    fitting = [word for word, _ in candidates if word.startswith(current.text)]
    return kind, _plain(current.inserted(word) for word in fitting)


class Current:
    """The word that is being typed: what it says, from where on readline replaces it, and the quote it stands in."""

    __slots__ = ("kept", "quote", "text")

    def __init__(self, text: str, kept: int, quote: str) -> None:
        self.text = text
        self.kept = kept
        self.quote = quote

    def inserted(self, word: str) -> str:
        """The rest of the word, quoted for the place where it goes.

        readline adds the quote that closes it, unless the last character happens to be such a one.
        """
        quoted = _quoted(word[self.kept :], self.quote)
        return quoted + self.quote if self.quote and quoted.endswith(self.quote) else quoted


def _quoted(text: str, quote: str) -> str:
    """As it stands in a line of bash behind this quote, or behind none."""
    if quote == "'":
        return text.replace("'", r"'\''")
    if quote:  # which history expansion heeds, and a backslash before the ! would stay
        return "".join(f"\\{char}" if char in '"$`\\' else char for char in text).replace("!", r'"\!"')
    return "".join(char if char.isalnum() or char in "_-./+@%," else f"\\{char}" for char in text)


def split(line: str, breaks: str) -> tuple[list[str], Current]:
    """Split a line as the shell does, expanding nothing; its last word may be unfinished, or empty."""
    words: list[str] = []
    text, kept, quote, begun = "", 0, "", False
    characters = iter(line)
    for char in characters:
        if quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"':
                text += _escaped_in_quotes(next(characters, ""))
            else:
                text += char
        elif char in "'\"":
            quote, begun, kept = char, True, len(text)
        elif char == "\\":
            text, begun = text + next(characters, ""), True
        elif char in " \t\n":
            words += [text] if begun or text else []
            text, kept, begun = "", 0, False
        else:
            text += char
            kept = len(text) if char in breaks else kept
    return words, Current(text, kept, quote)


def _escaped_in_quotes(char: str) -> str:
    return char if char in '"$`\\' else f"\\{char}"
