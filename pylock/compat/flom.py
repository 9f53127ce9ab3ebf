"""FLoM's names of resources and its key files, as settings of ``pylock run``.

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
from typing import Any

from ..modes import ALL

Settings = dict[str, Any]

DEFAULT_RESOURCE = "_RESOURCE"
KEY_FILES = ("/etc/flom.conf", "~/.flom")
"""Read one after the other, where there are any, before the one that is named by hand."""
MODES = tuple(rule.code for rule in ALL)

_MOST_DIGITS = 18
_NUMBER = rf"([0-9]{{1,{_MOST_DIGITS}}})"
_WHOLE = re.compile(rf"\s*[-+]?[0-9]{{1,{_MOST_DIGITS}}}\s*")
_WORD = "[A-Za-z][A-Za-z0-9]*"
_SIMPLE = re.compile(rf"{_WORD}|{DEFAULT_RESOURCE}")
_NUMERIC = re.compile(rf"{_WORD}\[{_NUMBER}\]")
_SET = re.compile(rf"{_WORD}(\.{_WORD})+")
_HIERARCHICAL = re.compile(rf"(/{_WORD})+")
_SEQUENCE = re.compile(rf"_([sS])_{_WORD}\[{_NUMBER}\]")
_TIMESTAMP = re.compile(rf"_[tT]_(.+)\[{_NUMBER}\]")


def settings_of(resource: str, mode: str, quantity: int) -> Settings:
    """Return what is to be locked. A mode or quantity that this kind of resource does not have is left out, as there.

    Raises ValueError for what is no name of a resource.
    """
    if _SIMPLE.fullmatch(resource):
        return {"mode": mode}
    if resource.endswith("[0]"):
        raise ValueError(f"{resource!r} can never be had: there are 0 of it")
    if found := _NUMERIC.fullmatch(resource):
        return {"capacity": int(found[1]), "weight": quantity}
    if _SET.fullmatch(resource):
        return {"any_of": tuple(resource.split("."))}
    if _HIERARCHICAL.fullmatch(resource):
        return {"tree": resource, "mode": mode}
    if found := _SEQUENCE.fullmatch(resource):
        return {"sequence": True, "transactional": found[1] == "S", "capacity": int(found[2])}
    if found := _TIMESTAMP.fullmatch(resource):
        return {"timestamp": found[1], "capacity": int(found[2])}
    raise ValueError(
        f"{resource!r} is no name of a FLoM resource; use name, name[n], a.b.c, /a/b, _s_name[n], _S_name[n] or"
        " _t_format[n], names made of letters and digits"
    )


def milliseconds(text: str) -> float | None:
    """Read a time as FLoM has it, into seconds; a negative one is for ever, None. Raises ValueError."""
    number = _whole(text)
    return None if number < 0 else number / 1000


def yes_or_no(text: str) -> bool:
    """Raises ValueError."""
    word = text.strip().lower()
    if word not in ("yes", "y", "no", "n"):
        raise ValueError(f"{text!r} is neither yes nor no")
    return word.startswith("y")


def lock_mode(text: str) -> str:
    """Raises ValueError."""
    mode = text.strip().upper()
    if mode not in MODES:
        raise ValueError(f"{text!r} is not one of {', '.join(MODES)}")
    return mode


def quantity(text: str) -> int:
    """Raises ValueError."""
    number = _whole(text)
    if number < 1:
        raise ValueError(f"{text} is less than 1")
    return number


def socket_directory(path: str) -> str:
    """Return the lock directory that stands for a daemon's socket, made if need be.

    Raises LockError for one that is not to be trusted, OSError, ValueError.
    """
    from ..new_directory import make_private

    return make_private(path)


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text[:_MOST_DIGITS]!r} is not a whole number of at most {_MOST_DIGITS} digits")
    return int(text)


def _signals(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(";") if name.strip())


_KEYS: dict[str, dict[str, tuple[str | None, Callable[[str], Any]]]] = {
    "Resource": {
        "Name": ("resource", str),
        "Timeout": ("timeout", milliseconds),
        "Wait": (None, str),
        "Quantity": ("quantity", quantity),
        "LockMode": ("mode", lock_mode),
        "Create": ("create", yes_or_no),
        "IdleLifespan": ("idle_lifespan", milliseconds),
    },
    "Monitor": {"IgnoredSignals": ("ignore_signals", _signals)},
    "Trace": dict.fromkeys(("DaemonTraceFile", "CommandTraceFile", "AppendTraceFile", "Verbose"), (None, str)),
    "Daemon": {"SocketName": ("socket", str), "Lifespan": (None, str)},
}
"""The keys that count, each with the setting that it is and how it is read; None: accepted, there is nothing to do."""

INSTEAD = {
    "network": "pylock has no daemon that listens on a network; put the lock directory on NFS and name it with -s",
    "tls": "pylock sends nothing over a network of its own; protect the lock directory by its permissions",
    "vfs": 'pylock has no file system to look into; use "pylock status"',
}
"""What to use for what is not here."""
_ELSEWHERE = {
    "UnicastAddress": "network",
    "UnicastPort": "network",
    "MulticastAddress": "network",
    "MulticastPort": "network",
    "MountPointVFS": "vfs",
}


def read_key_file(path: str) -> Settings:
    """Return the settings of a key file. Raises ValueError with path, group and key; OSError."""
    parser = ConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their capitals
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (ConfigError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    settings: Settings = {}
    for group in parser.sections():
        for key, text in parser.items(group):
            settings |= _setting(path, group, key, text)
    return settings


def _setting(path: str, group: str, key: str, text: str) -> Settings:
    where = f"{path}: [{group}] {key}"
    kind = {"Network": "network", "TLS": "tls"}.get(group) or _ELSEWHERE.get(key)
    if kind is not None:
        if not text.strip():
            return {}
        raise ValueError(f"{where}: {INSTEAD[kind]}")
    if group not in _KEYS or key not in _KEYS[group]:
        raise ValueError(f"{where} is not a key of FLoM; remove it")
    setting, read = _KEYS[group][key]
    try:
        return {} if setting is None else {setting: read(text.strip())}
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
