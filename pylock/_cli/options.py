"""The command line as a table: what is parsed, what help shows and what the man page says come from it.

A hand-written parser, because argparse alone takes as long to import as the rest of a command.
"""

from __future__ import annotations

from .._file.layout import UNLIMITED
from .._file.texts import from_os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Values = dict[str, Any]


class UsageError(Exception):
    """The words of the command line are wrong; the text says which and what was expected."""


class Option:
    """One option. Without a ``metavar`` it is a flag; ``many`` collects, ``parse`` checks and converts."""

    __slots__ = ("group", "help", "long", "many", "metavar", "name", "parse", "short", "value")

    def __init__(
        self, long: str, short: str = "", metavar: str = "", help: str = "", *, name: str = "", value: object = True,
        parse: Callable[[str], object] = str, many: bool = False, group: str = "Options",
    ) -> None:  # fmt: skip
        self.long = long
        self.short = short
        self.metavar = metavar
        self.help = help
        self.name = name or long.replace("-", "_")
        self.value = value
        self.parse = parse
        self.many = many
        self.group = group

    @property
    def spelling(self) -> str:
        long = f"--{self.long}" + (f"={self.metavar}" if self.metavar else "")
        return f"-{self.short}, {long}" if self.short else f"    {long}"


OPERANDS, COMMAND, WORDS = "operands", "command", "words"
"""What a command of pylock takes behind its options: operands; operands and, behind ``--``, a command that it runs; or
all its words as they are, options too."""


FAILURE = ("125", "wrong usage, or pylock itself failed")


class Command:
    """One command of pylock: its options, its operands, and the function that carries it out (module:name)."""

    __slots__ = ("exit_codes", "help", "name", "operands", "options", "run", "takes")

    def __init__(
        self, name: str, operands: str, help: str, run: str, options: tuple[Option, ...],
        exit_codes: tuple[tuple[str, str], ...] = (("0", "all went well"), FAILURE), takes: str = OPERANDS,
    ) -> None:  # fmt: skip
        self.name = name
        self.operands = operands
        self.help = help
        self.run = run
        self.options = options
        self.exit_codes = exit_codes
        """All that it may end with."""
        self.takes = takes

    @property
    def usage(self) -> str:
        return f"pylock {self.name} [OPTIONS] {self.operands}".rstrip()


def parse(command: Command, words: list[str]) -> tuple[Values, list[str], list[str] | None]:
    """Split the words into option values, operands, and what follows ``--`` (None if there is none).

    Raises UsageError.
    """
    rest = None
    if "--" in words:
        place = words.index("--")
        words, rest = words[:place], words[place + 1 :]
    shorts = {option.short: option for option in command.options if option.short}
    values: Values = {}
    operands: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word.startswith("--"):
            name, equals, text = word[2:].partition("=")
            option = named(name, command)
            if equals and not option.metavar:
                raise UsageError(f"--{option.long} takes no value")
            _store(values, option, text if equals else _value_of(option, f"--{option.long}", queue))
        elif word.startswith("-") and len(word) > 1:
            first = shorts.get(word[1])
            if first is None:
                raise UsageError(f'unknown option -{word[1]}; see "pylock {command.name} --help"')
            if first.metavar:
                _store(values, first, word[2:].removeprefix("=") or _value_of(first, f"-{first.short}", queue))
            else:
                _store(values, first, "")
                if word[2:]:
                    queue.insert(0, f"-{word[2:]}")
        else:
            operands.append(word)
    return values, operands, rest


def named(name: str, command: Command) -> Option:
    """Return the option of this long name, which may be cut short. Raises UsageError."""
    found = [option for option in command.options if name and option.long.startswith(name)]
    found = [option for option in found if option.long == name] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"--{name} is ambiguous: " + ", ".join(f"--{option.long}" for option in found))
    similar = meant(f"--{name}", [f"--{option.long}" for option in command.options])
    raise UsageError(f'unknown option --{name}{similar}; see "pylock {command.name} --help"')


