"""Help texts, from the table in `commands`."""

from __future__ import annotations

import textwrap

from . import flom_options as flom
from .commands import ALL
from .examples import EXAMPLES, Example
from .options import WORDS, Command

_WIDTH = 79
_INDENT, _NAMES, _CODES = 28, 14, 10
"""Columns of the texts of options, of commands, and of exit statuses."""


def in_full(command: Command) -> Command:
    """Return it with all options, also if it parses its words itself."""
    return flom.FLOM if command.takes == WORDS else command


def overview() -> str:
    lines = ["Usage: pylock COMMAND [OPTIONS] ...", "", "Locks between processes and hosts, without a daemon.", ""]
    for command in ALL:
        lines += _entry(f"  {command.name}", command.help, _NAMES)
    lines += ["", 'See "pylock help COMMAND". Quick start:', "", "  pylock run backup -- rsync -a /data /backup"]
    return "\n".join(lines)


def help_text(command: Command) -> str:
    lines = [f"Usage: {command.usage}", "", *textwrap.wrap(command.help, _WIDTH)]
    for group in groups_of(command):
        lines += ["", f"{group}:"]
        for option in command.options:
            if option.group == group:
                lines += _entry(f"  {option.spelling}", option.help, _INDENT)
        examples = examples_of(command, group)
        lines += [""] if examples else []
        for example, what in examples:
            lines += [f"  # {what}", f"  {example}"]
    lines += ["", "Exit status:"]
    for code, what in command.exit_codes:
        lines += _entry(f"  {code}", what, _CODES)
    return "\n".join(lines)


def groups_of(command: Command) -> list[str]:
    return list(dict.fromkeys(option.group for option in command.options))


def examples_of(command: Command, group: str) -> tuple[Example, ...]:
    return EXAMPLES.get(command.name, {}).get(group, ())


def _entry(head: str, text: str, indent: int) -> list[str]:
    """The lines of a term and what it means, which stand in two columns."""
    first, *others = textwrap.wrap(text, _WIDTH - indent, break_on_hyphens=False)
    begin = [f"{head:<{indent}}{first}"] if len(head) < indent - 1 else [head, " " * indent + first]
    return begin + [" " * indent + line for line in others]
