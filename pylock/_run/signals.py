"""Signals as people name them, by name or number."""

from __future__ import annotations

from .supervisor import UNSTOPPABLE, raw

NUMBERS: dict[str, int] = {
    name: int(getattr(raw, name)) for name in dir(raw) if name.startswith("SIG") and "_" not in name
}
"""SIGTERM → 15, and so on."""


def number_of(signal: str | int) -> int:
    """Return the number of a signal given as "SIGTERM", "TERM", "15" or 15, or "RTMIN+2". Raises ValueError."""
    text = str(int(signal)) if isinstance(signal, int) else signal.strip().upper()
    number = int(text) if text.isdecimal() and len(text) < 4 else _number_of_name(text.removeprefix("SIG"))
    if number in raw.valid_signals():
        return number
    raise ValueError(f'{signal!r} is not a signal; "pylock signals" lists them')


def _number_of_name(name: str) -> int:
    """Return its number, or 0; real-time signals are named by how far they are from the first or the last one."""
    for base, direction in (("RTMIN+", 1), ("RTMAX-", -1)):
        steps = name.removeprefix(base)
        if steps != name and steps.isdecimal() and len(steps) < 4:
            number = NUMBERS[f"SIG{base[:-1]}"] + direction * int(steps)
            return number if raw.SIGRTMIN <= number <= raw.SIGRTMAX else 0
    return NUMBERS.get(f"SIG{name}", 0)


def ignorable(signal: str | int) -> int:
    """Like `number_of`, for a signal that a process can ignore. Raises ValueError."""
    number = number_of(signal)
    if number in UNSTOPPABLE:
        raise ValueError(f"{name_of(number)} cannot be ignored by any process")
    return number


def ignorable_from_start(signal: str | int) -> int:
    """Like `ignorable`, for a signal that the command may be started with as ignored. Raises ValueError."""
    number = ignorable(signal)
    if number == raw.SIGCHLD:
        raise ValueError("SIGCHLD cannot be ignored by a command from its start: its end could not be waited for")
    return number


def name_of(number: int) -> str:
    return next((name for name, value in NUMBERS.items() if value == number), f"signal {number}")


def signals() -> dict[str, int]:
    """Return the signals that a command can be protected from with ``ignore_signals``, by name, in their order."""
    steps = range(1, raw.SIGRTMAX - raw.SIGRTMIN)
    named = NUMBERS | {f"SIGRTMIN+{step}": raw.SIGRTMIN + step for step in steps}
    return dict(sorted(((name, number) for name, number in named.items() if number not in UNSTOPPABLE), key=_by_number))


def _by_number(item: tuple[str, int]) -> int:
    return item[1]
