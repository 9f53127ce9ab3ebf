"""FLoM's names of resources, its settings and its key files, as settings of ``pylock run``.

FLoM says by the form of a name what kind of resource it is:

    name                 simple, in one of the six lock modes
    name[5]              numeric: 5 units
    red.green.blue       set: one of the elements
    /apple/pear          hierarchical
    _s_name[1]           sequence, of which 1 value may be out; _S_name[1] is transactional
    _t_%Y%m%d%H%M%S[1]   timestamp, of which 1 may be out

The lock has the whole of it as its name, so that A[5] and A[8] are two resources, as they are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from configparser import ConfigParser
from configparser import Error as ConfigError
from typing import Any, NamedTuple

from .._file.layout import UNLIMITED
from .._modes import ALL

Settings = dict[str, Any]
Read = Callable[[str, int], Any]
"""Reads a value; whole numbers in that base, where 0 stands for C's: 0x10 is 16 and 010 is 8. Raises ValueError."""

DEFAULT_RESOURCE = "_RESOURCE"
KEY_FILES = ("/etc/flom.conf", "~/.flom")
"""Read one after the other, where there are any, before the one that is named by hand."""
MODES = tuple(rule.code for rule in ALL)
LONG_MODES = ("NullLock", "ConcurrentRead", "ConcurrentWrite", "ProtectedRead", "ProtectedWrite", "Exclusive")

_WORD = "[A-Za-z][A-Za-z0-9]*"
_NAMES = {
    "hierarchical": re.compile(r"(/[^/\n]+)+"),
    "simple": re.compile(_WORD),
    "numeric": re.compile(rf"{_WORD}\[(\d+)\]", re.ASCII),
    "set": re.compile(rf"{_WORD}(\.{_WORD})+"),
    "sequence": re.compile(rf"_([sS])_{_WORD}\[(\d+)\]", re.ASCII),
    "timestamp": re.compile(r"_t_(.+)\[(\d+)\]", re.ASCII),
}
_FRACTION = re.compile("#f{1,6}")
_DECIMAL = re.compile(r"\s*[+-]?[0-9]{1,30}")
_AS_IN_C = re.compile(r"\s*[+-]?(0[xX][0-9a-fA-F]{1,30}|0[0-7]{0,30}|[1-9][0-9]{0,30})")
_MOST = 2**31 - 1


class Impossible(ValueError):
    """There will never be as much as is asked for."""


# Resources


def kind_of(resource: str) -> str:
    """Return which kind of resource has a name of this form. Raises ValueError if none has."""
    if resource == DEFAULT_RESOURCE:
        return "simple"
    for kind, form in _NAMES.items():
        if form.fullmatch(resource):
            return kind
    raise ValueError(
        f"{shortened(resource)} is no name of a FLoM resource; use name, name[n], a.b.c, /a/b, _s_name[n], _S_name[n]"
        " or _t_format[n], where names are made of letters and digits, and those of /a/b of anything but /"
    )


def settings_of(resource: str, mode: str, quantity: int) -> Settings:
    """Return what is to be locked. A mode or quantity that this kind of resource does not have is left out, as there.

    Raises ValueError for what is no name of a resource; Impossible.
    """
    kind = kind_of(resource)
    if kind == "simple":
        return {"mode": mode}
    if kind == "hierarchical":
        return {"tree": resource, "whole_tree_exists": True, "mode": mode}
    if kind == "set":
        return {"any_of": tuple(resource.split(".")), "rotate": True}
    found = _NAMES[kind].fullmatch(resource)
    assert found is not None
    *form, text = found.groups()
    total = _total(resource, text)
    if kind == "numeric":
        if quantity > total:
            raise Impossible(f"{quantity} units of {resource!r} can never be had: there are {total}")
        return {"capacity": total, "weight": quantity}
    if not total:
        raise Impossible(f"{resource!r} can never be had: there are 0 of it")
    if kind == "sequence":
        return {"sequence": True, "transactional": form[0] == "S", "capacity": total}
    return {"timestamp": _FRACTION.sub(r".\g<0>", form[0]), "capacity": total}


