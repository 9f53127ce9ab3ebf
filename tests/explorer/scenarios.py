"""Who does what: the programs of the contenders, what may befall them, and how far their schedules are gone through."""

from __future__ import annotations

from dataclasses import dataclass, field

import pylock

from .contenders import NAME, Act, clean, convert, define, meet, release, release_all, take, take_all

Program = tuple[Act, ...]


@dataclass(frozen=True)
class Scenario:
    """``preemptions``: how often, at most, one that can go on is stopped for another; None is as often as can be.

    ``kills``: how many of those in ``may_die`` may be killed, each at any of its calls. ``slowly``: of a killed one the
    descriptors are let go one by one, with others in between. ``stops``: a contender may be stopped for so long that
    others take it for a stopped one. ``setup`` was done before. ``may_raise`` are errors that end a program rightly.
    """

    name: str
    programs: tuple[Program, ...]
    preemptions: int | None = None
    kills: int = 0
    may_die: tuple[int, ...] = ()
    slowly: bool = False
    stops: bool = False
    fair: bool = False
    setup: Program = field(default=(take(), release()), repr=False)
    may_raise: tuple[type[Exception], ...] = ()


EX = (take(), release())
SH = (take("shared"), release())
TIMED = (take(timeout=50), release())
MEETS = (take("shared"), meet(2), release())
UPGRADES = (take("shared"), convert("exclusive"), release())
ONE, TWO = (take("shared", capacity=2), release()), (take("shared", capacity=2, weight=2), release())
URGENT = (take(priority=1), release())
FAIR_EX, FAIR_SH = (take(policy="fair"), release()), (take("shared", policy="fair"), release())
FAIR_TIMED = (take(policy="fair", timeout=50), release())

OTHER = (take(name="other"), release())
OTHER_MEETS = (*OTHER, meet(2))
BOTH = (take_all(NAME, "other"), release_all())

_TWO_LOCKS = EX + OTHER
_OF_TWO = (take("shared", capacity=2), release())
_OF_FAIR = (take(policy="fair"), release())
_TIME_IS_UP = (pylock.LockTimeout,)
_REFUSED = (pylock.Deadlock,)


def _all_of_two() -> list[Scenario]:
    """Every schedule; of those who want both of two locks, as with three contenders."""
    return [
        Scenario("two exclusive", (EX, EX)),
        Scenario("new lock", (EX, EX), setup=()),
        Scenario("new lock, shared", (SH, EX), setup=()),
        Scenario("again", (EX + EX, EX)),
        Scenario("shared, exclusive", (SH, EX)),
        Scenario("shared twice, exclusive", (SH + SH, EX)),
        Scenario("protected write, concurrent read", ((take("PW"), release()), (take("CR"), release()))),
        Scenario("concurrent write, exclusive", ((take("CW"), release()), EX)),
        Scenario("counted", (TWO, ONE + ONE), setup=_OF_TWO),
        Scenario("fair", (FAIR_EX + FAIR_EX, FAIR_SH), setup=_OF_FAIR, fair=True),
        Scenario("time-out", (EX, TIMED), may_raise=_TIME_IS_UP),
        Scenario("shared time-out", (EX, (take("shared", timeout=50), release())), may_raise=_TIME_IS_UP),
        Scenario("kill", (EX, EX), kills=1, may_die=(0, 1)),
        Scenario("kill, slowly", (EX, EX), kills=1, may_die=(0, 1), slowly=True),
        Scenario("kill of shared", (SH, EX), kills=1, may_die=(0, 1)),
        Scenario("upgrade", (UPGRADES, EX)),
        Scenario("two upgrades", (UPGRADES, UPGRADES), may_raise=_REFUSED),
        Scenario(
            "upgrade, time-out", ((take("shared"), convert("exclusive", 50), release()), SH), may_raise=_TIME_IS_UP
        ),
        Scenario("downgrade", ((take(), convert("shared"), release()), SH)),
        Scenario("upgrade, kill", (UPGRADES, SH), kills=1, may_die=(0, 1)),
        Scenario("close", ((define(capacity=0),), TIMED), may_raise=_TIME_IS_UP),
        Scenario("close and open", ((define(capacity=0), define(capacity=5)), EX)),
        Scenario("lower", ((define(capacity=1),), SH + SH), setup=_OF_TWO),
        Scenario("raise", ((take("shared", capacity=2), define(capacity=3), release()), TWO), setup=_OF_TWO),
        Scenario("both, one of them", (BOTH, EX), 3, setup=_TWO_LOCKS),
        Scenario("both, the other one", (BOTH, OTHER), 3, setup=_TWO_LOCKS),
        Scenario("two who want both", (BOTH, BOTH), 3, setup=_TWO_LOCKS),
        Scenario("both, kill", (BOTH, EX), 2, kills=1, may_die=(0, 1), setup=_TWO_LOCKS),
        Scenario("removal", ((clean(),), EX)),
        Scenario("removal of a new lock", ((*EX, clean()), EX), setup=()),
        Scenario("removal, kill", ((clean(),), EX), kills=1, may_die=(0,)),
    ]


