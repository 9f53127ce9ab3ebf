"""``pylock check``: whether a directory is fit for locks, proven by locking between two processes.

Everything that touches the directory runs in a child with a deadline, because a hung file server hangs whoever asks it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

from ..directories import absolute, default_path, resolve
from ..errors import WouldBlock
from ..locks import lock
from ..mounts import mount_of
from .options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .options import Values

SECONDS = 10.0
_ROUNDS = 50
_PROGRAM = ("-m", "pylock.cli.fitness")


class Finding:
    """One thing found out: what, why it matters, what to do. ``fit`` is False if it rules the directory out."""

    __slots__ = ("advice", "fit", "what", "why")

    def __init__(self, fit: bool, what: str, why: str = "", advice: str = "") -> None:
        self.fit = fit
        self.what = what
        self.why = why
        self.advice = advice

    def __str__(self) -> str:
        lines = [f"{'ok ' if self.fit else 'BAD'} {self.what}"]
        lines += [f"      why it matters: {self.why}"] if self.why else []
        lines += [f"      what to do: {self.advice}"] if self.advice else []
        return "\n".join(lines)


def check_directory(values: Values, operands: list[str]) -> int:
    """Carry out ``pylock check``; 0 if the directory is fit, 1 if not."""
    if len(operands) > 1:
        raise UsageError(f"one DIR at most, not {' '.join(operands)}")
    peer = _words_of_peer(values["peer"]) if "peer" in values else None
    path = absolute(operands[0]) if operands else default_path() or resolve(None).path
    seconds = float(values.get("timeout", SECONDS))
    findings = []
    for finding in _findings(path, seconds, peer):
        print(finding, flush=True)
        findings.append(finding)
        if not finding.fit:
            break  # what follows could only fail for the same reason
    fit = all(finding.fit for finding in findings)
    print(f"{path} is {'fit' if fit else 'NOT fit'} for locks")
    return 0 if fit else 1


def _words_of_peer(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--peer={text}: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise UsageError(f'--peer={text}: not a command; give what reaches the other host, such as "ssh host2"')
    return words


def _findings(path: str, seconds: float, peer: list[str] | None) -> Iterator[Finding]:
    yield from _look(path, seconds)
    yield _excludes(path, seconds, [sys.executable], "two processes")
    if peer:
        yield _excludes(path, seconds, [*peer, "python3"], f"this host and {shlex.join(peer)!r}")


def _look(path: str, seconds: float) -> list[Finding]:
    """Look at the directory in a child, which alone hangs if the file system does."""
    child = _start([sys.executable, *_PROGRAM, "look", path])
    try:
        line = _line(child, seconds)
        if line:
            return [Finding(*fields) for fields in json.loads(line)]
        return [_failed(child, f"the file system of {path}", seconds)]
    finally:
        _end(child)


def _print_look(path: str) -> None:
    findings = [_is_directory(path)]
    if findings[0].fit:
        findings += [*_mount_findings(path), *_permission_findings(path)]
    print(json.dumps([(each.fit, each.what, each.why, each.advice) for each in findings]), flush=True)


def _is_directory(path: str) -> Finding:
    if os.path.isdir(path):
        return Finding(True, f"{path} is a directory")
    return Finding(False, f"{path} is not a directory", "lock files live in one", "make it: pylock init, or mount it")


def _mount_findings(path: str) -> Iterator[Finding]:
    mount = mount_of(path)
    yield Finding(True, f"on {mount.type}, mounted at {mount.point} from {mount.source}")
    if mount.locks_stay_on_this_host:
        yield Finding(
            False, "the mount has nolock or local_lock", "hosts would not see each other's locks, so that two get in",
            "mount it without nolock, and with local_lock=none",
        )  # fmt: skip
    if "ro" in mount.options:
        yield Finding(False, "the mount is read-only", "lock files must be written", "mount it read-write")
    if "soft" in mount.options:
        yield Finding(
            True, "note: the mount is soft", "a server that is slow gives errors instead of a wait", "prefer hard"
        )


def _permission_findings(path: str) -> Iterator[Finding]:
    status = os.stat(path)
    mode = stat.S_IMODE(status.st_mode)
    if not os.access(path, os.W_OK | os.X_OK):
        yield Finding(
            False, f"this user may not write here (mode {mode:04o})", "locks that nobody used yet need a new file",
            "change the directory's group or mode, or use pylock init",
        )  # fmt: skip
        return
    if mode & 0o002 and not mode & stat.S_ISVTX:
        yield Finding(
            False, f"everybody may write here and it is not sticky (mode {mode:04o})",
            "anybody could remove or replace lock files that are in use", f"chmod +t {path}",
        )  # fmt: skip
        return
    if mode & stat.S_ISVTX and _protects_regular_files():
        yield Finding(
            True, "note: the kernel refuses O_CREAT on other users' files here (fs.protected_regular)",
            "programs that lock these files otherwise than with pylock may be denied",
        )  # fmt: skip
    yield Finding(True, f"mode {mode:04o}, owned by user {status.st_uid}; new lock files get {mode & 0o666:04o}")


def _protects_regular_files() -> bool:
    """Source: proc_sys_fs(5), protected_regular."""
    try:
        with open("/proc/sys/fs/protected_regular", encoding="ascii") as file:
            return file.read().strip() != "0"
    except OSError:
        return False


def _excludes(path: str, seconds: float, interpreter: list[str], between: str) -> Finding:
    """Hold a lock here, and have another process, perhaps on another host, try for it."""
    name = f"pylock-check-{os.getpid()}"
    own = [sys.executable, *_PROGRAM, "hold", path, name]
    other = [*interpreter, *_PROGRAM, "probe", shlex.quote(path) if len(interpreter) > 1 else path, name, str(seconds)]
    children = []
    try:
        holder = _start(own)
        children.append(holder)
        if _line(holder, seconds) != "held":
            return _failed(holder, "cannot take a lock here", seconds)
        prober = _start(other)
        children.append(prober)
        answer = _line(prober, seconds)
        if answer == "granted":
            return Finding(
                False, f"{between} got one exclusive lock at the same time", "this file system does not lock",
                "use another directory",
            )  # fmt: skip
        if answer != "refused":
            return _failed(prober, f"no proof between {between}", seconds)
        _write_line(holder)
        _write_line(prober)
        microseconds = _line(prober, seconds)
        if not microseconds:
            return _failed(prober, "the lock was not handed over", seconds)
        return Finding(True, f"{between} exclude each other; an uncontended lock takes {float(microseconds):.0f} us")
    finally:
        for child in children:
            _end(child)
        _reap(subprocess.Popen(["rm", "-f", os.path.join(path, f"{name}.lock")]))


def _start(words: list[str]) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    pipe = subprocess.PIPE
    return subprocess.Popen(words, text=True, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)


def _write_line(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write("\n")
        child.stdin.flush()
    except BrokenPipeError:  # it has ended, which shows when its answer does not come
        pass


def _line(child: subprocess.Popen[str], seconds: float) -> str:
    """The next line of the child's output, "" if none came in time."""
    import select

    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], seconds)
    return child.stdout.readline().strip() if ready else ""


def _failed(child: subprocess.Popen[str], what: str, seconds: float) -> Finding:
    assert child.stderr is not None
    deadline = time.monotonic() + 1
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if child.poll() is None:
        return Finding(
            False, f"{what}: no answer within {seconds:g} s", "whoever locks here would hang too",
            "look at the file server, the network, and the command to reach another host",
        )  # fmt: skip
    last = (child.stderr.read().strip().splitlines() or ["it ended without a word"])[-1]
    return Finding(False, f"{what}: {last}", "what cannot be proven cannot be relied on", "remove the cause, try again")


def _end(child: subprocess.Popen[str]) -> None:
    child.kill()
    for stream in (child.stdin, child.stdout, child.stderr):
        try:
            if stream is not None:
                stream.close()
        except BrokenPipeError:
            pass
    _reap(child)


def _reap(child: subprocess.Popen[Any]) -> None:
    try:
        child.wait(1)
    except subprocess.TimeoutExpired:  # it hangs in the file system and dies when that answers
        pass


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
    parts: dict[str, Callable[..., None]] = {"look": _print_look, "hold": _hold, "probe": _probe}
    parts[sys.argv[1]](*sys.argv[2:])
