"""``pylock check``: whether a directory is fit for locks, by a look at it and by locking between two processes.

Children with a deadline touch the directory, because a hung file server hangs whoever asks it.
"""

from __future__ import annotations

import shlex
import shutil
import sys

from ..._errors import harmless
from ..._file.directories import absolute, default_path, resolve
from ..options import UsageError
from ..settings import directory_given, place
from .inspection import DIRECTORY, LOCK_FILES, look
from .proof import proof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..options import Values
    from .findings import Finding

SECONDS = 10.0


def check_directory(values: Values, operands: list[str]) -> int:
    """Carry out ``pylock check``; 0 if the directory is fit, 1 if not."""
    peer = _words_of_peer(values["peer"]) if "peer" in values else None
    seconds = float(values.get("timeout", SECONDS))
    if not seconds:
        raise UsageError("--timeout=0: nothing can be proven in no time; give some seconds")
    given = place(values, directory_given(values, operands)).directory
    path = default_path() or resolve(None).path if given is None else absolute(given)
    fit = True
    for finding in _findings(path, seconds, peer):
        print(finding, flush=True)
        fit = fit and finding.fit
    print(harmless(f"{path} is {_proven(peer) if fit else 'NOT fit for locks'}"))
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
    """All findings, up to one after which others could only fail for the same reason."""
    for finding in look(DIRECTORY, path, seconds):
        yield finding
        if not finding.fit:
            return
    proven = proof(path, seconds, [sys.executable], "two processes")
    yield proven
    if proven.fit and peer:
        proven = proof(path, seconds, [*peer, "python3"], f"this host and {shlex.join(peer)!r}")
        yield proven
    if proven.fit:
        yield from look(LOCK_FILES, path, seconds)


def _proven(peer: list[str] | None) -> str:
    """What the proofs say, and what they do not."""
    if peer:
        return f"fit for locks between the processes of this host and of {shlex.join(peer)!r}"
    return "fit for locks between the processes of this host; of other hosts nothing is proven without --peer"
