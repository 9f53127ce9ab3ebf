"""The options of ``pylock flom``: FLoM's own."""

from __future__ import annotations

from ..compat import flom
from . import options
from .options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT, CANNOT_RUN, BUSY, FAILED = 96, 97, 98, 99
"""FLoM's exit statuses: must not be created and is not there; no such program; busy or timed out; all else."""

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
    takes=options.COMMAND,
)  # fmt: skip
