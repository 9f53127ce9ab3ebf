"""Interactive shells on a terminal of their own, which complete what a test types; where one is missing, tests skip."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command import environment
from contender import ROOT, until

_PREPARE = {
    "bash": """
complete -r; PS1='$ '; bind 'set enable-bracketed-paste off'; bind 'set bell-style none'
show() { printf '%s' "$READLINE_LINE" >"$SHOWN.new"; mv "$SHOWN.new" "$SHOWN"; READLINE_LINE=; READLINE_POINT=0; }
bind -x '"\\C-x\\C-o": show'
source <(pylock completion bash)
""",
    "zsh": """
PS1='%% '; unsetopt beep; autoload -Uz compinit; compinit -u -D
show() { print -rn -- "$BUFFER" >"$SHOWN.new"; mv "$SHOWN.new" "$SHOWN"; BUFFER=; }
zle -N show; bindkey '^X^O' show
source <(pylock completion zsh)
""",
}
BY_AUTOLOAD = (
    _PREPARE["zsh"]
    .replace("source <(pylock completion zsh)\n", "")
    .replace("compinit -u", f"fpath=('{ROOT}/pylock/_cli/shells' $fpath); compinit -u")
)
"""As a zsh that finds the script in its path of functions."""
_WORDS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
_SHOW = b"\x18\x0f"


def need(shell: str) -> None:
    """Skip the test if there is no such shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


def with_pylock(where: Path) -> dict[str, str]:
    """An environment in which the command of this source is found as ``pylock``."""
    programs = where / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "pylock").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pylock "$@"\n')
    (programs / "pylock").chmod(0o755)
    return environment(
        PATH=f"{programs}:{os.environ['PATH']}", HOME=str(where), TERM="dumb", LC_ALL="C.UTF-8", HISTFILE=""
    )


class Shell:
    """A shell that completes: bash or zsh."""

    def __init__(self, shell: str, where: Path, prepare: str | None = None) -> None:
        need(shell)
        self._shown = where / "shown"
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            _WORDS[shell], stdin=slave, stdout=slave, stderr=slave, start_new_session=True, cwd=where,
            env=with_pylock(where) | {"SHOWN": str(self._shown)},
        )  # fmt: skip
        os.close(slave)
        self._output = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        script = where / f"prepare.{shell}"
        script.write_text(prepare or _PREPARE[shell])
        self._type(f". {script}; : >{where}/ready\n".encode())
        until((where / "ready").exists)

    def complete(self, typed: str) -> str:
        """Type this and TAB, and return what the line has become."""
        self._type(typed.encode() + b"\t" + _SHOW)
        return self._take_shown()

    def run(self, command: str) -> str:
        """Run the command there, and return what it prints."""
        self._type(f"{command}>{self._shown}.new; mv {self._shown}.new {self._shown}\n".encode())
        return self._take_shown()

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        os.close(self._master)

    def _take_shown(self) -> str:
        until(self._shown.exists)
        shown = self._shown.read_text()
        self._shown.unlink()
        return shown

    def _type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def _read(self) -> None:
        """Take what the shell writes, so that it never waits for room."""
        while True:
            try:
                self._output += os.read(self._master, 65536)
            except OSError:  # the shell has ended
                return
