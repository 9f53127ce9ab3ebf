"""Trials: a mutant in a copy of the tree, and tests that go through its lines, until one fails or time is up."""

from __future__ import annotations

import compileall
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from py_compile import PycInvalidationMode
from select import select
from tempfile import TemporaryDirectory

from mutations import copy_of_tree

from .mutants import Mutant

_MARK = "SURVEY_PLACE"
_HANGS = 30
"""Seconds that a trial may take beyond twice what its tests took unmutated: then something hangs."""


class Trial:
    """A copy of the tree, in which one mutant after the other is tried."""

    def __init__(self, place: Path, runner: subprocess.Popen[str]) -> None:
        self._place = place
        self._runner = runner

    def verdict(self, mutant: Mutant, tests: list[str], seconds: float) -> str:
        """By what it was noticed; empty if by nothing."""
        file = self._place / "pylock" / mutant.file
        text = file.read_text()
        file.write_text(mutant.code)
        try:
            return self._run(tests, 2 * seconds + _HANGS)
        finally:
            file.write_text(text)

    def passes(self, test: str) -> bool:
        """Without a mutation: what fails in any case notices nothing."""
        return not self._run([test], _HANGS)

    def _run(self, tests: list[str], seconds: float) -> str:
        orders, answers = self._runner.stdin, self._runner.stdout
        assert orders is not None
        assert answers is not None
        print(json.dumps(["-x", *tests]), file=orders, flush=True)
        hangs = not select([answers], [], [], seconds)[0]
        self._clear()
        status = int(answers.readline())
        if hangs:
            return "hangs"
        return "" if status == 0 else _what_failed((self._place / "output").read_text(errors="replace"), status)

    def _clear(self) -> None:
        """End what the tests have begun, and left where a mutant keeps it from being ended; and remove their files."""
        mark = f"{_MARK}={self._place}\0".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if int(process.name) != self._runner.pid and mark in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
        for left in (self._place / "tmp").iterdir():
            shutil.rmtree(left, ignore_errors=True)


def _what_failed(output: str, status: int) -> str:
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", output, re.MULTILINE)
    return failed[1] if failed else f"pytest exited with {status}"


@contextmanager
def place_of_trials() -> Iterator[Trial]:
    """A copy whose compiled files are told from mutated ones by what is in them: time and size may be the same."""
    with TemporaryDirectory(prefix="survey-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o755)
        copy_of_tree(place)
        compileall.compile_dir(place / "pylock", quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        (place / "tmp").mkdir()
        (place / "tmp").chmod(0o1777)  # for tests that are another user
        environment = os.environ | {
            "PYTHONPATH": f"{place}:{place / 'tests'}",
            "TMPDIR": str(place / "tmp"),
            _MARK: str(place),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        words = [sys.executable, "-m", "survey.runner"]
        with subprocess.Popen(
            words, cwd=place, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as runner:
            yield Trial(place, runner)
