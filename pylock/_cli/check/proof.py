"""The proof by two processes, perhaps on two hosts, that only one of them gets a lock."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from ..._errors import WouldBlock
from ..._locks import lock
from .findings import BAD, OK, Finding
from .witness import Witness, reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 50
_PROGRAM = ("-m", "pylock._cli.check.proof")


def proof(path: str, seconds: float, interpreter: list[str], between: str) -> Finding:
    """Hold a lock here, and have another process, which the interpreter runs, try for it."""
    name = f"pylock-check-{os.getpid()}"
    directory = os.fsencode(path).hex()  # which says the same whether a shell stands between, as with ssh, or none
    own = [sys.executable, *_PROGRAM, "hold", directory, name]
    other = [*interpreter, *_PROGRAM, "probe", directory, name, str(seconds)]
    try:
        with Witness(own, seconds) as holder:
            if holder.line() != "held":
                return holder.failure("cannot take a lock here")
            with Witness(other, seconds) as prober:
                return _hand_over(holder, prober, between)
    finally:
        reap(subprocess.Popen(["rm", "-f", os.path.join(path, f"{name}.lock")]))


def _hand_over(holder: Witness, prober: Witness, between: str) -> Finding:
    answer = prober.line()
    if answer == "granted":
        return Finding(
            BAD, f"{between} got one exclusive lock at the same time", "this file system does not lock",
            "use another directory",
        )  # fmt: skip
    if answer != "refused":
        return prober.failure(f"no proof between {between}")
    holder.tell()
    prober.tell()
    microseconds = prober.line()
    if not microseconds:
        return prober.failure("the lock was not handed over")
    return Finding(OK, f"{between} exclude each other; an uncontended lock takes {float(microseconds):.0f} us")


def _hold(directory: str, name: str) -> None:
    """One end of the proof: hold until told to let go."""
    with lock(name, directory=directory):
        print("held", flush=True)
        sys.stdin.readline()


def _probe(directory: str, name: str, seconds: str) -> None:
    """The other end: try, say what happened, then wait for the lock and tell how long one takes."""
    wanted = lock(name, directory=directory)
    try:
        wanted.acquire_nowait().release()
        print("granted", flush=True)
    except WouldBlock:
        print("refused", flush=True)
    sys.stdin.readline()
    wanted.acquire(float(seconds)).release()
    begun = time.perf_counter()
    for _ in range(_ROUNDS):
        wanted.acquire().release()
    print((time.perf_counter() - begun) / _ROUNDS * 1e6, flush=True)


if __name__ == "__main__":
    parts: dict[str, Callable[..., None]] = {"hold": _hold, "probe": _probe}
    part, directory, *rest = sys.argv[1:]
    parts[part](os.fsdecode(bytes.fromhex(directory)), *rest)
