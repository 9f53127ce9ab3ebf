"""Locks in the middle of a script, which holds them by a descriptor of its own: path, take, release, held."""

from __future__ import annotations

import os
import sys

from .. import _process as process
from .._acquiring.lending import lend, release_lent
from .._deadlock import lenders, nesting
from .._errors import LockTimeout
from .._file.byterange import let_go
from .._file.descriptors import close
from .._file.lockfile import open_file
from .._file.texts import from_os
from .._locks import Lock, lock
from .._queue.drivers import sleeping_by
from .._run.supervisor import die_of, raw
from . import complain
from .options import BUSY, UsageError, exactly_one
from .settings import RunSettings, completed, place
from .taking import Struck, fill_standard_descriptors, refuse_lent, wait, wanted_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._queue.drivers import Steps, Watched
    from .options import Values

_FOR_RUN = frozenset(("create", "idle_lifespan"))
"""What settings files may say of locks that scripts do not heed."""
_STANDARD = 3
"""Descriptors below are a program's own, for input and output."""


def print_path(values: Values, operands: list[str]) -> int:
    request = lock(from_os(exactly_one(operands, "NAME")), directory=place(values).directory).request
    close(open_file(request.path, request.directory))  # which gives it the mode that its directory asks for
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(request.path) + b"\n")
    return 0


def take(values: Values, operands: list[str]) -> int:
    """Take the lock for the process that started this one; return the exit status."""
    fd, name = _descriptor(values), from_os(exactly_one(operands, "NAME"))
    fill_standard_descriptors()
    settings = RunSettings({key: value for key, value in completed(values).items() if key not in _FOR_RUN})
    wanted = wanted_lock(settings, name)
    assert isinstance(wanted, Lock)  # other kinds are asked for by options of run alone
    try:
        return _take(wanted, fd, settings, bool(values.get("token")))
    except Struck as struck:
        return die_of(struck.signal)


def _take(wanted: Lock, fd: int, settings: RunSettings, prints_token: bool) -> int:
    script, request = os.getppid(), wanted.request
    lend(request, fd)
    nesting.refuse_outer_hold(request)
    process.speak_for(script)
    request.command = process.command_line(script)
    claim = wanted.new_claim()
    try:
        if not claim.take():
            if settings.timeout != 0:
                refuse_lent([request])
            steps = wanted.steps(claim, settings.timeout)
            wait(_while_there(script, steps), [request], bool(settings.quiet))
        assert claim.grant is not None
        token = claim.grant.token
        if prints_token:
            print(token, flush=True)
    except LockTimeout as error:
        claim.give_up(error)
        complain(str(error))
        return BUSY if settings.busy_exit_code is None else settings.busy_exit_code
    except BaseException as error:
        let_go(fd)  # a signal may have come just after the grant, or the token reached nobody
        claim.give_up(error)
        raise
    claim.close()
    if settings.verbose:
        complain(f'descriptor {fd} holds "{request.name}", token {token}')
    return 0


def _while_there(script: int, steps: Steps[None]) -> Steps[None]:
    """The same steps, left as by a hangup once the script has ended."""

    def sleep(watched: Watched, seconds: float) -> Steps[bool]:
        ready = yield watched, seconds
        if os.getppid() != script:
            raise Struck(raw.SIGHUP)
        return ready

    return sleeping_by(sleep, steps)


def release(values: Values, operands: list[str]) -> int:
    if operands:
        raise UsageError("release takes no operands; name the descriptor by --fd")
    release_lent(_descriptor(values))
    return 0


def tell_if_held(values: Values, operands: list[str]) -> int:
    from .._status import inspect

    lenders.adopt()
    state = inspect(from_os(exactly_one(operands, "NAME")), place(values).directory)
    here = os.path.realpath(state.path)
    outers = (outer for outer in nesting.outer_holds() if os.path.realpath(outer.path) == here)
    return 0 if any(nesting.is_among(outer, state.holders) for outer in outers) else 1


def _descriptor(values: Values) -> int:
    """The descriptor that was named, which is open. Raises UsageError."""
    if "fd" not in values:
        raise UsageError("--fd is missing: the descriptor that the script has opened, as by exec 9<>FILE")
    fd = int(values["fd"])
    if fd < _STANDARD:
        raise UsageError(f"--fd={fd}: is for input and output; use {_STANDARD} or more, such as 9")
    if not _is_open(fd):
        raise UsageError(f'--fd={fd}: is not open; open one by exec {fd}<>"$(pylock path NAME)"')
    return fd


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except (OSError, OverflowError):
        return False
    return True
