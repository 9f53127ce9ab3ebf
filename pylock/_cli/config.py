"""Settings from files, for the command only: the system's, the user's, one named by hand; a later one wins.

    [resource]                              [monitor]                       [locks.maintain]
    name = "nightly"                        ignored_signals = ["SIGTERM"]   capacity = 5
    timeout = 60                                                            policy = "fair"

This module is not even imported where there is no file.
"""

from __future__ import annotations

from .._file.bytemap import LAST_PRIORITY
from .._file.layout import POLICIES, UNLIMITED
from .._file.texts import to_os
from .._modes import ALL, rule_of
from .._run.signals import ignorable, ignorable_from_start
from .options import JOBSCHEDULERS_UNLIMITED, MOST_SECONDS, ON_LOST, SHOWN, UsageError, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .options import Values

    Check = Callable[[Any], bool]


MOST_BYTES = 1 << 20
"""Of a settings file; a device would never end."""


def load_settings(files: list[str]) -> Values:
    """Return what the files say, a later one before an earlier. Raises UsageError with file and key."""
    settings: Values = {}
    for path in files:
        read = _read(path)
        read |= {key: to_os(read[key]) for key in ("directory", "log") if key in read}
        read |= {f"{key}_{by}": path for key, by in (("directory", "by"), ("locks", "from")) if key in read}
        settings |= read
    return settings


def _read(path: str) -> Values:
    import tomllib

    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise UsageError(f"{path}: is larger than {MOST_BYTES} bytes; name a settings file in TOML")
        text = raw.decode("utf-8-sig")
        return _Reader(path, text).settings(tomllib.loads(text))
    except OSError as error:
        raise UsageError(f"settings file {path}: {error.strerror}") from None
    except RecursionError:
        raise UsageError(f"{path}: is nested too deeply") from None
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise UsageError(f"{path}: {error}") from None


class _Reader:
    """Checks the tables of one file."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text

    def settings(self, tables: dict[str, object]) -> Values:
        settings: Values = {}
        for name, table in tables.items():
            if not isinstance(table, dict) or name not in (*_KEYS, "locks"):
                raise self._wrong(name, name, f"is not a table of pylock; use one of {', '.join([*_KEYS, 'locks'])}")
            if name == "locks":
                settings["locks"] = {lock: self._definition(lock, keys) for lock, keys in table.items()}
            else:
                settings |= self._table(name, table, _KEYS[name])
        return settings

    def _definition(self, lock: str, keys: object) -> Values:
        if not isinstance(keys, dict):
            raise self._wrong(f"locks.{lock}", lock, 'must be a table: [locks."NAME"]')
        return self._table(f"locks.{lock}", keys, _DEFINITION_KEYS)

    def _table(self, name: str, table: dict[str, object], known: dict[str, _Key]) -> Values:
        values: Values = {}
        for key, value in table.items():
            if key not in known:
                raise self._wrong(f"{name}.{key}", key, f"is not a key of [{name}]; use {', '.join(known)}")
            target, check, expected = known[key]
            if not check(value):
                raise self._wrong(f"{name}.{key}", key, f"must be {expected}, not {_brief(value)}")
            if check is _is_seconds and isinstance(value, str):
                value = seconds(value)
            values[target] = tuple(value) if isinstance(value, list) else value
        if values.get("capacity") in ("unlimited", JOBSCHEDULERS_UNLIMITED):
            values["capacity"] = UNLIMITED
        return values

    def _wrong(self, where: str, key: str, what: str) -> UsageError:
        return UsageError(f"{self._path}:{self._line_of(key)}: {where} {what}")

    def _line_of(self, key: str) -> int:
        for number, line in enumerate(self._text.splitlines(), 1):
            if line.split("=")[0].strip(" []\t\n\"'").rpartition(".")[2] == key:
                return number
        return 1


def _brief(value: object) -> str:
    from .._status import shorten

    return shorten(repr(value))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _is_whole(least: int, most: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _accepted_by(check: Callable[[Any], object]) -> Check:
    """What the check takes without an error."""

    def is_accepted(value: object) -> bool:
        try:
            check(value)
        except (ValueError, TypeError):
            return False
        return True

    return is_accepted


def _are_signals(check: Callable[[str | int], int]) -> Check:
    """A list of signals that each pass the check."""

    def check_all(signals: object) -> None:
        if not isinstance(signals, list):
            raise TypeError
        for signal in signals:
            if isinstance(signal, bool) or not isinstance(signal, int | str):
                raise TypeError
            check(signal)

    return _accepted_by(check_all)


def _is_seconds(value: object) -> bool:
    if isinstance(value, str):
        return _accepted_by(seconds)(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_SECONDS


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_capacity(value: object) -> bool:
    return value in ("unlimited", JOBSCHEDULERS_UNLIMITED) or _is_whole(0, UNLIMITED)(value)


_Key = tuple[str, "Check", str]
_POLICY: _Key = ("policy", POLICIES.__contains__, " or ".join(POLICIES))
_CAPACITY: _Key = ("capacity", _is_capacity, 'a whole number or "unlimited"')
_SECONDS = "a number of seconds"
_KEYS: dict[str, dict[str, _Key]] = {
    "resource": {
        "name": ("name", _is_text, "a text without NUL"),
        "mode": ("mode", _accepted_by(rule_of), f"a mode: {', '.join(rule.name for rule in ALL)}"),
        "timeout": ("timeout", _is_seconds, _SECONDS),
        "create": ("create", _is_flag, "true or false"),
        "idle_lifespan": ("idle_lifespan", _is_seconds, _SECONDS),
        "weight": ("weight", _is_whole(1, UNLIMITED), "a whole number from 1 on"),
        "capacity": _CAPACITY,
        "policy": _POLICY,
        "priority": ("priority", _is_whole(-LAST_PRIORITY, LAST_PRIORITY), "a whole number from -63 to 63"),
        "reason": ("reason", _is_text, "a text without NUL"),
        "directory": ("directory", _is_text, "a path without NUL"),
    },
    "monitor": {
        "ignored_signals": ("ignore_signals", _are_signals(ignorable), 'a list of signals such as ["SIGTERM"]'),
        "start_ignoring": (
            "start_ignoring",
            _are_signals(ignorable_from_start),
            'a list of signals such as ["SIGPIPE"], without CHLD',
        ),
        "new_group": ("new_group", _is_flag, "true or false"),
        "wait_for": ("wait_for", ("command", "tree").__contains__, "command or tree"),
        "log": ("log", _is_text, "a path without NUL, or syslog"),
        "show_command": ("show_command", SHOWN.__contains__, f"one of {', '.join(SHOWN)}"),
        "on_lost": ("on_lost", ON_LOST.__contains__, f"one of {', '.join(ON_LOST)}"),
        "limit": ("limit", _is_seconds, _SECONDS),
        "grace": ("grace", _is_seconds, _SECONDS),
        "quiet": ("quiet", _is_flag, "true or false"),
    },
}
_DEFINITION_KEYS: dict[str, _Key] = {"capacity": _CAPACITY, "policy": _POLICY}
