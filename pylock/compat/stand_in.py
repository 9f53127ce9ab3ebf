"""For programs whose import lines cannot be changed: the adapter stands in for the package, in this process."""

from __future__ import annotations

import sys
from importlib import import_module

_OWN_SUBMODULES = {"filelock": ("asyncio",), "portalocker": ("utils",)}


def stand_in(package: str) -> None:
    """From now on ``import filelock`` or ``import portalocker`` gives the adapter, with the rest of the package in it.

    To be called before anybody imports the package: in sitecustomize.py, or first in the program. Raises ImportError,
    ValueError.
    """
    if package not in _OWN_SUBMODULES:
        raise ValueError(f"{package!r} has no adapter here; there are {', '.join(_OWN_SUBMODULES)}")
    adapter = import_module(f"{__package__}.{package}")
    if sys.modules[package] is adapter:
        return
    for name in _OWN_SUBMODULES[package]:
        sys.modules[f"{package}.{name}"] = import_module(f".{name}", adapter.__name__)
    adapter.__path__ = [*adapter.__path__, *sys.modules[package].__path__]
    sys.modules[package] = adapter
