"""``pylock flom``: FLoM's command line, for ``alias flom='pylock flom'``. What differs is in docs/reference/flom.md."""

from __future__ import annotations

import os

from .. import signames
from ..compat import flom
from ..errors import LockError
from . import complain
from .options import Command, Option, UsageError, parse
from .runner import run_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import Values

ABSENT, CANNOT_RUN, BUSY, FAILED = 96, 97, 98, 99
"""FLoM's exit statuses: must not be created and is not there; no such program; busy or timed out; all else."""

RESOURCE, COMMAND, _IDLE = "What to lock", "The command", "Accepted, nothing to do"
_ELSEWHERE = "Not here; each says what to use instead"


def _unserved(kind: str) -> Callable[[str], object]:
    def refuse(text: str) -> object:
        raise ValueError(flom.INSTEAD[kind])

    return refuse


def _refused(kind: str, **options: str) -> tuple[Option, ...]:
    """Options of FLoM, each with its short form, that say what to use instead."""
    return tuple(
        Option(long.replace("_", "-"), short, "X", kind, parse=_unserved(kind), group=_ELSEWHERE)
        for long, short in options.items()
    )


FLOM = Command(
    "flom",
    "-- COMMAND [ARG...]",
    "FLoM's command line: its options, resource names, key files and exit statuses.",
    "",
    (
        Option("resource-name", "r", "NAME", "name, name[n], a.b.c, /a/b, _s_name[n], _S_name[n] or _t_format[n]",
               name="resource", group=RESOURCE),
        Option("resource-timeout", "o", "MS", "milliseconds to wait; -1 for ever, 0 not at all", name="timeout",
               parse=flom.milliseconds, group=RESOURCE),
        Option("resource-quantity", "q", "N", "units of a numeric resource", name="quantity", parse=flom.quantity,
               group=RESOURCE),
        Option("lock-mode", "l", "MODE", ", ".join(flom.MODES), name="mode", parse=flom.lock_mode, group=RESOURCE),
        Option("resource-create", "e", "yes|no", "no: wait until somebody else uses it", name="create",
               parse=flom.yes_or_no, group=RESOURCE),
        Option("resource-idle-lifespan", "i", "MS", "milliseconds that it exists after this use",
               name="idle_lifespan", parse=flom.milliseconds, group=RESOURCE),
        Option("socket-name", "s", "PATH", "a directory that stands for a daemon of its own; made if need be",
               name="socket", group=RESOURCE),
        Option("config-file", "c", "FILE", "a key file, read last", group=RESOURCE),
        Option("ignore-signal", "", "SIG", "swallow the signal while the command runs; may be repeated",
               name="ignore_signals", many=True, group=COMMAND),
        Option("verbose", "v", help="say what happens", group=COMMAND),
        Option("signal-list", "", help="list the signals that can be ignored", group=COMMAND),
        Option("version", "V", help="show the version", group=COMMAND),
        Option("help", "h", help="show this help (also -?)", group=COMMAND),
        Option("daemon-lifespan", "d", "MS", "there is no daemon", group=_IDLE),
        Option("quiesce-exit", "x", help="there is no daemon to end", group=_IDLE),
        Option("immediate-exit", "X", help="there is no daemon to end", group=_IDLE),
        Option("daemon-trace-file", "T", "FILE", "nothing is traced", group=_IDLE),
        Option("command-trace-file", "t", "FILE", "nothing is traced", group=_IDLE),
        Option("append-trace-file", "", "yes|no", "nothing is traced", group=_IDLE),
        *_refused("network", unicast_address="a", unicast_port="p", multicast_address="A", multicast_port="P",
                  network_interface="n", discovery_attempts="D", discovery_timeout="I", discovery_ttl="",
                  tcp_keepalive_time="", tcp_keepalive_intvl="", tcp_keepalive_probes=""),
        *_refused("tls", tls_certificate="", tls_private_key="", tls_ca_certificate="", tls_check_peer_id=""),
        Option("unique-id", "", help="tls", group=_ELSEWHERE),
        *_refused("vfs", mount_point_vfs="m"),
    ),
    exit_codes=(
        ("0-255", "the command's own exit status"),
        (str(ABSENT), "with -e no -o 0: nobody uses the resource"),
        (str(CANNOT_RUN), "the command cannot be run"),
        (str(BUSY), "the resource was busy, or was not had in time"),
        (str(FAILED), "the request can never be met, wrong usage, or pylock itself failed"),
        ("128+n", "the command, or pylock while it waited, died of signal n (pylock dies of it too)"),
    ),
)  # fmt: skip


def run_flom(words: list[str]) -> int:
    """Carry out FLoM's command line and return its exit status."""
    end = words.index("--") if "--" in words else len(words)
    words = ["-h" if word == "-?" else word for word in words[:end]] + words[end:]
    try:
        values, operands, rest = parse(FLOM, words)
        return _answer(values) if _asks_only(values) else _run(values, operands + (rest or []))
    except (UsageError, LockError, OSError, ValueError) as error:
        complain(str(error))
        return FAILED


def _asks_only(values: Values) -> bool:
    return any(name in values for name in ("help", "version", "signal_list", "quiesce_exit", "immediate_exit"))


def _answer(values: Values) -> int:
    """Print what was asked for; a daemon is not there to be ended."""
    if "help" in values:
        from .manual import help_text

        print(help_text(FLOM))
    elif "version" in values:
        from .. import __version__

        print(f"pylock {__version__}, with the command line of FLoM")
    elif "signal_list" in values:
        for name, number in signames.signals().items():
            print(f"{number:3} {name}")
    return 0


def _run(values: Values, command: list[str]) -> int:
    if "unique_id" in values:
        raise UsageError(f"--unique-id: {flom.INSTEAD['tls']}")
    if not command:
        if "daemon_lifespan" in values:
            return 0
        raise UsageError('the command is missing: pylock flom [OPTIONS] -- COMMAND [ARG...]; mind the "--"')
    settings: Values = {}
    files = [path for path in map(os.path.expanduser, flom.KEY_FILES) if os.path.exists(path)]
    for path in (*files, *([values["config_file"]] if "config_file" in values else [])):
        settings |= flom.read_key_file(path)
    settings |= values
    resource = settings.get("resource", flom.DEFAULT_RESOURCE)
    wanted = flom.settings_of(resource, settings.pop("mode", "EX"), settings.get("quantity", 1))
    own: Values = {"as_flom": True, "quiet": "verbose" not in values, "busy_exit_code": BUSY}
    if settings.get("timeout") == 0:
        own["absent_exit_code"] = ABSENT
    if "socket" in settings:
        own["directory"] = flom.socket_directory(settings["socket"])
    return run_settings(settings | wanted | own, resource, command, cannot_run=CANNOT_RUN)
