"""``pylock run`` with another kind of lock than a plain one: which options go together, and what they make."""

from __future__ import annotations

from .options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._locks import Lock
    from .._several import Composite
    from .options import Values

_KINDS = {
    "any_of": ("mode", "capacity", "sequence", "timestamp", "tree"),
    "tree": ("capacity", "weight", "sequence", "timestamp"),
    "sequence": ("mode", "weight", "timestamp"),
    "timestamp": ("mode", "weight"),
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


def lock_of_kind(settings: Values, name: str, mode: str) -> Lock | Composite[Any]:
    """Return the lock that the settings describe."""
    common = _some(settings, "priority", "policy", "reason", "directory", "create", "idle_lifespan")
    if "any_of" in settings:
        from .._kinds.pools import pool

        return pool(name, settings["any_of"], **common, **_some(settings, "weight", "rotate"))
    if "tree" in settings:
        from .._kinds.paths import path_lock, tree_lock

        return (tree_lock if settings.get("whole_tree_exists") else path_lock)(settings["tree"], mode, **common)
    if "sequence" in settings:
        from .._kinds.sequences import sequence

        return sequence(name, **common, **_some(settings, "capacity", "transactional"))
    from .._kinds.timestamps import timestamp

    return timestamp(name, settings["timestamp"], **common, **_some(settings, "capacity"))


def _some(settings: Values, *names: str) -> Values:
    return {name: settings[name] for name in names if name in settings}
