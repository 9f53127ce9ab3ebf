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
        "it costs time alone: somebody looks too often, or hears of something by its next look, within a second",
        (
            r"^_deadlock/cycles.py: self._due = monotonic\(\) [+] _FIRST_LOOK -> ",
            r"^_process.py: locks.sort",
            r"^_acquiring/together.py: (other|part).rung = True -> ",
            r"^_acquiring/together.py: ring_next\(part.place.fd, part.request, part.request.mode\) -> pass",
            r"^_acquiring/together.py: return next\(self._behind, SAFETY_BEHIND\[-1\]\) [+] ",
            r"^_queue/drivers.py: (rung = False|if not fds:|nursery.cancel_scope.cancel\(\)) -> ",
            r"^_run/loss.py: sleep\(EVERY\) -> pass",
            r"^_run/embedded.py: terminal.begin\(child.pid\) -> pass",
            r"^_deadlock/nesting.py: continue -> break",
        ),
    ),
    Explanation(
        "a process that is killed tells coverage nothing; the tests that `mutations.py` names for this line notice it",
        (r"^_run/embedded.py: show_child\(",),
    ),
    Explanation(
        "what nobody has any more is closed as garbage", (r"^_run/embedded.py: claims.give_up\(error\) -> pass",)
    ),
    Explanation("each kind of lock has its own", (r"^_locks.py: self, claim: Any, timeout: float [|] None, ",)),
    Explanation("both are made with the same length", (r"strict=True\):? -> ",)),
    Explanation(
        "only a file server tells: tests/nfs",
        (r"refresh\(fd\) -> pass", r"_make_fresh\(\) -> pass", r"posix_fadvise"),
    ),
)


def is_explained(change: str) -> bool:
    return any(re.search(pattern, change) for each in EXPLANATIONS for pattern in each.changes)
