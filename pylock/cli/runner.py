"""``pylock run``: from the words of the command line to the exit status."""

from __future__ import annotations

import os
from errno import ENOEXEC

from .. import nesting, signames
from ..errors import LockTimeout
from ..locks import Lock
from ..programs import CannotRun, find_program
from ..request import make_request
from ..supervisor import Supervisor, restore_signals
from . import complain
from .options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ..fronts import Steps
    from ..locks import Hold
    from .options import Values

DEFAULT_NAME = "default"
SYSTEM_FILE = "/etc/pylock/config.toml"
USER_FILE = "~/.config/pylock/config.toml"
BUSY = 75
"""Exit status of a lock that could not be had: EX_TEMPFAIL of sysexits.h, as lckdo has it."""

_raw = signames.raw


class _Struck(BaseException):
    """A signal came while the lock was waited for."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


def run_command(values: Values, operands: list[str], command: list[str] | None) -> int:
    """Carry out ``pylock run`` and return its exit status."""
    if not command:
        raise UsageError('the command is missing: pylock run [OPTIONS] [NAME] -- COMMAND [ARG...]; mind the "--"')
    if len(operands) > 1:
        raise UsageError(f"only one lock can be named before --, not {' '.join(operands)}; for more use --with")
    _refuse_with_exec(values)
    settings = _settings(values)
    name = operands[0] if operands else str(settings.get("name", DEFAULT_NAME))
    try:
        return _Run(settings, name, command).carry_out()
    except CannotRun as error:
        complain(str(error))
        return error.exit_code
    except _Struck as struck:
        return _die_of(struck.signal)


class _Run:
    """One command under its locks."""

    def __init__(self, settings: Values, name: str, command: list[str]) -> None:
        self._settings = settings
        self._command = command
        self._program = find_program(command[0], os.environ.get("PATH"))
        self._ignore = [signames.ignorable(str(signal)) for signal in settings.get("ignore_signals", ())]
        self._whole_tree = _choice(settings, "wait_for", ("command", "tree")) == "tree"
        self._closed = _fill_standard_descriptors()
        self._lock = self._make_lock(name, str(settings.get("mode") or self._implied_mode()))
        others = [_name_and_mode(text) for text in settings.get("others", ())]
        self._others = [self._make_lock(other, mode, plain=True) for other, mode in others]

    def _implied_mode(self) -> str:
        return "shared" if "capacity" in self._settings or "weight" in self._settings else "exclusive"

    def _make_lock(self, name: str, mode: str, plain: bool = False) -> Lock:
        get = self._settings.get
        own: Values = {} if plain else self._settings
        definition = get("locks", {}).get(name, {})
        request = make_request(
            name,
            mode,
            own.get("weight", 1),
            own.get("capacity", definition.get("capacity")),
            get("priority", 0),
            own.get("policy", definition.get("policy")),
            get("reason"),
            get("directory"),
            " ".join(self._command),
        )
        return Lock(request, None)

    def carry_out(self) -> int:
        requests = [lock._request for lock in (self._lock, *self._others)]
        for request in requests:
            nesting.refuse_deadlock(request)
        supervisor = Supervisor(self._ignore, bool(self._settings.get("new_group")), self._whole_tree)
        try:
            holds = self._acquire()
        except LockTimeout as error:
            return self._busy(error)
        if self._settings.get("exec"):
            self._become_command(holds)
        supervisor.block_signals()
        self._say(f'holds "{self._lock.name}", token {holds[0].token}')
        try:
            status = supervisor.run(
                self._program, self._command, self._environment(holds), [hold._fd for hold in holds], self._closed,
                self._announce_descendants,
            )  # fmt: skip
        except OSError as error:
            raise CannotRun(f"{self._command[0]}: {error.strerror}", 126) from error
        finally:
            for hold in reversed(holds):
                hold.release()
        self._say(f'let go of "{self._lock.name}"')
        # Signals stay blocked: what comes now is too late to change how the command ended.
        return _die_of(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)

    def _busy(self, error: LockTimeout) -> int:
        """What to do when the lock could not be had."""
        if self._settings.get("skip_if_busy"):
            self._say(f"skipped: {error}")
            return 0
        complain(str(error))
        return int(self._settings.get("busy_exit_code", BUSY))

    def _acquire(self) -> list[Hold]:
        timeout = 0.0 if self._settings.get("skip_if_busy") else self._settings.get("timeout")
        if not self._others:
            return [self._lock.acquire(timeout, self._wait)]
        from ..several import all_of

        return list(all_of(self._lock, *self._others).acquire(timeout, self._wait).holds)

    def _wait(self, steps: Steps[None]) -> None:
        """Wait for a lock, visibly; a signal meanwhile leaves the queue in good order."""
        before = {number: _raw.signal(number, _strike) for number in signames.FORWARDED if _is_default(number)}
        try:
            if self._settings.get("quiet"):
                from ..fronts import drive

                drive(steps)
            else:
                from .announcing import drive_announcing

                drive_announcing(steps, self._lock._request)
        finally:
            for number, handler in before.items():
                _raw.signal(number, handler)

    def _environment(self, holds: list[Hold]) -> dict[str, str]:
        request = self._lock._request
        return os.environ | {
            "PYLOCK_NAME": request.name,
            "PYLOCK_MODE": request.mode.name,
            "PYLOCK_TOKEN": str(holds[0].token),
            "PYLOCK_DIR": request.directory.path,
            nesting.VARIABLE: nesting.extended([lock._request for lock in (self._lock, *self._others)]),
        }

    def _become_command(self, holds: list[Hold]) -> NoReturn:
        for hold in holds:
            os.set_inheritable(hold._fd, True)
        for fd in self._closed:
            os.close(fd)
        restore_signals()
        environment = self._environment(holds)
        try:
            os.execve(self._program, self._command, environment)
        except OSError as error:
            if error.errno != ENOEXEC:
                raise CannotRun(f"{self._command[0]}: {error.strerror}", 126) from error
        os.execve("/bin/sh", ["sh", self._program, *self._command[1:]], environment)

    def _announce_descendants(self, pids: list[int]) -> None:
        if not self._settings.get("quiet"):
            complain(f"the command has ended; its descendants hold on: pid {', '.join(map(str, pids))}")

    def _say(self, text: str) -> None:
        if self._settings.get("verbose"):
            complain(text)


def _die_of(signal: int) -> int:
    from ..dying import die_of

    return die_of(signal)


def _settings(values: Values) -> Values:
    """The command line's values, completed from the settings files there are."""
    files = [path for path in (SYSTEM_FILE, os.path.expanduser(USER_FILE)) if os.path.exists(path)]
    if named := values.get("config") or os.environ.get("PYLOCK_CONFIG"):
        files.append(str(named))
    if not files:
        return values
    from .config import load_settings

    return load_settings(files) | values


