"""The command ``pylock``: finds the command, has its words parsed, and turns every failure into one line.

Nothing of pylock's own is ever written to standard output but what was asked for.
"""

from __future__ import annotations

import io
import os
import sys

from .. import __version__
from .._errors import LockError
from .._file.texts import harmless
from .options import COMMAND, WORDS, UsageError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .options import Command

FAILED = 125
"""Exit status of pylock's own failures: not one that commands use. Source: coreutils, timeout and env."""


def main(words: list[str] | None = None) -> int:
    """Carry out the command line and return the exit status."""
    words = sys.argv[1:] if words is None else words
    try:
        return _dispatch(words)
    except UsageError as error:
        return complain(str(error))
    except BrokenPipeError:  # who read our output has read enough
        sys.stdout = None
        return _die_of(13)
    except (LockError, OSError, ValueError) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return _die_of(2)


def console() -> NoReturn:
    """The entry point of the installed command: `main`, then leave at once.

    To take the interpreter down in order takes as long as to take a lock a hundred times.
    """
    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # as it is if the caller closed it
                stream.flush()
        except (OSError, ValueError):  # nobody reads any more
            status = status or FAILED
    os._exit(status)


def complain(text: str) -> int:
    """Say what is wrong, and return the exit status for it."""
    tell(f"pylock: {text}")
    return FAILED


def tell(text: str) -> None:
    """Write it to standard error, harmless line by line, if there is somebody to tell."""
    lines = "\n".join(map(harmless, text.split("\n")))
    try:
        sys.stderr.write(f"{lines}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # it is closed
        pass


def _die_of(signal: int) -> int:
    from .._run.supervisor import die_of

    return die_of(signal)


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["run"]:
        from .run_options import RUN

        return _carry_out(RUN, words[1:])
    from .commands import ALL

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what the caller's encoding lacks is spelled out
    if not words or words[0] in ("--help", "-h", "help"):
        from .manual import overview

        print(overview())
        return 0 if words else FAILED
    if words[0] in ("--version", "-V"):
        print(f"pylock {__version__}")
        return 0
    for command in ALL:
        if command.name == words[0]:
            return _carry_out(command, words[1:])
    names = ", ".join(command.name for command in ALL)
    raise UsageError(f'{words[0]!r} is not a command of pylock; use one of {names}; see "pylock --help"')


def _carry_out(command: Command, words: list[str]) -> int:
    module, _, function = command.run.partition(":")
    if command.takes == WORDS:
        return int(getattr(__import__(module, fromlist=[function]), function)(words))
    values, operands, rest = parse(command, words)
    if values.get("help"):
        from .manual import help_text

        print(help_text(command))
        return 0
    carry_out = getattr(__import__(module, fromlist=[function]), function)
    if command.takes == COMMAND:
        return int(carry_out(values, operands, rest))
    return int(carry_out(values, operands + (rest or [])))
