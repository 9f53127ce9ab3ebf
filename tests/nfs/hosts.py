"""The two hosts, as a test sees them: each is a command prefix, by which programs are started there."""

from __future__ import annotations

import json
import select
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 60
"""How long an answer may take, where a test does not say something else."""
_PROGRAM = Path(__file__).with_name("program.py")
_START = "import json, sys; exec(json.loads(sys.stdin.readline()))"
_SLICE = 10
"""Seconds after which whoever watches over the tests is told that they go on."""


class Refused(Exception):
    """What pylock raised on the host; ``kind`` is the name of its class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Contender:
    """The test's end of a program on a host, which takes and releases locks when it is told to."""

    def __init__(self, words: list[str], copy: str, alive: Callable[[], object]) -> None:
        self._alive = alive
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._asked = 0
        self._send(_PROGRAM.read_text())
        self._send(copy)
        self.where: dict[str, Any] = {}

    @property
    def host(self) -> str:
        name: str = self.where["host"]
        return name

    @property
    def pid(self) -> int:
        """On its own host."""
        number: int = self.where["pid"]
        return number

    @property
    def is_idle(self) -> bool:
        return self._asked == 0 and self._process.poll() is None

    def settle(self, directory: str) -> None:
        self.where = self.ask("settle", directory)

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def tell(self, do: str, *words: Any, **named: Any) -> None:
        """Give a command without waiting for the answer."""
        self._asked += 1
        self._send([do, words, named])

    def has_answered(self, seconds: float = 0) -> bool:
        """Whether there is an answer to read, at the latest after so long."""
        deadline = time.monotonic() + seconds
        while True:
            self._alive()
            left = deadline - time.monotonic()
            if select.select([self._process.stdout], [], [], max(0, min(left, _SLICE)))[0]:
                return True
            if left <= _SLICE:
                return False

    def answer(self, seconds: float = SECONDS) -> Any:
        """Wait for it. Raises Refused if it is an error."""
        assert self.has_answered(seconds), f"no answer from {self.where or 'a host'} within {seconds} s"
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the program on {self.where or 'a host'} has ended"
        self._asked -= 1
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])
        return answer["value"]

    def ask(self, do: str, *words: Any, **named: Any) -> Any:
        self.tell(do, *words, **named)
        return self.answer()

    def refusal(self, do: str, *words: Any, **named: Any) -> str:
        """The name of the error that this command gets."""
        try:
            return f"no error but {self.ask(do, *words, **named)}"
        except Refused as refused:
            return refused.kind

    def end(self) -> None:
        """End the test's end of it. What runs on the host ends as it has nothing more to read, or is killed there."""
        self._process.kill()
        self._process.communicate()


class Host:
    """One host. Programs that have nothing in hand after a test are used again by the next."""

    def __init__(self, prefix: str, python: str, copy: str, alive: Callable[[], object]) -> None:
        self._prefix = shlex.split(prefix)
        self._python = shlex.split(python)
        self._copy = copy
        self._alive = alive
        self._spare: list[Contender] = []
        self._used: list[Contender] = []
        self._has_shell = False
        self._has_shell = self.run("echo", "'x'") == "x"  # ssh gives its words to a shell, docker exec does not

    def _words(self, words: tuple[str, ...]) -> list[str]:
        return [*self._prefix, *(map(shlex.quote, words) if self._has_shell else words)]

    def run(self, *words: str) -> str:
        """Run a command there, and return what it prints."""
        done = subprocess.run(self._words(words), capture_output=True, text=True, check=False, timeout=SECONDS)
        assert done.returncode == 0, f"{shlex.join(self._words(words))}: {done.stderr}"
        return done.stdout.strip()

    def contender(self, directory: str) -> Contender:
        """A program there, for this test."""
        if self._spare:
            found = self._spare.pop()
        else:
            words = self._words((*self._python, "-u", "-c", _START))
            found = Contender(words, self._copy, self._alive)
        self._used.append(found)
        found.settle(directory)
        return found

    def kill(self, contender: Contender, signal: str = "KILL") -> None:
        self.run("kill", f"-{signal}", str(contender.pid))

    def tidy(self) -> None:
        """After a test: keep who waits for a command, end the others."""
        while self._used:
            contender = self._used.pop()
            if contender.is_idle:
                try:
                    contender.ask("leave")
                    self._spare.append(contender)
                    continue
                except (AssertionError, Refused):
                    pass
            self._end_there(contender)
            contender.end()

    def _end_there(self, contender: Contender) -> None:
        """Kill it, if the host can be reached: what waits does not see that nobody listens any more."""
        try:
            self.kill(contender)
        except (AssertionError, subprocess.TimeoutExpired):
            pass

    def close(self) -> None:
        """End all programs, also those that do not go on."""
        for contender in (*self._used, *self._spare):
            contender.end()
        self._used, self._spare = [], []