def without_effect(resource: str, settings: Settings) -> list[str]:
    """Return the keys that say something which this kind of resource does not have."""
    kind = kind_of(resource)
    unused = []
    if settings["mode"] != "EX" and kind not in ("simple", "hierarchical"):
        unused.append("LockMode")
    if settings["quantity"] != 1 and kind != "numeric":
        unused.append("Quantity")
    return unused


def _total(resource: str, digits: str) -> int:
    if len(digits.lstrip("0")) > len(str(_MOST)) or int(digits) > _MOST:
        raise ValueError(f"{shortened(resource)}: there can be {_MOST} of it at most")
    return min(int(digits), UNLIMITED)


def shortened(text: str) -> str:
    """The text as it may be shown in a message."""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


# Values


def integer(text: str, base: int) -> int:
    """Read a whole number as FLoM has it: of 32 bits."""
    form = _AS_IN_C if base == 0 else _DECIMAL
    if form.fullmatch(text):
        digits = text.strip().lstrip("+-")
        octal = base == 0 and digits.isdecimal() and digits[0] == "0"
        number = int(digits, 8 if octal else base) * (-1 if text.strip().startswith("-") else 1)
        if -_MOST - 1 <= number <= _MOST:
            return number
    raise ValueError(f"{shortened(text)} is not a whole number of 32 bits")


def _size(text: str, base: int) -> int:
    return abs(integer(text, base))


def _text(text: str, base: int) -> str:
    return text


def _yes_or_no(text: str, base: int) -> bool:
    word = text.strip().lower()
    if word not in ("yes", "y", "no", "n"):
        raise ValueError(f"{shortened(text)} is neither yes nor no")
    return word.startswith("y")


def _lock_mode(text: str, base: int) -> str:
    mode = text.strip().lower()
    for code, long in zip(MODES, LONG_MODES, strict=True):
        if mode in (code.lower(), long.lower()):
            return code
    raise ValueError(f"{shortened(text)} is not one of {', '.join(MODES)}, nor of {', '.join(LONG_MODES)}")


def _resource_name(text: str, base: int) -> str:
    if text == DEFAULT_RESOURCE:
        raise ValueError(f"{text} is reserved: it is what is locked if no name is given")
    kind_of(text)
    return text


def _signals(text: str, base: int) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(";") if name.strip())


INSTEAD = {
    "network": "pylock has no daemon that listens on a network; put the lock directory on NFS and name it with -s",
    "tls": "pylock sends nothing over a network of its own; protect the lock directory by its permissions",
    "vfs": 'pylock has no file system to look into; use "pylock status"',
}
"""What to use for what is not here."""


def _only(default: Any, read: Read, kind: str) -> Read:
    """Read what is not here, which is no matter as long as it has its default value."""

    def refuse_others(text: str, base: int) -> Any:
        if not text.strip():
            return default
        value = read(text, base)
        if value != default:
            raise ValueError(INSTEAD[kind])
        return value

    return refuse_others


# Settings


class Key(NamedTuple):
    """One setting of FLoM: where it stands in a key file, what it is called here, and how it is read."""

    group: str
    name: str
    setting: str
    default: Any
    read: Read
    shown: bool = True
    """Whether FLoM prints it among its settings; of others nothing is printed where they have their default value."""


def _absent(group: str, name: str, setting: str, default: Any, read: Read, kind: str, shown: bool = True) -> Key:
    return Key(group, name, setting, default, _only(default, read, kind), shown)