def meant(word: str, known: list[str]) -> str:
    """Ask whether one of the known words was meant, if one is like it; to stand behind what is wrong."""
    from difflib import get_close_matches

    found = get_close_matches(word, known, 1)
    return f"; did you mean {found[0]}?" if found else ""


def _value_of(option: Option, spelled: str, queue: list[str]) -> str:
    if not option.metavar:
        return ""
    if not queue:
        raise UsageError(f"{spelled} needs a value: {option.metavar}")
    return queue.pop(0)


def _store(values: Values, option: Option, text: str) -> None:
    value = option.value
    if option.metavar:
        try:
            value = option.parse(text)
        except ValueError as error:
            raise UsageError(f"--{option.long}: {error}") from None
    if option.many:
        values[option.name] = (*values.get(option.name, ()), value)
    else:
        values[option.name] = value


MOST_SECONDS = 1.7e308
"""A number that is no float any more cannot be reckoned with."""


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> float:
    """Read a duration as timeout(1) does: 90, 0.5, 1.5m, 2h, 1d. Raises ValueError."""
    unit = text[-1:] if text[-1:] in _UNITS else ""
    try:
        value = float(text.removesuffix(unit)) * _UNITS.get(unit, 1)
    except ValueError:
        value = -1.0
    if value < 0 and text.startswith("-"):
        raise ValueError(f"{text!r} is less than no time; 0 is one try, and who leaves it out waits for ever")
    if not 0 <= value <= MOST_SECONDS:
        raise ValueError(f"{text!r} is not a number of seconds, such as 0, 0.5 or 30, nor as 1.5m, 2h or 1d")
    return value


BUSY = 75
"""Exit status of a lock that could not be had in time: EX_TEMPFAIL of sysexits.h, as lckdo has it."""


def exactly_one(operands: list[str], what: str) -> str:
    if not operands:
        raise UsageError(f"a {what} is missing")
    if len(operands) > 1:
        raise UsageError(f"needs one {what}, not {len(operands)}")
    return operands[0]


def at_most_one(operands: list[str], what: str) -> str | None:
    if len(operands) > 1:
        raise UsageError(f"one {what} at most, not {' '.join(operands)}")
    return operands[0] if operands else None


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


END, _, IGNORE = ON_LOST = ("term", "warn", "ignore")
"""What becomes of a command whose lock is lost."""
_, PROGRAM, NOTHING = SHOWN = ("line", "program", "nothing")
"""What others may see of a command: its words, its program's name, or nothing."""

JOBSCHEDULERS_UNLIMITED = (1 << 31) - 1


def capacity(text: str) -> int:
    """Units; "unlimited", and the number that the JobScheduler has for it, are as many as there can be."""
    try:
        number = UNLIMITED if text == "unlimited" else whole(text)
    except ValueError as error:
        raise ValueError(f'{error}, nor "unlimited"; a shell command stands behind --: -- sh -c COMMAND') from None
    if number == JOBSCHEDULERS_UNLIMITED:
        return UNLIMITED
    if number > UNLIMITED:
        raise ValueError(f"{shorten_number(text)} is more than can be counted, {UNLIMITED}; write unlimited")
    return number


def shorten_number(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:19]}…"


def texts(text: str) -> tuple[str, ...]:
    found = tuple(from_os(text).split(","))
    if not all(found):
        raise ValueError(f"{text!r} has an empty element; separate elements by single commas")
    return found


def yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"{text!r} is neither yes nor no")
    return text == "yes"


def exit_code(text: str) -> int:
    code = whole(text)
    if not 0 <= code <= 255:
        raise ValueError(f"{text} is not an exit status; use 0 to 255")
    return code


DIRECTORY = Option(
    "directory", "d", "DIR", "lock directory; by default that of the settings, else $PYLOCK_DIR, else the user's own"
)
HELP = Option("help", "h", help="show this help")
