"""The man pages, in troff: pylock(1), and one for each command, from the table in `commands`."""

from __future__ import annotations

from .. import __version__
from .commands import ALL, named
from .helping import examples_of, groups_of, in_full
from .options import COMMAND, at_most_one
from .run_options import EXIT_CODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .options import Command, Values

_ALL = tuple(map(in_full, ALL))
_ABOUT = "locks between processes and hosts, without a daemon"
_READ = (
    ("PYLOCK_DIR", "The lock directory where none is given."),
    ("PYLOCK_CONFIG", "A settings file, read after the system's and the user's."),
)
_SET = (
    (
        "PYLOCK_NAME, PYLOCK_MODE, PYLOCK_TOKEN, PYLOCK_WAITED, PYLOCK_DIR, PYLOCK_HELD",
        "Set for the command: its lock, the mode, the fencing token, the seconds that it waited, the directory, and all"
        " locks it runs under.",
    ),
    (
        "PYLOCK_ELEMENT, PYLOCK_VALUE",
        "Set for the command: the elements of a pool that it got; its number of a sequence, or its timestamp.",
    ),
)
_FILES = (("/etc/pylock/config.toml, ~/.config/pylock/config.toml", "Settings."),)


def print_man_page(values: Values, operands: list[str]) -> int:
    command = at_most_one(operands, "COMMAND")
    print(man_pages()[f"pylock-{named(command).name}" if command else "pylock"])
    return 0


def man_pages() -> dict[str, str]:
    """Return all pages by their names; each belongs to section 1."""
    pages = {f"pylock-{command.name}": "\n".join(_page_of(command)) for command in _ALL}
    return {"pylock": "\n".join(_overview())} | pages


def _overview() -> list[str]:
    commands = ((f"pylock-{command.name}(1)", command.help) for command in _ALL)
    return [
        *_head("pylock", _ABOUT), ".B pylock", r"\fICOMMAND\fR [\fIOPTIONS\fR] ...", *_terms("COMMANDS", commands),
        *_terms("EXIT STATUS", EXIT_CODES), *_terms("ENVIRONMENT", _READ + _SET), *_terms("FILES", _FILES),
        *_see_also([f"pylock-{command.name}" for command in _ALL]),
    ]  # fmt: skip


def _page_of(command: Command) -> list[str]:
    lines = _head(f"pylock-{command.name}", command.help.rstrip("."))
    lines += [f".B {troff(command.usage)}", ".SH OPTIONS"]
    for group in groups_of(command):
        lines += [f".SS {troff(group)}"]
        for option in command.options:
            if option.group == group:
                lines += _term(option.spelling.strip(), option.help)
        for example, what in examples_of(command, group):
            lines += [".PP", f"Example: {troff(what)}", ".PP", ".RS", f".B {troff(example)}", ".RE"]
    lines += _terms("EXIT STATUS", command.exit_codes)
    return lines + _terms("ENVIRONMENT", _READ + _SET * (command.takes == COMMAND)) + _see_also(["pylock"])


def _head(name: str, about: str) -> list[str]:
    title = f'.TH {troff(name.upper())} 1 "" "pylock {__version__}" "User Commands"'
    return [title, ".nh", ".SH NAME", rf"{troff(name)} \- {troff(about)}", ".SH SYNOPSIS"]


def _terms(section: str, terms: Iterable[tuple[str, str]]) -> list[str]:
    return [f".SH {section}", *(line for term, what in terms for line in _term(term, what))]


def _term(term: str, what: str) -> list[str]:
    return [".TP", rf"\fB{troff(term)}\fR", troff(what)]


def _see_also(pages: list[str]) -> list[str]:
    own = [rf"\fB{troff(page)}\fR(1)," for page in pages]
    return [".SH SEE ALSO", *own, r"\fBflock\fR(1), \fBtimeout\fR(1), \fBfcntl_locking\fR(2)"]


def troff(text: str) -> str:
    """Return the text as it stands in a page."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return text if not text.startswith(".") else rf"\&{text}"
