"""Signals on their way to a command of `run`, in a program that has handlers of its own."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from .descendants import Family
from .signals import name_of
from .supervisor import FORWARDED, RESUMING, undelivered
from .terminal import in_foreground


class Relay:
    """In the main thread, hands signals on to the command for the time of the block; elsewhere it does nothing.

    The program's own handlers of other signals run meanwhile; what they raise waits for the end of the command.
    """

    def __init__(self, ignored: frozenset[int], new_group: bool, family: Family) -> None:
        self._ignored = ignored
        self._family = family
        self._send = os.killpg if new_group else os.kill
        self._from_terminal = () if new_group or not in_foreground() else (signal.SIGINT, signal.SIGQUIT)
        self._child: int | None = None
        self._ended = False
        self._early: list[int] = []
        self._undelivered: set[int] = set()
        self._interruption: BaseException | None = None
        self._before: dict[int, Any] = {}
        self._owes_sigchld = False

    def __enter__(self) -> Self:
        try:
            if threading.current_thread() is threading.main_thread():
                for number in signal.valid_signals():
                    self._stand_in(number, signal.getsignal(number))
        except BaseException:  # a handler of the program raised
            self._put_back()
            raise
        return self

    def _stand_in(self, number: int, handler: Any) -> None:
        if number == signal.SIGCHLD:
            if callable(handler):
                self._install(number, self._owe)
            elif handler is signal.SIG_IGN:
                self._install(number, signal.SIG_DFL)
        elif number in FORWARDED | self._ignored and handler not in (signal.SIG_IGN, None):
            self._install(number, self._take)
        elif callable(handler):
            self._install(number, self._guarded(handler))

    def _install(self, number: int, handler: Any) -> None:
        self._before[number] = signal.getsignal(number)
        try:
            signal.signal(number, handler)
        except ValueError:  # the main thread of a subinterpreter, which cannot have handlers
            del self._before[number]

    def _owe(self, number: int, frame: FrameType | None) -> None:
        """Hold back the program's handler of SIGCHLD, which may reap whoever has ended, the command too."""
        self._owes_sigchld = True

    def _guarded(self, handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                self._interruption = error

        return handle

    def __exit__(self, *error: object) -> None:
        self._put_back()
        if self._owes_sigchld:
            signal.raise_signal(signal.SIGCHLD)

    def _put_back(self) -> None:
        """Put back every handler, also if one that is back already raises meanwhile."""
        try:
            for number, handler in list(self._before.items()):
                signal.signal(number, handler)
                self._before.pop(number, None)
        finally:
            if self._before:
                self._put_back()

    def raise_interruption(self) -> None:
        """Raise what a handler of the program raised last."""
        if self._interruption is not None:
            raise self._interruption

    def begin(self, child: int) -> None:
        """Hand on what came before there was a command, and from now on what comes."""
        self._child = child
        for number in self._early:
            self._take(number, None)

    def end(self) -> None:
        """From now on hand on to its descendants only."""
        self._ended = True

    def send(self, number: int) -> None:
        """Signal the command, which has not been reaped, so that the pid is its own."""
        assert self._child is not None
        self._deliver(self._send, self._child, number)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if number in self._ignored or number in self._from_terminal:
            return
        if self._child is None:
            self._early.append(number)
        elif not self._ended:
            self.send(number)
        else:
            for pid in self._family.pids():
                self._deliver(os.kill, pid, number)

    def _deliver(self, send: Callable[[int, int], None], pid: int, number: int) -> None:
        try:
            send(pid, number)
            if number in RESUMING:
                send(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
        except OSError as error:
            if number not in self._undelivered:
                self._undelivered.add(number)
                logging.getLogger("pylock").warning("%s", undelivered(name_of(number), pid, error))