def _strike(signal: int, frame: object) -> None:
    raise _Struck(signal)


def _is_default(number: int) -> bool:
    return _raw.getsignal(number) is not _raw.SIG_IGN


def _choice(settings: Values, name: str, choices: tuple[str, ...]) -> str:
    value = str(settings.get(name, choices[0]))
    if value not in choices:
        raise UsageError(f"--{name.replace('_', '-')} is one of {', '.join(choices)}, not {value!r}")
    return value


def _refuse_with_exec(values: Values) -> None:
    """With --exec nobody stays who could see to these."""
    if values.get("exec"):
        for name in ("ignore_signals", "new_group", "wait_for"):
            if name in values:
                raise UsageError(f"--exec cannot be combined with --{name.replace('_', '-').removesuffix('s')}")


def _name_and_mode(text: str) -> tuple[str, str]:
    """Split NAME[:MODE]; a colon that no mode follows belongs to the name."""
    from ..modes import rule_of

    name, colon, mode = text.rpartition(":")
    if colon and name:
        try:
            return name, rule_of(mode).name
        except ValueError:
            pass
    return text, "exclusive"


def _fill_standard_descriptors() -> list[int]:
    """Open what is closed of 0 to 2, so that no lock file gets such a number; return which were closed."""
    closed = []
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            closed.append(os.open(os.devnull, os.O_RDWR))
    return closed
