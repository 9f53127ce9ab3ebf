"""The six modes exclude each other exactly as the published matrix says, in every place where two can meet."""

from __future__ import annotations

import pytest
from contender import Contender

import pylock
from pylock import _modes as modes

ALL = ["NL", "CR", "CW", "PR", "PW", "EX"]

# VSI OpenVMS System Services Reference Manual, $ENQ: rows are held, columns are asked for.
MATRIX = {
    "NL": "Y Y Y Y Y Y",
    "CR": "Y Y Y Y Y -",
    "CW": "Y Y Y - - -",
    "PR": "Y Y - Y - -",
    "PW": "Y Y - - - -",
    "EX": "Y - - - - -",
}
PAIRS = [(held, asked, mark == "Y") for held in ALL for asked, mark in zip(ALL, MATRIX[held].split(), strict=True)]


@pytest.mark.parametrize("policy", ["shared-first", "fair"])
@pytest.mark.parametrize(("held", "asked", "compatible"), PAIRS)
def test_pair_is_compatible_as_published(held: str, asked: str, compatible: bool, policy: str) -> None:
    with pylock.lock("x", held, policy=policy):
        request = pylock.lock("x", asked, policy=policy)
        if compatible:
            request.acquire_nowait().release()
        else:
            with pytest.raises(pylock.WouldBlock):
                request.acquire_nowait()
    request.acquire_nowait().release()


def test_pairs_of_two_processes_are_compatible_as_published(contenders: type[Contender]) -> None:
    other = contenders()
    for held, asked, compatible in PAIRS:
        assert isinstance(other.acquire("x", held), int)
        try:
            pylock.lock("x", asked).acquire_nowait().release()
            granted = True
        except pylock.WouldBlock:
            granted = False
        assert granted is compatible, (held, asked)
        other.release()


def test_declared_compatibility_is_the_published_one() -> None:
    for held, asked, compatible in PAIRS:
        assert (asked in modes.rule_of(held).compatible) is compatible
        assert (held in modes.rule_of(asked).compatible) is compatible, "the matrix is symmetric"


@pytest.mark.parametrize(
    ("spelled", "mode"),
    [
        (pylock.Mode.SHARED, "shared"), ("shared", "shared"), ("PR", "shared"), ("pr", "shared"),
        ("protected_read", "shared"), ("Protected-Read", "shared"), ("EX", "exclusive"), ("EXCLUSIVE", "exclusive"),
        ("concurrent read", "concurrent_read"), ("NL", "null"),
    ],
)  # fmt: skip
def test_mode_is_accepted_as_enum_name_and_code(spelled: str, mode: str) -> None:
    assert pylock.lock("x", spelled).mode is pylock.Mode(mode)
    assert pylock.Mode(spelled) is pylock.Mode(mode)


def test_modes_of_users_are_those_of_the_rules() -> None:
    assert {mode.value: mode.code for mode in pylock.Mode} == {rule.name: rule.code for rule in modes.ALL}


def test_shared_is_protected_read() -> None:
    assert pylock.Mode.SHARED is pylock.Mode.PROTECTED_READ
    assert len(pylock.Mode) == 6


@pytest.mark.parametrize("wrong", ["", "exklusiv", 7, ["EX"]])
def test_unknown_mode_is_refused_and_the_known_ones_named(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"not a lock mode; use one of null \(NL\)"):
        pylock.lock("x", wrong)  # type: ignore[arg-type]
