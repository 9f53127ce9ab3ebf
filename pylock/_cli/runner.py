"""``pylock run``: from the words of the command line to the exit status."""

from __future__ import annotations

import os
from errno import ENOEXEC
from time import monotonic

from .._deadlock import nesting
from .._errors import LockError, LockTimeout
from .._file.records import forget_words, show_child
from .._file.texts import from_os
from .._locks import Lock, lock
from .._queue.drivers import sleeping_by
from .._run.environment import variables
from .._run.programs import CannotRun, find_program
from .._run.supervisor import Supervisor, die_of, raw, restore_signals
from . import complain, message_of
from .options import BUSY, END, IGNORE, NOTHING, ON_LOST, PROGRAM, SHOWN, UsageError
from .settings import RunSettings, completed
from .taking import (
    OTHER_KINDS,
    Struck,
    fill_standard_descriptors,
    name_and_mode,
    refuse_lent,
    wait,
    wanted_lock,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from .._acquiring.claim import Claim
    from .._queue.drivers import Result, Steps, Watched
    from .._run.limit import Limit
    from .._run.loss import LossWatch
    from .._several import Composite
    from .log import Log
    from .options import Values

DEFAULT_NAME = "default"


def run_command(values: Values, operands: list[str], command: list[str] | None) -> int:
    """Carry out ``pylock run`` and return its exit status."""
    if not command:
        raise UsageError('the command is missing: pylock run [OPTIONS] [NAME] -- COMMAND [ARG...]; mind the "--"')
    if len(operands) > 1:
        raise UsageError(f"only one lock can be named before --, not {' '.join(operands)}; for more use --with")
    if not OTHER_KINDS.isdisjoint(values):
        from .kinds import refuse_contradictions

        refuse_contradictions(values, operands)
    _refuse_with_exec(values)
    settings = RunSettings(completed(values))
    if "grace" in values and not settings.limit and settings.on_lost != END:
        raise UsageError("--grace is for --limit, or --on-lost=term")
    if settings.on_lost not in (None, *ON_LOST):
        raise UsageError(f"--on-lost is one of {', '.join(ON_LOST)}, not {settings.on_lost!r}")
    name = from_os(operands[0]) if operands else settings.name or DEFAULT_NAME
    return run_settings(settings, name, command)


def run_settings(settings: RunSettings, name: str, command: list[str], cannot_run: int | None = None) -> int:
    """Run the command as the settings say; ``cannot_run`` stands for the exit statuses 126 and 127."""
    try:
        return _Run(settings, name, command).carry_out()
    except CannotRun as error:
        complain(str(error))
        return error.exit_code if cannot_run is None else cannot_run
    except Struck as struck:
        return die_of(struck.signal)


class _Run:
    """One command under its locks."""

    def __init__(self, settings: RunSettings, name: str, command: list[str]) -> None:
        self._settings = settings
        self._flom = settings.as_flom
        self._command = command
        self._program = find_program(command[0], os.environ.get("PATH"))
        self._ignore = _numbers(settings.ignore_signals or ())
        self._start_ignoring = _numbers(settings.start_ignoring or (), from_start=True)
        self._whole_tree = _waits_for_tree(settings.wait_for)
        self._is_quiet = bool(settings.quiet)
        self._closed = fill_standard_descriptors()
        self._log = _log(settings.log)
        if settings.locks:
            from .settled import settle_all

            first = settings.tree or name
            names = [name_and_mode(text)[0] for text in settings.others or ()]
            settle_all(settings, first, names, makes=not settings.given(*OTHER_KINDS))
        self._first = wanted_lock(settings, name)
        self._wanted = self._with_others(settings.others or ())
        self._requests = [part.request for part in self._wanted.parts]
        shown = _shown(command, settings.show_command)
        for request in self._requests:
            request.command = shown
            request.expect_child()
            request.renews |= self._flom is not None
        # Who waits to share the lock that is taken last starts after this command, as it came after it.
        self._requests[-1].passes_bell_late = not settings.exec

    def _with_others(self, others: tuple[str, ...]) -> Lock | Composite[Any]:
        if not others:
            return self._first
        from .._several import all_of

        common = self._settings.given("priority", "reason", "directory")
        named = (name_and_mode(text) for text in others)
        defined = self._settings.defined
        return all_of(self._first, *(lock(name, mode, **common, **defined(name)) for name, mode in named))

    def carry_out(self) -> int:
        if self._timeout() != 0 or not self._flom:  # to FLoM it is busy
            for request in self._requests:
                nesting.refuse_outer_hold(request)
        for number in self._start_ignoring:
            raw.signal(number, raw.SIG_IGN)
        limit = _limit(self._settings)
        supervisor = Supervisor(
            self._ignore, bool(self._settings.new_group or limit), self._whole_tree, self._start_ignoring, complain,
            limit, self._on_lost() == END,
        )  # fmt: skip
        claim: Any = self._wanted.new_claim()
        try:
            if not claim.take():
                if self._timeout() != 0:
                    refuse_lent(self._requests)
                steps = self._wanted.steps(claim, self._timeout())
                wait(steps if self._log is None else self._noting(steps, claim), self._requests, self._is_quiet)
        except LockTimeout as error:
            claim.give_up(error)
            self._note("refusal", claim, waited=error.waited, why=str(error))
            return self._busy(error)
        except BaseException as error:
            claim.give_up(error)
            self._note("refusal", claim, why=message_of(error))
            if isinstance(error, ImportError):
                return complain(f"{error}; pylock was upgraded or removed while it waited: start the command again")
            raise
        status = self._supervise(supervisor, claim)
        # Signals stay blocked: what comes now is too late to change how the command ended.
        if limit is not None and limit.is_up:
            return limit.exit_code
        if not os.WIFSIGNALED(status):
            return os.waitstatus_to_exitcode(status)
        if self._flom and self._flom.overlooks(os.WTERMSIG(status), supervisor.received):
            return 0
        return die_of(os.WTERMSIG(status))

    def _supervise(self, supervisor: Supervisor, claim: Any) -> int:
        """Run the command and let go; return its wait status. Once it has started, nothing else ends this."""
        claims: tuple[Claim, ...] = claim.claims
        first = next(single for single in claims if single.request is self._first.parts[-1].request)
        environment = _environment() | self._told(claim, first)
        self._note("grant", claim, waited=claim.waited)
        self._say(
            f'holds "{first.request.name}", token {environment["PYLOCK_TOKEN"]}, after {claim.waited:.1f} s, in'
            f" {first.request.directory.path}, by {self._settings.origin}"
        )
        if self._settings.exec:
            self._become_command(claims, environment)
        watch = self._loss_watch(claims, supervisor)
        supervisor.block_signals()
        begun = monotonic()
        status = -1
        try:
            supervisor.start(self._program, self._command, environment, [single.fd for single in claims], self._closed)
            self._change_records(claims, show_child, supervisor.child)
            self._pass_bells(claims)
            if watch is not None and not watch.begin():
                complain("cannot start a thread, so that nobody looks whether the lock is lost: too many processes")
            status = supervisor.wait(nesting.mark(), self._announce_descendants)
        finally:
            if watch is not None:
                watch.stop()
            self._let_go(claim, failed=status != 0)
            self._note("release", claim, held=monotonic() - begun, status=_shell_status(status))
        self._say(f'let go of "{first.request.name}"')
        return status

    def _on_lost(self) -> str:
        """What to do if a lock is lost; on one host nobody loses one without a hand that removes its file."""
        is_remote = any(request.directory.remote for request in self._requests)
        return self._settings.on_lost or (END if is_remote else IGNORE)

    def _loss_watch(self, claims: tuple[Claim, ...], supervisor: Supervisor) -> LossWatch | None:
        """What looks after the locks, complete: from the start of the command on nothing may fail."""
        reaction = self._on_lost()
        if reaction == IGNORE:
            return None
        from .._run.limit import GRACE, Limit
        from .._run.loss import LossWatch

        grace = GRACE if self._settings.grace is None else self._settings.grace

        def tell(claim: Claim, why: str) -> None:
            lost = f'the lock "{claim.request.name}" is lost: {why}'
            self._note("loss", claim, why=why)
            if reaction == END:
                supervisor.end_by(Limit(0, grace, f"{lost}; the command is told to end"))
            else:
                complain(f"{lost}; the command goes on")

        return LossWatch(claims, tell)

    def _change_records(self, claims: tuple[Claim, ...], change: Callable[..., None], *values: int) -> None:
        for claim in claims:
            try:
                change(claim.fd, claim.grant.places if claim.grant else (), *values)
            except OSError as error:  # a record is for show
                self._say(f"cannot change what others see of the command: {message_of(error)}")

    def _pass_bells(self, claims: tuple[Claim, ...]) -> None:
        for claim in claims:
            try:
                claim.pass_bell()
            except OSError as error:  # who waits looks by itself
                self._say(f"cannot wake who waits: {message_of(error)}")

    def _let_go(self, claim: Any, failed: bool) -> None:
        self._change_records(claim.claims, forget_words)
        try:
            claim.release(failed)
        except (OSError, LockError) as error:  # it is free all the same, and the command ended as it did
            complain(message_of(error))

    def _told(self, claim: Any, first: Claim) -> dict[str, str]:
        """What the command is told in its environment; FLoM tells it as a last argument, and has no directory."""
        told = variables(claim, first)
        if self._flom:
            del told["PYLOCK_DIR"]
            given = [told[name] for name in ("PYLOCK_ELEMENT", "PYLOCK_VALUE") if name in told]
            self._command += self._flom.arguments(given)
        return told

    def _busy(self, error: LockTimeout) -> int:
        """What to do when the lock could not be had."""
        if self._settings.skip_if_busy:
            self._say(f"skipped: {error}")
            return 0
        if self._flom:
            self._flom.say_refused(error.exists)
        complain(str(error))
        busy, absent = self._settings.busy_exit_code, self._settings.absent_exit_code
        code = busy if error.exists or absent is None else absent
        return BUSY if code is None else code

    def _timeout(self) -> float | None:
        return 0.0 if self._settings.skip_if_busy else self._settings.timeout

    def _become_command(self, claims: tuple[Claim, ...], environment: dict[str, str]) -> NoReturn:
        for claim in claims:
            os.set_inheritable(claim.fd, True)
        for fd in self._closed:
            os.close(fd)
        restore_signals(self._start_ignoring)
        try:
            try:
                os.execve(self._program, self._command, environment)
            except OSError as error:
                if error.errno != ENOEXEC:
                    raise
                os.execve("/bin/sh", ["sh", self._program, *self._command[1:]], environment)
        except OSError as error:
            raise CannotRun.by(error, self._command[0], self._program) from error

    def _announce_descendants(self, pids: list[int]) -> None:
        if not self._is_quiet:
            complain(f"the command has ended; its descendants hold on: pid {', '.join(map(str, pids))}")

    def _noting(self, steps: Steps[Result], claim: Any) -> Steps[Result]:
        """The same steps, the first of which begins a wait."""
        is_noted = False

        def sleep(watched: Watched, seconds: float) -> Steps[bool]:
            nonlocal is_noted
            if not is_noted:
                is_noted = True
                self._note("wait", claim)
            return (yield watched, seconds)

        return sleeping_by(sleep, steps)

    def _note(self, event: str, claim: Any, **fields: object) -> None:
        """Write it into the log, if there is one, for each lock that was asked for."""
        if self._log is None:
            return
        for single in claim.claims:
            if not single.request.kind.below and not (event == "wait" and single.grant):
                token = {} if single.grant is None else {"token": single.grant.token}
                self._log.write(event, single.request, **token, **fields)

    def _say(self, text: str) -> None:
        if self._settings.verbose:
            complain(text)


def _limit(settings: RunSettings) -> Limit | None:
    """How long the command may run; as for timeout(1), 0 is for ever."""
    if not settings.limit:
        return None
    from .._run.limit import GRACE, Limit

    return Limit(settings.limit, GRACE if settings.grace is None else settings.grace)


def _log(where: str | None) -> Log | None:
    if where is None:
        return None
    from .log import Log

    return Log(where)


def _shell_status(status: int) -> int:
    """The exit status that a shell shows for a wait status; -1 stands for none."""
    if status < 0:
        return 125
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def _numbers(signals: tuple[str | int, ...], from_start: bool = False) -> list[int]:
    """The numbers of signals to ignore. Raises ValueError."""
    if not signals:
        return []
    from .._run.signals import ignorable, ignorable_from_start  # with all names, which most commands never need

    check = ignorable_from_start if from_start else ignorable
    return [check(str(signal)) for signal in signals]


def _environment() -> dict[str, str]:
    """The environment that this process was given. Where the locale is C, Python adds LC_CTYPE to it (PEP 538)."""
    environment = dict(os.environ)
    if environment.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8"):
        try:
            with open("/proc/self/environ", "rb") as given:
                variables = given.read().split(b"\0")
        except OSError:  # /proc may be hidden or absent
            return environment
        if not any(variable.startswith(b"LC_CTYPE=") for variable in variables):
            del environment["LC_CTYPE"]
    return environment


def _shown(command: list[str], how: str | None) -> str:
    """What the record says of the command: it stays in the lock file until another record takes its place."""
    if how not in (None, *SHOWN):
        raise UsageError(f"--show-command is one of {', '.join(SHOWN)}, not {how!r}")
    if how == NOTHING:
        return "(not shown)"
    return from_os(os.path.basename(command[0]) if how == PROGRAM else " ".join(command))


def _waits_for_tree(what: str | None) -> bool:
    if what not in (None, "command", "tree"):
        raise UsageError(f"--wait-for is one of command, tree, not {what!r}")
    return what == "tree"


def _refuse_with_exec(values: Values) -> None:
    """With --exec nobody stays who could see to these."""
    if values.get("exec"):
        for name in ("ignore_signals", "new_group", "wait_for", "transactional", "idle_lifespan", "limit", "on_lost"):
            if name in values:
                raise UsageError(f"--exec cannot be combined with --{name.replace('_', '-').removesuffix('s')}")
