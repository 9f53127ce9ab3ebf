"""What a command goes by: the words of its line, completed from the settings files there are."""

from __future__ import annotations

import os

from .._file.directories import resolve
from .options import at_most_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .flom_ways import Ways
    from .options import Values

SYSTEM_FILE = "/etc/pylock/config.toml"
USER_FILE = "~/.config/pylock/config.toml"

_OPTION, _VARIABLE, _OWN = "-d", "$PYLOCK_DIR", "the default"


class RunSettings:
    """How ``pylock run`` takes its locks and runs the command; None where nobody has said it."""

    absent_exit_code: int | None
    """Exit status if nobody uses the lock, and it was not to be created; else as if it was busy."""
    any_of: tuple[str, ...] | None
    as_flom: Ways | None
    """FLoM's ways, for its command line."""
    busy_exit_code: int | None
    capacity: int | None
    create: bool | None
    directory: str | None
    directory_by: str | None
    """The file that named the directory."""
    exec: bool | None
    grace: float | None
    idle_lifespan: float | None
    ignore_signals: tuple[str | int, ...] | None
    limit: float | None
    """Seconds that the command may run; 0 as None."""
    locks: dict[str, Values] | None
    """Definitions, by the names of locks."""
    locks_from: str | None
    """The file that has them."""
    log: str | None
    """The file that a line for each event is appended to."""
    mode: str | None
    name: str | None
    new_group: bool | None
    on_lost: str | None
    """One of `options.ON_LOST`."""
    others: tuple[str, ...] | None
    """NAME[:MODE] of what is locked besides."""
    policy: str | None
    priority: int | None
    quiet: bool | None
    reason: str | None
    rotate: bool | None
    sequence: bool | None
    show_command: str | None
    """One of `options.SHOWN`."""
    skip_if_busy: bool | None
    start_ignoring: tuple[str | int, ...] | None
    """Signals that are ignored from the beginning on, and by the command."""
    timeout: float | None
    timestamp: str | None
    transactional: bool | None
    tree: str | None
    verbose: bool | None
    wait_for: str | None
    weight: int | None
    whole_tree_exists: bool | None

    def __init__(self, values: Values) -> None:
        for name in RunSettings.__annotations__:
            setattr(self, name, values.get(name))

    def given(self, *names: str) -> Values:
        """Those of these that somebody has said, for a call."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def defined(self, lock: str) -> Values:
        """What the files say that this lock is."""
        return (self.locks or {}).get(lock, {})

    @property
    def origin(self) -> str:
        """Who says which directory is meant."""
        return _origin(self.directory, self.directory_by)


class Place:
    """The lock directory that a command is about."""

    __slots__ = ("directory", "origin")

    def __init__(self, directory: str | None, origin: str) -> None:
        self.directory = directory
        """None: the one that the environment names, else the user's own."""
        self.origin = origin
        """Who says so."""

    def __str__(self) -> str:
        return f"in {resolve(self.directory).path}, by {self.origin}"


def directory_given(values: Values, operands: list[str]) -> str | None:
    """Return the directory that the operand or the option names. Raises UsageError if there are two."""
    named = [*operands, *([values["directory"]] if "directory" in values else [])]
    return at_most_one(named, "DIR")


def place(values: Values, operand: str | None = None) -> Place:
    """Return the directory of a command other than run: its option or operand, else as `run` finds it."""
    if operand is not None:
        return Place(operand, _OPTION)
    values = completed(values)
    directory, by = values.get("directory"), values.get("directory_by")
    return Place(directory, _origin(directory, by))


def _origin(directory: str | None, by: str | None) -> str:
    if directory is not None:
        return by or _OPTION
    return _VARIABLE if os.environ.get("PYLOCK_DIR") else _OWN


def completed(values: Values) -> Values:
    """The values of a command line, and what the settings files say besides."""
    files = [path for path in (SYSTEM_FILE, os.path.expanduser(USER_FILE)) if os.path.exists(path)]
    if named := values.get("config") or os.environ.get("PYLOCK_CONFIG"):
        files.append(str(named))
    if not files:
        return values
    from .config import load_settings

    settings = load_settings(files)
    if "directory" in values:
        settings.pop("directory_by", None)
    return settings | values
