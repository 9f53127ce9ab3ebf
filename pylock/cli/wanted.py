"""What ``pylock run`` is to lock: from option values to a lock of the right kind."""

from __future__ import annotations

from ..locks import Lock, lock
from .options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..several import Composite
    from .options import Values

_KINDS = {
    "any_of": ("mode", "capacity", "sequence", "timestamp", "tree"),
    "tree": ("capacity", "weight", "sequence", "timestamp"),
    "sequence": ("mode", "weight", "timestamp", "idle_lifespan"),
    "timestamp": ("mode", "weight", "idle_lifespan"),
}
"""The options that make another kind of lock, and those that make no sense with each."""


def refuse_contradictions(values: Values, operands: list[str]) -> None:
    """Raise UsageError for options of the command line that do not go together."""
    for kind, others in _KINDS.items():
        for other in others:
            if kind in values and other in values:
                raise UsageError(f"{_spelled(kind)} cannot be combined with {_spelled(other)}")
    if "transactional" in values and "sequence" not in values:
        raise UsageError("--transactional is for a value of a sequence; use it with --sequence")
    if "tree" in values and operands:
        raise UsageError(f"--tree names the lock itself, so that no other NAME goes with it: {operands[0]}")


def _spelled(name: str) -> str:
    return "a mode" if name == "mode" else f"--{name.replace('_', '-')}"


def wanted_lock(settings: Values, name: str) -> Lock | Composite[Any]:
    """Return the lock that the settings describe."""
    definition = settings.get("locks", {}).get(settings.get("tree", name), {})
    settings = definition | settings
    common = _some(settings, "priority", "policy", "reason", "directory", "create")
    if "any_of" in settings:
        from ..kinds.pools import pool

        return pool(name, settings["any_of"], **common, **_some(settings, "weight", "idle_lifespan"))
    if "tree" in settings:
        from ..kinds.paths import path_lock

        return path_lock(settings["tree"], _mode(settings), **common, **_some(settings, "idle_lifespan"))
    if "sequence" in settings:
        from ..kinds.sequences import sequence

        return sequence(name, **common, **_some(settings, "capacity", "transactional"))
    if "timestamp" in settings:
        from ..kinds.timestamps import timestamp

        return timestamp(name, settings["timestamp"], **common, **_some(settings, "capacity"))
    return lock(name, _mode(settings), **common, **_some(settings, "weight", "capacity", "idle_lifespan"))


def _mode(settings: Values) -> str:
    implied = "shared" if "capacity" in settings or "weight" in settings else "exclusive"
    return str(settings.get("mode") or implied)


def _some(settings: Values, *names: str) -> Values:
    return {name: settings[name] for name in names if name in settings}