KEYS = (
    Key("Trace", "DaemonTraceFile", "daemon_trace_file", "", _text),
    Key("Trace", "CommandTraceFile", "command_trace_file", "", _text),
    Key("Trace", "AppendTraceFile", "append_trace_file", False, _yes_or_no),
    Key("Trace", "Verbose", "verbose", False, _yes_or_no),
    Key("Resource", "Name", "resource", DEFAULT_RESOURCE, _resource_name),
    Key("Resource", "Wait", "wait", True, _yes_or_no, shown=False),
    Key("Resource", "Timeout", "timeout", -1, integer),
    Key("Resource", "Quantity", "quantity", 1, _size),
    Key("Resource", "LockMode", "mode", "EX", _lock_mode),
    Key("Resource", "Create", "create", True, _yes_or_no),
    Key("Resource", "IdleLifespan", "idle_lifespan", 0, _size),
    Key("Daemon", "SocketName", "socket", "", _text),
    Key("Daemon", "Lifespan", "daemon_lifespan", 5000, integer),
    _absent("Daemon", "UnicastAddress", "unicast_address", "", _text, "network"),
    _absent("Daemon", "UnicastPort", "unicast_port", 28015, integer, "network"),
    _absent("Daemon", "MulticastAddress", "multicast_address", "", _text, "network"),
    _absent("Daemon", "MulticastPort", "multicast_port", 28015, integer, "network"),
    _absent("Daemon", "MountPointVFS", "mount_point_vfs", "", _text, "vfs", shown=False),
    Key("Monitor", "IgnoredSignals", "ignore_signals", (), _signals),
    Key("Monitor", "KilledIsFailure", "killed_is_failure", False, _yes_or_no, shown=False),
    _absent("Network", "NetworkInterface", "network_interface", "", _text, "network"),
    _absent("Network", "DiscoveryAttempts", "discovery_attempts", 2, integer, "network"),
    _absent("Network", "DiscoveryTimeout", "discovery_timeout", 500, integer, "network"),
    _absent("Network", "DiscoveryTTL", "discovery_ttl", 1, integer, "network"),
    _absent("Network", "TcpKeepaliveTime", "tcp_keepalive_time", 60, integer, "network"),
    _absent("Network", "TcpKeepaliveIntvl", "tcp_keepalive_intvl", 10, integer, "network"),
    _absent("Network", "TcpKeepaliveProbes", "tcp_keepalive_probes", 6, integer, "network"),
    _absent("TLS", "TlsCertificate", "tls_certificate", "", _text, "tls"),
    _absent("TLS", "TlsPrivateKey", "tls_private_key", "", _text, "tls"),
    _absent("TLS", "TlsCaCertificate", "tls_ca_certificate", "", _text, "tls"),
    _absent("TLS", "TlsCheckPeerId", "tls_check_peer_id", False, _yes_or_no, "tls"),
)
"""In the order in which FLoM prints them. KilledIsFailure is pylock's own, which FLoM would pass over."""
BY_SETTING = {key.setting: key for key in KEYS}
_BY_PLACE = {(key.group, key.name): key for key in KEYS}
_DEFAULTS = {key.setting: key.default for key in KEYS}
_ZERO_SAYS_NOTHING = ("quantity", "idle_lifespan")


def completed(*layers: Settings) -> Settings:
    """Return all settings, of those that are given more than once the last."""
    settings = dict(_DEFAULTS)
    for layer in layers:
        settings |= {name: value for name, value in layer.items() if value != 0 or name not in _ZERO_SAYS_NOTHING}
    return settings


def described(settings: Settings) -> list[str]:
    """Return the settings as FLoM prints them."""
    return [
        f"[{key.group}]/{key.name}={_printed(key, settings[key.setting])}"
        for key in KEYS
        if key.shown or settings[key.setting] != key.default
    ]


def _printed(key: Key, value: Any) -> str:
    if isinstance(value, tuple):
        value = ";".join(value)
    if key.read is _lock_mode:
        value = MODES.index(value)
    return f"'{value}'" if isinstance(value, str) else str(int(value))


def seconds(milliseconds: int) -> float | None:
    """Return a time as pylock has it; a negative one is for ever, None."""
    return None if milliseconds < 0 else milliseconds / 1000


def socket_directory(path: str) -> str:
    """Return the lock directory that stands for a daemon's socket, made if need be.

    Raises LockError for one that is not to be trusted, OSError, ValueError.
    """
    from .._file.new_directory import make_private

    return make_private(path)


# Key files


def read_key_file(path: str) -> Settings:
    """Return the settings of a key file. Raises ValueError with path, group and key; OSError."""
    parser = ConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their capitals
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_string("\n".join(map(str.strip, file)))  # an indented line begins a key of its own, as there
    except (ConfigError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    settings: Settings = {}
    for group in parser.sections():
        for name, text in parser.items(group):
            settings |= _setting(path, group, name, text)
    return settings


def _setting(path: str, group: str, name: str, text: str) -> Settings:
    where = f"{path}: [{group}] {name}"
    key = _BY_PLACE.get((group, name))
    if key is None:
        raise ValueError(f"{where} is not a key of FLoM; remove it")
    try:
        return {key.setting: key.read(text.strip(), 10)}
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
