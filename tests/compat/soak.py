"""Every pair of parties at one path, two processes each, for so many seconds: python -m compat.soak --seconds 20."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from itertools import combinations_with_replacement
from pathlib import Path

from .parties import EXCLUSIVE, READERS, SEMAPHORES, SHARED, WRITERS, rush

GROUPS = {
    "locks": [*EXCLUSIVE.values(), *SHARED.values()],
    "read-write": [*READERS.values(), *WRITERS.values()],
    "semaphores": [*SEMAPHORES.values()],
}


def meet(one: str, other: str, seconds: float) -> int:
    """Let two of each rush, say what came of it, and return how often somebody was inside who should not be."""
    with tempfile.TemporaryDirectory() as directory:
        locks = Path(directory) / "locks"
        locks.mkdir(mode=0o700)
        os.environ["PYLOCK_DIR"] = str(locks)
        inside, overlaps = rush(Path(directory), [one, other, one, other], seconds)
    shares = f"{inside[0] + inside[2]:6d} + {inside[1] + inside[3]:6d}"
    print(f"{one:40s} {other:40s} {shares} inside, {overlaps} overlaps", flush=True)
    return overlaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each pair")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; by default all")
    given = parser.parse_args()
    seconds = given.seconds
    if unknown := set(given.groups) - set(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    pairs = [pair for name in given.groups or GROUPS for pair in combinations_with_replacement(GROUPS[name], 2)]
    overlaps = sum(meet(one, other, seconds) for one, other in pairs)
    print(f"{len(pairs)} pairs, {seconds:.0f} s each: {overlaps} overlaps")
    sys.exit(1 if overlaps else 0)


if __name__ == "__main__":
    main()
