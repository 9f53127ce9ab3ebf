"""The packages that are adapted: the installed ones, whatever stands in for them under their names."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    import filelock as filelock
    import portalocker as portalocker

_NEWEST_NAMES = {"filelock": ("4.3.1", "AcquireWait"), "portalocker": ("4.4.2", "LockLostError")}
"""By package: the least version that is known here, and a name that it brought."""

_found: dict[str, ModuleType] = {}


def __getattr__(name: str) -> ModuleType:
    if name not in _NEWEST_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _found:
        _found[name] = _load(name)
    return _found[name]


def _load(package: str) -> ModuleType:
    version, newest = _NEWEST_NAMES[package]
    try:
        real = _import(package)
        getattr(real, newest)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"pylock.compat.{package} adapts the package {package}, {version} or newer, which is not here ({error}):"
            f' pip install "pylock-fcntl[{package}]"',
            name=package,
        ) from error
    return real


def _import(package: str) -> ModuleType:
    standing = sys.modules.get(package)
    if not getattr(getattr(standing, "__spec__", None), "_initializing", False):
        return import_module(package)
    assert standing is not None
    return _import_behind(standing)


def _import_behind(standing: ModuleType) -> ModuleType:
    """Import the package of the same name as a module that is just being imported, and that imports its adapter.

    Such a module stands before the package on the path, for programs whose import lines cannot be changed. The
    rest of the package is to be found in it.
    """
    package, path = standing.__name__, sys.path[:]
    places = {PurePath(standing.__file__ or "").parent, PurePath(standing.__file__ or "").parent.parent}
    del sys.modules[package]
    sys.path[:] = [entry for entry in path if PurePath(entry or ".") not in places]
    try:
        real = import_module(package)
        for name in real.__all__:  # what is loaded later would look for names of the package in what stands there
            getattr(real, name)
    finally:
        sys.path[:] = path
        sys.modules[package] = standing
    standing.__path__ = [*getattr(standing, "__path__", []), *real.__path__]
    return real
