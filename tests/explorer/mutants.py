"""Faults that are put into pylock's code, each of which some schedule must find."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any

from pylock._acquiring.attempt import attempt_range
from pylock._acquiring.claim import Claim
from pylock._acquiring.conversion import _Conversion
from pylock._acquiring.outlook import Outlook
from pylock._acquiring.place import Place
from pylock._acquiring.together import _Part, _Waiter
from pylock._acquiring.waiting import _Wait
from pylock._file.removal import _unlink
from pylock._queue.tickets import may_skip_queue


@dataclass(frozen=True)
class Mutant:
    """``changes``: in the source of each function the first text is replaced by the second; ``scenario`` finds it.

    A text that is not there exactly once is an error: the code has changed, and so must the mutant.
    """

    name: str
    changes: tuple[tuple[Callable[..., Any], str, str], ...]
    scenario: str
    preemptions: int = 1
    """Within how many it is found."""

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let everybody who calls the functions get the fault."""
        sources: dict[Callable[..., Any], str] = {}
        for function, old, new in self.changes:
            source = sources.get(function) or textwrap.dedent(inspect.getsource(function))
            assert source.count(old) == 1, f"{self.name}: {old!r} stands {source.count(old)} times in the code"
            sources[function] = source.replace(old, new)
        real = {function: function.__code__ for function in sources}
        try:
            for function, source in sources.items():
                function.__code__ = _compiled(function, source, self.name)
            yield
        finally:
            for function, code in real.items():
                function.__code__ = code


def _compiled(function: Callable[..., Any], source: str, name: str) -> CodeType:
    made = dict(function.__globals__)
    exec(compile(f"from __future__ import annotations\n{source}", f"<{name}>", "exec"), made)
    code: CodeType = made[function.__name__].__code__
    return code


_LET_GO = "let_go(fd)  # by hand, as a forked child may have a copy of the descriptor that outlives ours\n"
_RING = """if not (nobody_waits := is_free(fd, ANY_WAITER)):
                ring_next(fd, request)
"""
_HANG = "self.bell.hang(self.request.directory.file_mode)  # before the ticket: who sees that may ring\n"
_HANG_LATE = """if self._insists and place.bell.fd < 0:
            place.bell.hang(request.directory.file_mode)
        """
_SLEEP = "ready = yield self.sources.watched, seconds\n"
_SILENCE = "place.bell.silence()\n"
_DOWN, _BETWEEN, _UP = (
    "self.bell.take_down()\n",
    "        self._wipe_words(granted)\n    finally:\n        ",
    "self._leave_queue(granted)\n",
)
_HEAD = "head, terms = read_terms(fd, request)\n"

MUTANTS = (
    Mutant(
        "the ring is dropped",
        ((Claim.release, _RING, _RING.replace("ring_next", "(lambda *_: None)")),),
        "two exclusive",
    ),
    Mutant(
        "the ring comes before the unlock",
        ((Claim.release, _LET_GO, _RING), (Claim.release, _RING + "        except", "let_go(fd)\n        except")),
        "two exclusive",
    ),
    Mutant(
        "the unlock comes after the close",
        ((Claim.release, _LET_GO, "close(fd)\n            let_go(fd)\n"),),
        "new lock",
    ),
    Mutant(
        "the baton is not passed",
        ((Place._leave_queue, "if not (granted and", "if granted and not (granted and"),),
        "three, time-out",
        2,
    ),
    Mutant(
        "who shares keeps the baton",
        ((Place._leave_queue, "(request.mode is EXCLUSIVE or", "(True or"),),
        "exclusive, two shared",
        2,
    ),
    Mutant(
        "the look comes before the bell hangs",
        ((Place.take, _HANG, "pass\n"), (_Wait.turns, _SLEEP, _HANG_LATE + _SLEEP)),
        "two exclusive",
        3,
    ),
    Mutant(
        "a ring after the look is silenced",
        ((_Wait.turns, _SILENCE, "pass\n"), (_Wait.turns, _SLEEP, f"{_SILENCE}        {_SLEEP}")),
        "two exclusive",
        2,
    ),
    Mutant("no look after it began to listen", ((_Wait.turns, "if self.sources.are_new():", "if False:"),), "kill"),
    Mutant(
        "who comes before others is not heard",
        ((Place.take, "ring(", "(lambda *_: None)("),),
        "three, kill of an urgent one",
        2,
    ),
    Mutant(
        "who shares hears nobody who does not",
        ((Outlook.whom_to_hear, "[] if self._nested else", "[] if self._nested or first else"),),
        "three, kill before who shares",
    ),
    Mutant(
        "who wants both hears of no end",
        ((_Waiter._listens, "watch(processes, bells)", "watch([], bells)"),),
        "both, kill",
    ),
    Mutant("who wants both keeps the baton", ((_Part.pass_baton, "if self.rung:", "if False:"),), "both, others meet"),
    Mutant(
        "who wants both keeps others waiting",
        ((_Part.stand, "elif not self.place.ticket.yields:", "elif False:"),),
        "both, others meet",
    ),
    Mutant(
        "the seat is given up before the bell is down",
        ((Place.leave, _DOWN + _BETWEEN + _UP, _UP + _BETWEEN + _DOWN),),
        "again",
        3,
    ),
    Mutant("fair is not asked for", ((may_skip_queue, "return not any(any(", "return True or not any(any("),), "fair"),
    Mutant("turns are not asked for", ((_Wait.turns, "if (first or stuck) and", "if"),), "three fair"),
    Mutant(
        "the header is read before the lock",
        (
            (attempt_range, "if rule.lock is not None", f"{_HEAD}    if rule.lock is not None"),
            (attempt_range, f"return None\n    {_HEAD}", "return None\n"),
        ),
        "close",
    ),
    Mutant("a token is given twice", ((attempt_range, "else token + 1", "else token"),), "two exclusive"),
    Mutant("a removed file is not marked", ((_unlink, "os.pwrite(fd, REMOVED, 0)\n", "pass\n"),), "removal"),
    Mutant(
        "a rival that came later is not rung",
        ((_Conversion._refuse_rivals, "ring(request.path", "(lambda *_: None)(request.path"),),
        "two upgrades",
        2,
    ),
    Mutant(
        "a conversion lets go before it takes",
        ((_Conversion._settle, "elif not try_lock(", "elif let_go(fd, LET_GO) or not try_lock("),),
        "upgrade among three",
    ),
)
