"""A contender: another process that takes and releases locks when it is told to, or dies when it is told to.

Run as a program it obeys one JSON command a line, and answers each with one JSON line.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pylock
from pylock._modes import ALL

ROOT = Path(__file__).resolve().parent.parent
ANSWER_SECONDS = 60


def until(look: Callable[[], Any]) -> Any:
    """Look again and again until there is something to see, and return it."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError("nothing to be seen")
        time.sleep(0.001)
    return seen


def waiting(name: str, count: int) -> None:
    """Return once so many stand in the queue of the lock."""
    until(lambda: len(pylock.inspect(name).waiters) == count)


def lets_in(name: str) -> set[str]:
    """The codes of the modes that somebody else could have now."""
    found = set()
    for rule in ALL:
        try:
            pylock.lock(name, rule.code).acquire_nowait().release()
            found.add(rule.code)
        except pylock.WouldBlock:
            pass
    return found


class Contender:
    """The test's end of such a process."""

    made: ClassVar[list[Contender]] = []
    interpreter: ClassVar[list[str]] = [sys.executable]

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [*self.interpreter, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.pid = self._process.pid
        self.made.append(self)

    def tell(self, do: str, **arguments: Any) -> None:
        """Give a command without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS)
        assert ready, "a contender does not answer"
        return json.loads(self._process.stdout.readline())

    def ask(self, do: str, **arguments: Any) -> Any:
        self.tell(do, **arguments)
        return self.answer()

    def acquire(self, name: str, mode: str = "exclusive", **arguments: Any) -> Any:
        """Acquire and return the token, or the name of the error."""
        return self.ask("acquire", name=name, mode=mode, **arguments)

    def start_acquiring(self, name: str, mode: str = "exclusive", **arguments: Any) -> None:
        """Acquire without waiting for it; return once it stands in the queue."""
        before = len(pylock.inspect(name).waiters)
        self.tell("acquire", name=name, mode=mode, **arguments)
        waiting(name, before + 1)

    def release(self) -> Any:
        return self.ask("release")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


def obey(holds: list[pylock.Hold]) -> None:
    """Carry out commands, those between "enter" and "leave" inside a with block."""
    for line in sys.stdin:
        command = json.loads(line)
        do = command.pop("do")
        try:
            if do == "enter":
                with pylock.lock(**command) as hold:
                    say(hold.token)
                    obey(holds)
            elif do == "leave":
                return
            else:
                say(done(do, command, holds))
                continue
            say(None)
        except Exception as error:
            say(str(error) if do == "complain" else type(error).__name__)


def done(do: str, command: dict[str, Any], holds: list[pylock.Hold]) -> object:
    if do == "acquire":
        kind = getattr(pylock, command.pop("kind", "lock"))
        holds.append(kind(command.pop("name"), **command).acquire())
        return holds[-1].token
    if do == "try":
        holds.append(pylock.lock(**command).acquire_nowait())
        return holds[-1].token
    if do == "release":
        holds.pop().release()
    elif do == "convert":
        holds[-1].convert(**command)
    elif do == "define":
        pylock.define(**command)
    elif do == "holders":
        return [holder.pid for holder in pylock.inspect(**command).holders]
    elif do == "complain":
        pylock.lock(**command).acquire_nowait().release()
    return None


if __name__ == "__main__":
    obey([])
