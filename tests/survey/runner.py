"""Runs tests in forked children of a process that has loaded pytest and hypothesis, as these take long to load.

It knows nothing else of this house: its children are to find all of that in their copy of the tree. A line on standard
input has the words for pytest, as JSON; the answer is a line with the exit status.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

_LOADED = (
    "_pytest.config",
    "pytest",
    "hypothesis.strategies",
    "hypothesis.stateful",
    "asyncio",
    "multiprocessing.context",
)


def main() -> None:
    for name in _LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _run(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(words: list[str]) -> None:
    import pytest

    os.setsid()
    null, output = os.open(os.devnull, os.O_RDONLY), os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for fd, standard in ((null, 0), (output, 1), (output, 2)):
        os.dup2(fd, standard)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    status = 1
    try:
        # hypothesis has no assertions that pytest would have to rewrite
        status = pytest.main(["-W", "ignore::pytest.PytestAssertRewriteWarning", *words])
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
