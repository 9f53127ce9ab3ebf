"""Mutants that no test has to notice, and why."""

from __future__ import annotations

import re
from typing import NamedTuple


class Explanation(NamedTuple):
    why: str
    changes: tuple[str, ...]
    """Patterns of changes, as the survey prints them."""


EXPLANATIONS = (
    Explanation(
        "no descriptor of pylock's is below 3, and a number that is not noted is not closed (`descriptors`)",
        (
            r"(fd|probe|_opened) >= 0\b.* -> .*\1 > 0\b",
            r"(fd|probe|_opened) < 0\b.* -> .*\1 <= 0\b",
            r"\w*(fd|_opened|reading, writing)\b.* = .*-1.* -> .* = .*\b1\b",
        ),
    ),
    Explanation(
        "two moments that are the same to the nanosecond, and a wait of exactly so long",
        (r": (?P<head>.*(monotonic\(\)[^<>]*|\bmoment|if left)) [<>]=? (?P<tail>.*) -> (?P=head) [<>]=? (?P=tail)$",),
    ),
    Explanation("how Python 3.14 enters a block; where that is not the one that runs", (r"LOAD_SPECIAL",)),
    Explanation(
        "only a file server tells: tests/nfs",
        (r"refresh\(fd\) -> pass", r"_make_fresh\(\) -> pass", r"posix_fadvise"),
    ),
)


def is_explained(change: str) -> bool:
    return any(re.search(pattern, change) for each in EXPLANATIONS for pattern in each.changes)
