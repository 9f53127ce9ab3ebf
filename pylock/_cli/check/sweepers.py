"""What removes old files from a directory by itself, as far as settings and custom tell; a lock file may be old too."""

from __future__ import annotations

import os
import shlex
from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = ("/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d")
"""Of systemd-tmpfiles; a file counts before those of the same name in later ones. Source: tmpfiles.d(5)."""

_CLEANED_OR_SPARED = "dDevqQCx"
"""Types of lines that say how long the files in a directory are kept, or, x, that they are."""
_SPECIFIERS = {"%T": "/tmp", "%V": "/var/tmp", "%t": "/run", "%S": "/var/lib", "%C": "/var/cache", "%L": "/var/log"}

_CUSTOM = {
    "/tmp": "tmpreaper, tmpwatch or systemd-tmpfiles, on many hosts",
    "/var/tmp": "tmpreaper, tmpwatch or systemd-tmpfiles, on many hosts",
    "/dev/shm": "systemd-logind, when their user logs out (RemoveIPC)",
    "/run/user": "systemd-logind, when their user logs out",
}
"""Who removes files below these where no setting says anything."""


def sweeper_of(path: str, settings: tuple[str, ...] = SETTINGS) -> str | None:
    """Who removes files in this directory, in words; None if nobody is known to.

    Of the lines of systemd-tmpfiles the one for the nearest directory counts, as it does there. That it spares all of
    /tmp is no promise of others.
    """
    lines = list(_lines(settings))
    for place in _upwards(os.path.realpath(path)):
        for pattern, age in lines:
            if fnmatchcase(place, pattern) and (age or place not in _CUSTOM):
                return f"systemd-tmpfiles, after {age}, by its settings for {pattern}" if age else None
        if place in _CUSTOM:
            return _CUSTOM[place]
    return None


def _upwards(path: str) -> Iterator[str]:
    """The path and all directories above it but the root."""
    while path != "/":
        yield path
        path = os.path.dirname(path)


def _lines(settings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each pattern of directories, and how long files are kept there; "" for ever."""
    for file in _files(settings):
        try:
            with open(file, encoding="utf-8", errors="surrogateescape") as lines:
                for line in lines:
                    yield from _line(line)
        except OSError:  # not for us to read
            continue


def _files(settings: tuple[str, ...]) -> list[str]:
    found: dict[str, str] = {}
    for folder in settings:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            if name.endswith(".conf"):
                found.setdefault(name, os.path.join(folder, name))
    return [found[name] for name in sorted(found)]


def _line(line: str) -> Iterator[tuple[str, str]]:
    try:
        type, path, *rest = shlex.split(line, comments=True)
    except ValueError:  # a comment, or none that could be read
        return
    age = rest[3] if len(rest) > 3 else "-"
    for specifier, meaning in _SPECIFIERS.items():
        path = path.replace(specifier, meaning)
    if type and type[0] in _CLEANED_OR_SPARED:
        yield path.rstrip("/"), "" if type[0] == "x" or age == "-" else age
