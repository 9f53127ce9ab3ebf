"""Mutants that no test notices, and why none has to."""

from __future__ import annotations

EXPLAINED: dict[str, tuple[str, ...]] = {}
"""Why, and the changes of which that is true, as the survey prints them."""
