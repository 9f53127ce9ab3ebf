"""Help texts and the man page, all from the table in `commands`."""

from __future__ import annotations

from .. import __version__
from . import flom_options as flom
from .commands import ALL
from .examples import EXAMPLES, Example
from .options import WORDS, Command, Option, UsageError
from .run_options import EXIT_CODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Values

_WIDTH = 100
_INDENT = 28
_EXAMPLE_WIDTH = 46


def in_full(command: Command) -> Command:
    """Return it with all options, also if it parses its words itself."""
    return flom.FLOM if command.takes == WORDS else command


_ALL = tuple(map(in_full, ALL))


def overview() -> str:
    lines = ["Usage: pylock COMMAND [OPTIONS] ...", "", "Locks between processes and hosts, without a daemon.", ""]
    lines += [f"  {command.name:<12}{command.help}" for command in ALL]
    lines += ["", 'See "pylock help COMMAND". Quick start:', "", "  pylock run backup -- rsync -a /data /backup"]
    return "\n".join(lines)


def help_text(command: Command) -> str:
    import textwrap

    lines = [f"Usage: {command.usage}", "", *textwrap.wrap(command.help, _WIDTH)]
    for group in _groups(command):
        lines += ["", f"{group}:"]
        for option in command.options:
            if option.group == group:
                lines += _option_lines(option)
        examples = _examples(command, group)
        if examples:
            width = min(max(len(example) for example, _ in examples), _EXAMPLE_WIDTH)
            lines += ["", *(f"  {example:<{width}}  # {what}" for example, what in examples)]
    if command.exit_codes:
        lines += ["", "Exit status:", *(f"  {code:<8}{what}" for code, what in command.exit_codes)]
    return "\n".join(lines)


def _groups(command: Command) -> list[str]:
    return list(dict.fromkeys(option.group for option in command.options))


def _examples(command: Command, group: str) -> tuple[Example, ...]:
    return EXAMPLES.get(command.name, {}).get(group, ())


def _option_lines(option: Option) -> list[str]:
    import textwrap

    head = f"  {option.spelling}"
    wrapped = textwrap.wrap(option.help, _WIDTH - _INDENT)
    first = f"{head:<{_INDENT}}{wrapped[0]}" if len(head) < _INDENT - 1 else f"{head}\n{' ' * _INDENT}{wrapped[0]}"
    return [first, *(" " * _INDENT + line for line in wrapped[1:])]


def print_man_page(values: Values, operands: list[str]) -> int:
    if operands:
        raise UsageError("man takes no operands")
    print(man_page())
    return 0


def man_page() -> str:
    lines = [
        f'.TH PYLOCK 1 "" "pylock {__version__}" "User Commands"', ".nh", ".SH NAME",
        r"pylock \- locks between processes and hosts, without a daemon", ".SH SYNOPSIS",
    ]  # fmt: skip
    for command in _ALL:
        lines += [f".B {_troff(command.usage)}", ".br"]
    lines.append(".SH COMMANDS")
    for command in _ALL:
        lines += [f".SS {_troff(command.usage)}", _troff(command.help)]
        for group in _groups(command):
            lines += [".PP", rf"\fI{_troff(group)}\fR"]
            for option in command.options:
                if option.group == group:
                    lines += [".TP", rf"\fB{_troff(option.spelling.strip())}\fR", _troff(option.help)]
            for example, what in _examples(command, group):
                lines += [".PP", f"Example: {_troff(what)}", ".PP", ".RS", f".B {_troff(example)}", ".RE"]
    lines.append(".SH EXIT STATUS")
    for code, what in EXIT_CODES:
        lines += [".TP", rf"\fB{_troff(code)}\fR", _troff(what)]
    lines += [
        ".SH ENVIRONMENT", ".TP", r"\fBPYLOCK_DIR\fR", "The lock directory where none is given.", ".TP",
        r"\fBPYLOCK_CONFIG\fR", "A settings file, read after the system's and the user's.", ".TP",
        r"\fBPYLOCK_NAME\fR, \fBPYLOCK_MODE\fR, \fBPYLOCK_TOKEN\fR, \fBPYLOCK_WAITED\fR, \fBPYLOCK_DIR\fR,"
        r" \fBPYLOCK_HELD\fR",
        "Set for the command: its lock, the mode, the fencing token, the seconds that it waited, the directory, and all"
        " locks it runs under.",
        ".TP", r"\fBPYLOCK_ELEMENT\fR, \fBPYLOCK_VALUE\fR",
        "Set for the command: the elements of a pool that it got; its number of a sequence, or its timestamp.",
        ".SH FILES", ".TP", r"\fI/etc/pylock/config.toml\fR, \fI~/.config/pylock/config.toml\fR", "Settings.",
        ".SH SEE ALSO", r"\fBflock\fR(1), \fBtimeout\fR(1), \fBfcntl_locking\fR(2)",
    ]  # fmt: skip
    return "\n".join(lines)


def _troff(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return text if not text.startswith(".") else rf"\&{text}"