def _all_of_three() -> list[Scenario]:
    """Every schedule in which at most three times one that could go on is stopped."""
    return [
        Scenario("three exclusive", (EX, EX, EX), 3),
        Scenario("two shared, exclusive", (SH, SH, EX), 3),
        Scenario("exclusive, two shared", (EX, MEETS, MEETS), 3),
        Scenario("shared, two exclusive", (SH, EX, EX), 3),
        Scenario("three counted", (TWO, ONE, ONE), 3, setup=_OF_TWO),
        Scenario("three fair", (FAIR_EX, FAIR_SH, FAIR_EX), 3, setup=_OF_FAIR, fair=True),
        Scenario(
            "three fair, time-out", (FAIR_EX, FAIR_TIMED, FAIR_SH), 3, setup=_OF_FAIR, fair=True, may_raise=_TIME_IS_UP
        ),
        Scenario("three, time-out", (EX, TIMED, EX), 3, may_raise=_TIME_IS_UP),
        Scenario("three, kill", (EX, EX, EX), 3, kills=1, may_die=(0, 1)),
        Scenario("three, kill, slowly", (EX, EX, EX), 3, kills=1, may_die=(0, 1), slowly=True),
        Scenario("three, kill before who shares", (EX, EX, SH), 3, kills=1, may_die=(1,)),
        Scenario("three, kill of an urgent one", (EX, EX, URGENT), 3, kills=1, may_die=(2,)),
        Scenario("three, two kills", (EX, EX, EX), 2, kills=2, may_die=(0, 1)),
        Scenario("three, stopped", (EX, EX, EX), 2, stops=True),
        Scenario("shared, kill", (SH, EX, SH), 3, kills=1, may_die=(0, 1)),
        Scenario("upgrade among three", (UPGRADES, SH, EX), 3),
        Scenario("two upgrades among three", (UPGRADES, UPGRADES, EX), 3, may_raise=_REFUSED),
        Scenario("close and open among three", ((define(capacity=0), define(capacity=5)), EX, SH), 3),
        Scenario("both, each of them", (BOTH, EX, OTHER), 2, setup=_TWO_LOCKS),
        Scenario("both, others meet", (BOTH, (take(), *OTHER, meet(2), release()), OTHER_MEETS), 1, setup=_TWO_LOCKS),
        Scenario("both, each of them, kill", (BOTH, EX, OTHER), 1, kills=1, may_die=(0, 1, 2), setup=_TWO_LOCKS),
        Scenario("removal among three", ((clean(),), EX, EX), 3),
    ]


def _all_of_four() -> list[Scenario]:
    return [
        Scenario("four exclusive", (EX, EX, EX, EX), 3),
        Scenario("two shared, two exclusive", (SH, SH, EX, EX), 3),
        Scenario("four counted", (TWO, ONE, ONE, TWO), 3, setup=_OF_TWO),
        Scenario("four fair", (FAIR_EX, FAIR_SH, FAIR_SH, FAIR_EX), 3, setup=_OF_FAIR, fair=True),
        Scenario("four, time-out", (EX, TIMED, EX, SH), 3, may_raise=_TIME_IS_UP),
        Scenario("four, kill", (EX, EX, SH, EX), 3, kills=1, may_die=(0, 1)),
        Scenario("upgrade among four", (UPGRADES, SH, SH, EX), 3),
    ]


SCENARIOS = {each.name: each for each in (*_all_of_two(), *_all_of_three(), *_all_of_four())}
