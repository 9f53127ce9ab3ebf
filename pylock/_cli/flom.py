"""``pylock flom``: FLoM's command line. What differs is in docs/reference/flom.md."""

from __future__ import annotations

import os

from .. import __version__
from .._errors import DefinitionMismatch, LockError
from .._file.texts import from_os
from .._run import signals as signames
from ..compat import flom
from . import complain, message_of, tell
from .flom_options import ABSENT, BUSY, CANNOT_RUN, FAILED, FLOM
from .flom_ways import Ways
from .helping import help_text
from .options import UsageError, parse
from .runner import run_settings
from .settings import RunSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Values

# What FLoM prints, to the letter, because scripts look for it.
_IMPOSSIBLE = "Resource will never satisfy the request, the lock cannot be obtained"
_NO_COMMAND = "No command to execute!"

_HELP = {"-?": "-h", "--help-all": "--help"}


def run_flom(words: list[str]) -> int:
    """Carry out FLoM's command line and return its exit status."""
    end = words.index("--") if "--" in words else len(words)
    words = [_HELP.get(word, word) for word in words[:end]] + words[end:]
    try:
        values, operands, rest = parse(FLOM, words)
        return _answer(values) if _asks_only(values) else _run(values, operands + (rest or []))
    except BrokenPipeError:
        raise
    except (flom.Impossible, DefinitionMismatch) as error:
        tell(_IMPOSSIBLE)
        complain(str(error))
    except (UsageError, LockError, OSError, ValueError) as error:
        complain(message_of(error))
    return FAILED


def _asks_only(values: Values) -> bool:
    return any(
        name in values for name in ("help", "version", "signal_list", "install", "quiesce_exit", "immediate_exit")
    )


def _answer(values: Values) -> int:
    """Print what was asked for; a daemon is not there to be ended."""
    if "help" in values:
        print(help_text(FLOM))
        return 0
    if "install" in values:
        from .executable import install

        print(install(values["install"]))
    if "version" in values:
        print(f"pylock {__version__}, with the command line of FLoM")
    if "signal_list" in values:
        for name, number in signames.signals().items():
            print(f"{number:3} {name}")
    return 0


def _run(values: Values, command: list[str]) -> int:
    if "unique_id" in values:
        raise UsageError(f"--unique-id: {flom.INSTEAD['tls']}")
    if values.get("quantity", 0) < 0:
        complain(f"--resource-quantity: {values.pop('quantity')} is less than nothing, and so passed over")
    if "resource" in values:
        values["resource"] = from_os(values["resource"])
    files = [path for path in map(os.path.expanduser, flom.KEY_FILES) if os.path.exists(path)]
    files += [values["config_file"]] if "config_file" in values else []
    settings = flom.completed(*map(flom.read_key_file, files), values)
    if settings["verbose"]:
        print(*flom.described(settings), sep="\n", flush=True)
        for name in flom.without_effect(settings["resource"], settings):
            complain(f"{name} is passed over: {settings['resource']} has none")
    if not command:
        tell(_NO_COMMAND)
        complain('usage: pylock flom [OPTIONS] -- COMMAND [ARG...]; mind the "--"')
        return CANNOT_RUN
    return run_settings(RunSettings(_as_of_run(settings)), settings["resource"], command, cannot_run=CANNOT_RUN)


def _as_of_run(settings: flom.Settings) -> Values:
    """Return the same as settings of ``pylock run``."""
    own: Values = {
        "as_flom": Ways(settings),
        "quiet": not settings["verbose"],
        "verbose": settings["verbose"],
        "busy_exit_code": BUSY,
        "timeout": flom.seconds(settings["timeout"]),
        "create": settings["create"],
        "ignore_signals": _usable(settings["ignore_signals"]),
    }
    if settings["timeout"] == 0:
        own["absent_exit_code"] = ABSENT
    if settings["idle_lifespan"]:
        own["idle_lifespan"] = flom.seconds(settings["idle_lifespan"])
    if settings["socket"]:
        own["directory"] = flom.socket_directory(settings["socket"])
    return own | flom.settings_of(settings["resource"], settings["mode"], settings["quantity"])


def _usable(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the signals that can be ignored; the others are told of, and no obstacle."""
    usable = []
    for name in names:
        try:
            signames.ignorable(name)
            usable.append(name)
        except ValueError as error:
            complain(f"--ignore-signal is passed over: {error}")
    return tuple(usable)
