"""Telling a program what happens to its locks: for logs, metrics and traces. Where nobody listens nothing is made."""

from __future__ import annotations

from time import monotonic

from .._errors import Deadlock, harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from .._request import Grant, Request

    class One(Protocol):
        """A `Claim`."""

        @property
        def request(self) -> Request: ...
        @property
        def grant(self) -> Grant | None: ...

        told_at: float
        """When its grant was told, on the monotonic clock; not there if it was not."""

    class OneOrMore(Protocol):
        """A `Claim` or `Claims`."""

        @property
        def claims(self) -> Sequence[One]: ...
        @property
        def waited(self) -> float: ...


class Event:
    """Something that happened to a lock that this process asked for or holds.

    ``kind`` is one of

    - "waiting": it is not to be had at once, and is waited for
    - "granted": it is held; ``seconds`` is how long it was waited for
    - "converted": the hold has another ``mode``
    - "released": it is let go of; ``seconds`` is how long it was held
    - "gave up": it was not had, by ``error``, after ``seconds``
    - "deadlock": the same, as a wait would never have ended
    - "lost": `Hold.check` found that others may hold it too, by ``error``
    """

    __slots__ = ("directory", "error", "kind", "mode", "name", "seconds", "token")

    def __init__(self, kind: str, claim: One, seconds: float | None, error: BaseException | None) -> None:
        request = claim.request
        self.kind: str = kind
        self.name: str = request.name
        self.mode: str = request.mode.name
        """Such as "exclusive"."""
        self.directory: str = request.directory.path
        self.token: int | None = claim.grant.token if claim.grant else None
        """The fencing token of the hold; None if there is none."""
        self.seconds: float | None = seconds
        self.error: BaseException | None = error

    def __repr__(self) -> str:
        seconds = "" if self.seconds is None else f" {self.seconds:.3f} s"
        return f'<Event {self.kind} "{harmless(self.name)}" {self.mode}{seconds}>'


listeners: list[Callable[[Event], object]] = []
"""Those who are told. Whoever tells looks first whether there are any."""


def on_event(listener: Callable[[Event], object]) -> Callable[[], None]:
    """Have the listener called with each `Event` from now on; call what is returned to end that.

    It is called in the thread or task that asks for the lock or lets go of it: at "granted" while that is held, and at
    "released" after it. It should be quick, and ask for no lock. What it raises is logged to "pylock", and changes
    nothing. A forked child has the listeners of its parent. Raises TypeError for what cannot be called.
    """
    if not callable(listener):
        raise TypeError(f"a listener is a function of one event, not {listener!r}")
    listeners.append(listener)

    def end() -> None:
        if listener in listeners:
            listeners.remove(listener)

    return end


def log_event(event: Event) -> None:
    """A listener that writes to the logger "pylock": losses as errors, refusals as warnings, all else for debugging."""
    import logging

    level = {"lost": logging.ERROR, "deadlock": logging.WARNING, "gave up": logging.WARNING}.get(
        event.kind, logging.DEBUG
    )
    seconds = "" if event.seconds is None else f" after {event.seconds:.3f} s"
    why = f": {harmless(str(event.error))}" if event.error else ""
    logging.getLogger("pylock").log(
        level, '%s "%s" (%s)%s%s', event.kind, harmless(event.name), event.mode, seconds, why, extra={"event": event}
    )


def tell_granted(claims: OneOrMore) -> None:
    for claim in claims.claims:
        claim.told_at = monotonic()
        tell("granted", claim, claims.waited)


def tell_released(claim: One) -> None:
    """Tell it of one whose grant was told."""
    told_at = getattr(claim, "told_at", None)
    if told_at is not None:
        tell("released", claim, monotonic() - told_at)


def tell_refused(claims: OneOrMore, error: BaseException) -> None:
    for claim in claims.claims:
        tell("deadlock" if isinstance(error, Deadlock) else "gave up", claim, claims.waited, error)


def tell(kind: str, claim: One, seconds: float | None = None, error: BaseException | None = None) -> None:
    event = Event(kind, claim, seconds, error)
    for listener in tuple(listeners):
        try:
            listener(event)
        except Exception:
            import logging

            logging.getLogger("pylock").exception("a listener of on_event failed at %r", event)
