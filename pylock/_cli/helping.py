"""Help texts, from the table in `commands`."""

from __future__ import annotations

from . import flom_options as flom
from .commands import ALL
from .examples import EXAMPLES, Example
from .options import WORDS, Command, Option

_WIDTH = 100
_INDENT = 28
_EXAMPLE_WIDTH = 46


def in_full(command: Command) -> Command:
    """Return it with all options, also if it parses its words itself."""
    return flom.FLOM if command.takes == WORDS else command


def overview() -> str:
    lines = ["Usage: pylock COMMAND [OPTIONS] ...", "", "Locks between processes and hosts, without a daemon.", ""]
    lines += [f"  {command.name:<12}{command.help}" for command in ALL]
    lines += ["", 'See "pylock help COMMAND". Quick start:', "", "  pylock run backup -- rsync -a /data /backup"]
    return "\n".join(lines)


def help_text(command: Command) -> str:
    import textwrap

    lines = [f"Usage: {command.usage}", "", *textwrap.wrap(command.help, _WIDTH)]
    for group in groups_of(command):
        lines += ["", f"{group}:"]
        for option in command.options:
            if option.group == group:
                lines += _option_lines(option)
        examples = examples_of(command, group)
        if examples:
            width = min(max(len(example) for example, _ in examples), _EXAMPLE_WIDTH)
            lines += ["", *(f"  {example:<{width}}  # {what}" for example, what in examples)]
    lines += ["", "Exit status:", *(f"  {code:<8}{what}" for code, what in command.exit_codes)]
    return "\n".join(lines)


def groups_of(command: Command) -> list[str]:
    return list(dict.fromkeys(option.group for option in command.options))


def examples_of(command: Command, group: str) -> tuple[Example, ...]:
    return EXAMPLES.get(command.name, {}).get(group, ())


def _option_lines(option: Option) -> list[str]:
    import textwrap

    head = f"  {option.spelling}"
    wrapped = textwrap.wrap(option.help, _WIDTH - _INDENT)
    first = f"{head:<{_INDENT}}{wrapped[0]}" if len(head) < _INDENT - 1 else f"{head}\n{' ' * _INDENT}{wrapped[0]}"
    return [first, *(" " * _INDENT + line for line in wrapped[1:])]
