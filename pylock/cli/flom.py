"""``pylock flom``: FLoM's command line. What differs is in docs/reference/flom.md."""

from __future__ import annotations

import os

from .. import signames
from ..compat import flom
from ..errors import DefinitionMismatch, LockError
from . import complain, tell
from .options import Command, Option, UsageError, parse
from .runner import run_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .options import Values

ABSENT, CANNOT_RUN, BUSY, FAILED = 96, 97, 98, 99
"""FLoM's exit statuses: must not be created and is not there; no such program; busy or timed out; all else."""

# What FLoM prints, to the letter, because scripts look for it.
_BUSY = "Resource already locked, the lock cannot be obtained"
_CANNOT_WAIT = "The resource could be available in the future, but the requester can't wait"
_TIMED_OUT = "The lock was not obtained because timeout ({} milliseconds) expired"
_IMPOSSIBLE = "Resource will never satisfy the request, the lock cannot be obtained"
_NO_COMMAND = "No command to execute!"
_GIVEN = "Locked element is '{}'"

RESOURCE, COMMAND, OWN, _IDLE = "What to lock", "The command", "Not of FLoM", "Accepted, nothing to do"
_ELSEWHERE = "Not here, save with FLoM's own default; each says what to use instead"


def _reader(setting: str) -> Callable[[str], object]:
    """What reads the value of a setting on the command line, where FLoM takes numbers as C does."""
    key = flom.BY_SETTING[setting]
    return lambda text: key.read(text, 0)


def _option(long: str, short: str, metavar: str, help: str, setting: str, group: str) -> Option:
    return Option(long, short, metavar, help, name=setting, parse=_reader(setting), group=group)


def _refused(**options: str) -> tuple[Option, ...]:
    """Options of FLoM, each with its short form, that say what to use instead."""
    return tuple(
        _option(setting.replace("_", "-"), short, "X", f"only {_shown_default(setting)}", setting, _ELSEWHERE)
        for setting, short in options.items()
    )


def _shown_default(setting: str) -> str:
    default = flom.BY_SETTING[setting].default
    return "no" if default is False else str(default) or "empty"


FLOM = Command(
    "flom",
    "-- COMMAND [ARG...]",
    "FLoM's command line: its options, resource names, key files and exit statuses.",
    "",
    (
        _option("resource-name", "r", "NAME", "name, name[n], a.b.c, /a/b, _s_name[n], _S_name[n] or _t_format[n]",
                "resource", RESOURCE),
        _option("resource-timeout", "o", "MS", "milliseconds to wait; -1 for ever, 0 not at all", "timeout", RESOURCE),
        Option("resource-quantity", "q", "N", "units of a numeric resource", name="quantity",
               parse=lambda text: flom.integer(text, 0), group=RESOURCE),
        _option("lock-mode", "l", "MODE", f"{', '.join(flom.MODES)}, or {', '.join(flom.LONG_MODES)}", "mode",
                RESOURCE),
        _option("resource-create", "e", "yes|no", "no: wait until somebody else uses it", "create", RESOURCE),
        _option("resource-idle-lifespan", "i", "MS", "milliseconds that it goes on existing after its last use",
                "idle_lifespan", RESOURCE),
        _option("socket-name", "s", "PATH", "a directory that stands for a daemon of its own; made if need be",
                "socket", RESOURCE),
        Option("config-file", "c", "FILE", "a key file, read last", group=RESOURCE),
        Option("ignore-signal", "", "SIG", "swallow the signal while the command runs; may be repeated",
               name="ignore_signals", many=True, group=COMMAND),
        Option("verbose", "V", help="print the settings, and what was given", group=COMMAND),
        Option("signal-list", "", help="list the signals that can be ignored", group=COMMAND),
        Option("version", "v", help="show the version", group=COMMAND),
        Option("help", "h", help="show this help (also -? and --help-all)", group=COMMAND),
        Option("install", "", "DIR", "write an executable DIR/flom, for scripts and cron", group=OWN),
        _option("daemon-lifespan", "d", "MS", "there is no daemon", "daemon_lifespan", _IDLE),
        Option("quiesce-exit", "x", help="there is no daemon to end", group=_IDLE),
        Option("immediate-exit", "X", help="there is no daemon to end", group=_IDLE),
        _option("daemon-trace-file", "t", "FILE", "nothing is traced", "daemon_trace_file", _IDLE),
        _option("command-trace-file", "T", "FILE", "nothing is traced", "command_trace_file", _IDLE),
        _option("append-trace-file", "", "yes|no", "nothing is traced", "append_trace_file", _IDLE),
        *_refused(unicast_address="a", unicast_port="p", multicast_address="A", multicast_port="P",
                  network_interface="n", discovery_attempts="D", discovery_timeout="I", discovery_ttl="",
                  tcp_keepalive_time="", tcp_keepalive_intvl="", tcp_keepalive_probes="", tls_certificate="",
                  tls_private_key="", tls_ca_certificate="", tls_check_peer_id="", mount_point_vfs="m"),
        Option("unique-id", "", help="never", group=_ELSEWHERE),
    ),
    exit_codes=(
        ("0-255", "the command's own exit status; 0 if a signal killed it, unless it was sent to flom as well"),
        (str(ABSENT), "with -e no -o 0: nobody uses the resource"),
        (str(CANNOT_RUN), "the command cannot be run, or is missing"),
        (str(BUSY), "the resource was busy, or was not had in time"),
        (str(FAILED), "the request can never be met, wrong usage, or pylock itself failed"),
        ("128+n", "signal n was sent to flom and the command died of it, or flom while it waited"),
    ),
)  # fmt: skip

_HELP = {"-?": "-h", "--help-all": "--help"}


class Ways:
    """What happens otherwise than in ``pylock run`` around a command."""

    def __init__(self, settings: flom.Settings) -> None:
        self._verbose: bool = settings["verbose"]
        self._timeout: int = settings["timeout"]
        self._killed_is_failure: bool = settings["killed_is_failure"]

    def arguments(self, given: list[str]) -> list[str]:
        """Return what the command is told at the end of its arguments."""
        if self._verbose:
            for value in given:
                print(_GIVEN.format(value), flush=True)
        return given

    def say_refused(self, exists: bool) -> None:
        """Say that the lock was not to be had, before pylock says why."""
        if self._timeout:
            tell(_TIMED_OUT.format(self._timeout))
        else:
            tell(_BUSY if exists else _CANNOT_WAIT)

    def overlooks(self, signal: int, received: Collection[int]) -> bool:
        """Whether it is no failure that the signal killed the command; ``received`` are those that were sent to us."""
        if self._killed_is_failure or signal in received:
            return False
        if self._verbose:
            complain(f"the command was killed by {signames.name_of(signal)}")
        return True


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
        complain(str(error))
    return FAILED


def _asks_only(values: Values) -> bool:
    return any(
        name in values for name in ("help", "version", "signal_list", "install", "quiesce_exit", "immediate_exit")
    )


def _answer(values: Values) -> int:
    """Print what was asked for; a daemon is not there to be ended."""
    if "help" in values:
        from .manual import help_text

        print(help_text(FLOM))
        return 0
    if "install" in values:
        from .executable import install

        print(install(values["install"]))
    if "version" in values:
        from .. import __version__

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
    return run_settings(_as_of_run(settings), settings["resource"], command, cannot_run=CANNOT_RUN)


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
