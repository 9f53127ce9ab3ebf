"""Signals as people name them, by name or number."""

from __future__ import annotations

from .supervisor import FORWARDED, raw

NUMBERS: dict[str, int] = {
    name: int(getattr(raw, name)) for name in dir(raw) if name.startswith("SIG") and "_" not in name
}
"""SIGTERM → 15, and so on."""

UNSTOPPABLE = frozenset((NUMBERS["SIGKILL"], NUMBERS["SIGSTOP"]))


def number_of(signal: str | int) -> int:
    """Return the number of a signal given as "SIGTERM", "TERM", "15" or 15. Raises ValueError."""
    text = str(int(signal)) if isinstance(signal, int) else signal.strip().upper()
    if text.isdigit():
        number = int(text)
        if number in raw.valid_signals():
            return number
    else:
        number = NUMBERS.get(text if text.startswith("SIG") else f"SIG{text}", 0)
        if number:
            return number
    raise ValueError(f'{signal!r} is not a signal; "pylock signals" lists them')


def ignorable(signal: str | int) -> int:
    """Like `number_of`, for a signal that a process can ignore. Raises ValueError."""
    number = number_of(signal)
    if number in UNSTOPPABLE:
        raise ValueError(f"{name_of(number)} cannot be ignored by any process")
    return number


def name_of(number: int) -> str:
    return next((name for name, value in NUMBERS.items() if value == number), f"signal {number}")


def signals() -> dict[str, int]:
    """Return the signals that a command can be protected from with ``ignore_signals``, by name."""
    return {name: number for name, number in sorted(NUMBERS.items(), key=lambda item: item[1]) if number in FORWARDED}
