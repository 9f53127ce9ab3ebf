"""Help texts, the man page and shell completion, all from the table in `commands`."""

from __future__ import annotations

from .. import __version__
from . import flom
from .commands import ALL
from .examples import EXAMPLES, Example
from .options import Command, Option, UsageError
from .run_options import EXIT_CODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Values

_WIDTH = 100
_INDENT = 28
_EXAMPLE_WIDTH = 46
_ALL = tuple(flom.FLOM if command.raw else command for command in ALL)
"""With all options of those that parse their words themselves."""


def overview() -> str:
    lines = ["Usage: pylock COMMAND [OPTIONS] ...", "", "Locks between processes and hosts, without a daemon.", ""]
    lines += [f"  {command.name:<12}{command.help}" for command in ALL]
    lines += ["", 'See "pylock COMMAND --help". Quick start:', "", "  pylock run backup -- rsync -a /data /backup"]
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
        r"\fBPYLOCK_NAME\fR, \fBPYLOCK_MODE\fR, \fBPYLOCK_TOKEN\fR, \fBPYLOCK_DIR\fR, \fBPYLOCK_HELD\fR",
        "Set for the command: its lock, the mode, the fencing token, the directory, and all locks it runs under.",
        ".TP", r"\fBPYLOCK_ELEMENT\fR, \fBPYLOCK_VALUE\fR",
        "Set for the command: the elements of a pool that it got; its number of a sequence, or its timestamp.",
        ".SH FILES", ".TP", r"\fI/etc/pylock/config.toml\fR, \fI~/.config/pylock/config.toml\fR", "Settings.",
        ".SH SEE ALSO", r"\fBflock\fR(1), \fBtimeout\fR(1), \fBfcntl_locking\fR(2)",
    ]  # fmt: skip
    return "\n".join(lines)


def _troff(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return text if not text.startswith(".") else rf"\&{text}"


def print_completion(values: Values, operands: list[str]) -> int:
    writers = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    if len(operands) != 1 or operands[0] not in writers:
        raise UsageError(f"completion needs one of {', '.join(writers)}")
    print(writers[operands[0]]())
    return 0


def _words(command: Command, with_value: bool = False) -> str:
    """The options of the command, or those that are followed by a value."""
    options = [option for option in command.options if option.metavar or not with_value]
    longs = [f"--{option.long}" for option in options]
    return " ".join([*longs, *(f"-{option.short}" for option in options if option.short)])


_NAMES = 'pylock status --json 2>/dev/null | sed -n \'s/^      "name": "\\(.*\\)",$/\\1/p\''


_NAMED = "run|status|set"
"""The commands whose operand is the name of a lock."""


def _bash() -> str:
    cases = "\n".join(
        f"    {command.name}) words='{_words(command)}' valued='{_words(command, True)}' ;;" for command in _ALL
    )
    return f"""_pylock() {{
  local words valued word current=${{COMP_WORDS[COMP_CWORD]}}
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W '{" ".join(command.name for command in _ALL)} --help --version' -- "$current")); return
  fi
  for word in "${{COMP_WORDS[@]:2:COMP_CWORD-2}}"; do
    [ "$word" = -- ] && return  # the command to run: files
  done
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  case " $valued " in *" ${{COMP_WORDS[COMP_CWORD-1]}} "*) return ;; esac  # a value: files
  case ${{COMP_WORDS[1]}}:$current in
    *:-*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    {":*|".join(_NAMED.split("|"))}:*) COMPREPLY=($(compgen -W "$({_NAMES})" -- "$current")) ;;
  esac
}}
complete -o default -F _pylock pylock"""


def _zsh() -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash()}"


def _fish() -> str:
    ours = "not contains -- -- (commandline -opc)"  # what follows is the command to run
    names = f"__fish_seen_subcommand_from {_NAMED.replace('|', ' ')}; and {ours}"
    lines = [
        f"complete -c pylock -f -n '{ours}; and not __fish_seen_subcommand_from check init clean'",
        f"complete -c pylock -n '{names}' -a '({_quoted(_NAMES)})'",
    ]
    for command in _ALL:
        lines.append(f"complete -c pylock -n __fish_use_subcommand -a {command.name} -d '{_quoted(command.help)}'")
        seen = f"__fish_seen_subcommand_from {command.name}; and {ours}"
        for option in command.options:
            short = f" -s {option.short}" if option.short else ""
            value = " -r" if option.metavar else ""
            lines.append(f"complete -c pylock -n '{seen}' -l {option.long}{short}{value} -d '{_quoted(option.help)}'")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """As it stands between apostrophes in fish."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
