"""``pylock run`` with another kind of lock than a plain one: which options go together, and what they make."""

from __future__ import annotations

from .options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._locks import Lock
    from .._several import Composite
    from .options import Values
    from .settings import RunSettings

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


def lock_of_kind(settings: RunSettings, name: str, mode: str, defined: Values) -> Lock | Composite[Any]:
    """Return the lock that the settings describe; ``defined`` is what the files say of it."""
    common = settings.given("priority", "policy", "reason", "directory", "create", "idle_lifespan")
    common = _only("policy", defined) | common
    counted = _only("capacity", defined) | settings.given("capacity")
    if settings.any_of is not None:
        from .._kinds.pools import pool

        return pool(name, settings.any_of, **common, **settings.given("weight", "rotate"))
    if settings.tree is not None:
        from .._kinds.paths import path_lock, tree_lock

        return (tree_lock if settings.whole_tree_exists else path_lock)(settings.tree, mode, **common)
    if settings.sequence:
        from .._kinds.sequences import sequence

        return sequence(name, **common, **counted, **settings.given("transactional"))
    from .._kinds.timestamps import timestamp

    return timestamp(name, str(settings.timestamp), **common, **counted)


def _only(key: str, values: Values) -> Values:
    return {key: values[key]} if key in values else {}
