"""The command ``pylock``: finds the command, has its words parsed, and turns every failure into one line.

Nothing of pylock's own is ever written to standard output but what was asked for.
"""

from __future__ import annotations

import io
import os
import sys

from .. import __version__
from .._errors import LockError, harmless
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
    except BrokenPipeError:  # who read our output has read enough
        sys.stdout = None
        return _die_of(13)
    except (UsageError, LockError, OSError, ValueError) as error:
        return complain(message_of(error))
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


def message_of(error: BaseException) -> str:
    """Return what went wrong in words, without the number that the system has for it."""
    if not isinstance(error, OSError) or isinstance(error, LockError) or not error.strerror:
        return str(error)
    if error.filename is None:
        return error.strerror
    return f"{error.filename if isinstance(error.filename, int) else os.fsdecode(error.filename)}: {error.strerror}"


def tell(text: str) -> None:
    """Write it to standard error, in one line, if there is somebody to tell."""
    try:
        sys.stderr.write(f"{harmless(text)}\n")
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
    from .commands import named

    if sys.stdout is None:  # as it is if the caller closed it; what is said to nobody is no error
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as this process lasts
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what the caller's encoding lacks is spelled out
    if not words or words[0] in ("--help", "-h", "help"):
        return _help(words[1:]) if words else _help([]) or FAILED
    if words[0] in ("--version", "-V", "version"):
        print(f"pylock {__version__}")
        return 0
    return _carry_out(named(words[0]), words[1:])


def _help(words: list[str]) -> int:
    """Show the help of a command, or an overview."""
    from .commands import named
    from .helping import help_text, in_full, overview

    if len(words) > 1:
        raise UsageError(f"help is for one command at a time, not {' '.join(words)}")
    is_about_all = not words or words[0] in ("help", "version")
    print(overview() if is_about_all else help_text(in_full(named(words[0]))))
    return 0


def _carry_out(command: Command, words: list[str]) -> int:
    module, _, function = command.run.partition(":")
    if command.takes == WORDS:
        return int(getattr(__import__(module, fromlist=[function]), function)(words))
    values, operands, rest = parse(command, words)
    if values.get("help"):
        from .helping import help_text

        print(help_text(command))
        return 0
    carry_out = getattr(__import__(module, fromlist=[function]), function)
    if command.takes == COMMAND:
        return int(carry_out(values, operands, rest))
    return int(carry_out(values, operands + (rest or [])))
