"""Timestamps: no text twice, whatever the clock, the time zone and the processes do."""

from __future__ import annotations

import itertools
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from command import pylock
from contender import until
from kernel import UNITS, lock_bytes, strange_program

import pylock as library
from pylock._acquiring import waiting
from pylock._file.layout import STATE_SIZE, header_size
from pylock._kinds import state, timestamps

MICROSECONDS = "%Y%m%d-%H%M%S.#ffffff"
SECONDS, MINUTES, HOURS = "%Y%m%d-%H%M%S", "%Y%m%d-%H%M", "%Y%m%d-%H"

MIDDLE_EUROPE = "CET-1CEST,M3.5.0,M10.5.0/3"
"""Summer time ends on the last Sunday of October, at 01:00 UTC: from 02:00 to 03:00 the clock shows each time twice."""
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
"""Summer time is half an hour."""
INDIA = "IST-5:30"
ONE_NAME = "MSK-3MSK-4,M3.5.0,M10.5.0/3"
"""Summer and winter time have one name, as the two times of Moscow had in the autumn of 2014."""


class Clock:
    """The clock, as the tests set it."""

    def __init__(self) -> None:
        self.now = datetime(2024, 6, 1, 12, 34, 56, 123456, UTC)

    def set(self, text: str) -> None:
        """Set it to a time of UTC."""
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)

    def shows(self, format: str) -> str:
        """Its text, in the zone that is set, without fractions."""
        return time.strftime(format, time.localtime(self.nanoseconds() // 10**9))

    def nanoseconds(self) -> int:
        return (self.now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timestamps, "time_ns", clock.nanoseconds)
    return clock


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone; it is UTC until it is set."""

    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    before = os.environ.get("TZ")
    change("UTC")
    yield change
    monkeypatch.delenv("TZ") if before is None else monkeypatch.setenv("TZ", before)
    time.tzset()


def take(format: str = SECONDS, **options: Any) -> str:
    with library.timestamp("t", format, **options).acquire_nowait() as hold:
        return hold.value


def is_refused(format: str = SECONDS) -> bool:
    try:
        take(format)
    except library.WouldBlock:
        return True
    return False


# Formats


@pytest.mark.parametrize(
    ("format", "value"),
    [
        (SECONDS, "20240601-123456"), ("%H", "12"), ("in %Hh", "in 12h"), ("%I %p", "12 PM"), ("%-M", "34"),
        ("%s", "1717245296"), ("%T %z", "12:34:56 +0000"), ("%c", "Sat Jun  1 12:34:56 2024"), ("%H%%", "12%"),
        ("%H.#f", "12.1"), ("%H.#ff", "12.12"), ("#fff", "123"), ("%S,#ffff", "56,1234"), ("%S#fffff", "5612345"),
        ("%S.#ffffff", "56.123456"), ("%S.%f", "56.123456"), ("#f #ff", "1 12"), ("%S#", "56#"), ("%S %%f", "56 %f"),
        ("ä%Hö\n", "ä12ö\n"), ("%R", "12:34"), ("%k", "12"), ("%EX", "12:34:56"), ("%OS", "56"),
        ("%012s", "001717245296"),
    ],
)  # fmt: skip
def test_value_is_the_time_in_the_format(format: str, value: str, clock: Clock) -> None:
    assert take(format) == value


@pytest.mark.parametrize(
    "format", ["", "H", "%Y", "%Y-%m-%d", "%d", "%j", "%%H", "%p", "%z", "%A", "%x", "f", "ffffff", "#", "%%f", "%n"]
)
def test_format_that_changes_less_than_hourly_is_refused(format: str, directory: Path) -> None:
    with pytest.raises(ValueError, match=r"changes less than hourly; add %H, %M, %S or a fraction such as #fff"):
        library.timestamp("t", format)
    assert list(directory.iterdir()) == []


def test_format_must_be_text() -> None:
    with pytest.raises(TypeError, match="the format must be a str, not 5"):
        library.timestamp("t", 5)  # type: ignore[arg-type]


def test_holder_shows_its_value(clock: Clock) -> None:
    with library.timestamp("t", SECONDS) as hold:
        assert library.inspect("t").holders[0].value == hold.value == "20240601-123456"


# The next tick


@pytest.mark.parametrize(
    ("format", "grain"),
    [
        (HOURS, {"hours": 1}), ("%I%p", {"hours": 1}), (MINUTES, {"minutes": 1}), ("%R", {"minutes": 1}),
        (SECONDS, {"seconds": 1}), ("%c", {"seconds": 1}), ("%s", {"seconds": 1}), ("%H #f", {"milliseconds": 100}),
        ("#ff", {"milliseconds": 10}), ("#fff", {"milliseconds": 1}), ("#ffff", {"microseconds": 100}),
        ("#fffff", {"microseconds": 10}), ("#ffffff", {"microseconds": 1}), ("%f", {"microseconds": 1}),
    ],
)  # fmt: skip
def test_next_value_is_there_when_the_text_changes_and_not_before(
    format: str, grain: dict[str, int], clock: Clock
) -> None:
    clock.set("2024-06-01T12:00:00")
    first = take(format)
    assert is_refused(format)
    clock.move(**grain)
    clock.move(microseconds=-1)
    assert is_refused(format)
    clock.move(microseconds=1)
    assert take(format) != first


def test_waiter_gets_the_next_tick_without_waiting_for_more() -> None:
    lock = library.timestamp("t", "%H%M%S.#ff")
    values = []
    begun = time.monotonic()
    for _ in range(20):
        with lock as hold:
            values.append(hold.value)
    assert len(set(values)) == 20
    assert 0.17 < time.monotonic() - begun < 5


def test_wait_for_the_next_tick_ends_at_the_timeout_and_leaves_nothing(clock: Clock, directory: Path) -> None:
    take(HOURS)
    with pytest.raises(library.LockTimeout, match='gave up on "t"'):
        library.timestamp("t", HOURS).acquire(0.01)
    state = library.inspect("t")
    assert (state.holders, state.waiters) == ((), ())
    assert [entry.name for entry in directory.iterdir()] == ["t.lock"]


def test_waiter_sleeps_until_the_tick_and_not_longer(clock: Clock) -> None:
    """The hand-driven wait shows how long it means to sleep."""
    clock.set("2024-06-01T12:00:00.900000")
    take(SECONDS)
    lock = library.timestamp("t", SECONDS)
    claim = lock.new_claim()
    assert not claim.take()
    steps = waiting.wait(claim.fd, claim.request, None)
    slept = [next(steps)[1], steps.send(False)[1]]
    clock.move(milliseconds=60)
    slept.append(steps.send(False)[1])
    assert library.inspect("t").holders == (), "meanwhile nobody holds it"
    clock.move(milliseconds=40)
    with pytest.raises(StopIteration) as granted:
        steps.send(False)
    assert granted.value.value.value == "20240601-120001"
    assert slept[0] <= 0.001
    assert 0.09 < slept[1] <= 0.1
    assert 0.03 < slept[2] <= 0.04
    claim.grant = granted.value.value
    claim.release()


def test_who_waits_for_the_clock_and_a_lock_keeps_nobody_from_the_lock(clock: Clock) -> None:
    clock.set("2024-06-01T12:00:00.900000")
    take(SECONDS)
    with ThreadPoolExecutor() as executor:
        both = executor.submit(library.all_of(library.lock("a"), library.timestamp("t", SECONDS)).acquire, 30)
        until(lambda: library.inspect("a").waiters)
        for _ in range(20):
            library.lock("a").acquire(5).release()
        clock.move(milliseconds=100)
        both.result(10).release()


def test_threads_with_one_object_each_wait_for_what_keeps_them_out_themselves(clock: Clock) -> None:
    """One is refused by the clock, and the other by a holder, before the first goes to sleep."""
    clock.set("2024-06-01T12:00:00.900000")
    take(SECONDS)
    lock = library.timestamp("t", SECONDS)
    mine, others = lock.new_claim(), lock.new_claim()
    assert not mine.take()
    with ThreadPoolExecutor(1) as thread, strange_program(Path(mine.request.path)) as holder:
        lock_bytes(holder, UNITS, 0)
        assert not thread.submit(others.take).result()
        assert lock.request.kind.pause(30) <= 0.1
        assert library.timestamp("u", SECONDS).request.kind.pause(30) == 30, "it was not tried by this thread"
        assert thread.submit(lock.request.kind.pause, 30).result() == 30
    for claim in (mine, others):
        claim.close()


def test_who_waits_in_vain_for_a_timestamp_and_a_lock_uses_up_no_time(clock: Clock) -> None:
    with library.lock("z"), pytest.raises(library.LockTimeout):
        library.all_of(library.timestamp("t", SECONDS), library.lock("z")).acquire(0)
    assert take(SECONDS) == clock.shows(SECONDS)


def test_several_hold_different_values_up_to_the_capacity(clock: Clock) -> None:
    holds = []
    for _ in range(2):
        holds.append(library.timestamp("t", SECONDS, capacity=2).acquire_nowait())
        clock.move(seconds=1)
    with pytest.raises(library.WouldBlock, match="2 of 2 units are held"):
        library.timestamp("t", SECONDS, capacity=2).acquire_nowait()
    assert [hold.value for hold in holds] == ["20240601-123456", "20240601-123457"]
    for hold in holds:
        hold.release()


def test_value_of_a_block_that_raises_is_used_up(clock: Clock) -> None:
    with pytest.raises(KeyError), library.timestamp("t", SECONDS):
        raise KeyError
    assert is_refused()


# The clock and the zone


def test_clock_that_is_set_back_repeats_nothing(clock: Clock) -> None:
    assert take() == "20240601-123456"
    clock.move(minutes=-10)
    assert is_refused()
    clock.move(minutes=10)
    assert is_refused()
    clock.move(seconds=1)
    assert take() == "20240601-123457"


def test_clock_that_is_set_back_within_a_second_repeats_no_microsecond(clock: Clock) -> None:
    assert take(MICROSECONDS) == "20240601-123456.123456"
    clock.move(microseconds=-5)
    for _ in range(6):
        assert is_refused(MICROSECONDS)
        clock.move(microseconds=1)
    assert take(MICROSECONDS) == "20240601-123456.123457"


def test_who_waits_for_a_clock_that_is_set_back_does_not_poll(clock: Clock) -> None:
    clock.set("2024-06-01T12:00:00.999000")
    take()
    clock.move(minutes=-10)
    lock = library.timestamp("t", SECONDS)
    claim = lock.new_claim()
    assert not claim.take()
    steps = waiting.wait(claim.fd, claim.request, None)
    slept = [next(steps)[1], *(steps.send(False)[1] for _ in range(3))]
    steps.close()
    claim.close()
    assert min(slept[1:]) >= 0.1


def test_hour_that_summer_time_repeats_gives_no_text_twice(clock: Clock, zone: Callable[[str], None]) -> None:
    zone(MIDDLE_EUROPE)
    clock.set("2024-10-27T00:30:00")
    assert take() == "20241027-023000"
    clock.set("2024-10-27T01:10:00")  # the clock on the wall shows 02:10 once more
    assert is_refused()
    clock.set("2024-10-27T01:30:00")
    assert is_refused()
    clock.set("2024-10-27T01:30:01")
    assert take() == "20241027-023001"
    clock.set("2024-10-27T02:00:00")
    assert take() == "20241027-030000"


def test_format_with_the_zone_goes_on_in_the_hour_that_summer_time_repeats(
    clock: Clock, zone: Callable[[str], None]
) -> None:
    zone(MIDDLE_EUROPE)
    values = []
    for moment in ("2024-10-27T00:30:00", "2024-10-27T01:30:00"):
        clock.set(moment)
        values.append(take(SECONDS + "%z"))
    assert values == ["20241027-023000+0200", "20241027-023000+0100"]


def test_formats_with_and_without_the_zone_on_one_name_repeat_nothing(
    clock: Clock, zone: Callable[[str], None]
) -> None:
    zone(MIDDLE_EUROPE)
    clock.set("2024-10-27T00:59:00")
    assert take() == "20241027-025900"
    clock.set("2024-10-27T01:30:00")
    assert take(SECONDS + "%z") == "20241027-023000+0100"
    clock.set("2024-10-27T01:59:00")
    assert is_refused(), "02:59 was given in the first of the two hours"


def test_zone_whose_name_stays_in_autumn_gives_no_text_twice(clock: Clock, zone: Callable[[str], None]) -> None:
    """%Z does not tell the first of the two hours from the second where both have one name."""
    zone(ONE_NAME)
    values = []
    for moment in ("2024-10-26T22:30:00", "2024-10-26T23:30:00", "2024-10-27T00:30:00"):
        clock.set(moment)
        if not is_refused(SECONDS + "%Z"):
            values.append(clock.shows(SECONDS + "%Z"))
    assert len(set(values)) == len(values)
    assert len(values) >= 2


@pytest.mark.parametrize("begin", ["2024-06-01T12:10:00", "2024-06-01T12:40:00"])
@pytest.mark.parametrize("format", [HOURS, HOURS + "%z", HOURS + "%Z"])
def test_hour_begins_where_the_zone_says(format: str, begin: str, clock: Clock, zone: Callable[[str], None]) -> None:
    """In India at half past every hour of UTC."""
    zone(INDIA)
    clock.set(begin)
    values, texts = [], []
    for _ in range(12):
        texts.append(clock.shows(format))
        if not is_refused(format):
            values.append(texts[-1])
        clock.move(minutes=20)
    assert values == list(dict.fromkeys(texts)), "every hour once"


def test_formats_of_different_grain_on_one_name_repeat_nothing(clock: Clock) -> None:
    given: dict[str, list[str]] = {HOURS: [], MINUTES: [], SECONDS: [], MICROSECONDS: []}
    for turn in range(200):
        for format, values in given.items():
            if not is_refused(format):
                values.append(clock.shows(format))
        clock.move(seconds=[0.3, 7, 61, -20, 1800][turn % 5])
    for format in (HOURS, MINUTES, SECONDS):
        assert len(set(given[format])) == len(given[format]) > 3


BEGINNINGS = ["2024-10-26T22:00:00", "2024-10-27T00:00:00", "2024-03-31T00:00:00", "2024-04-06T14:00:00"]
STEPS = [0.4, 1, 59, 60, 900, 1200, 3600, 3600, 5400, -0.4, -1, -60, -1800, -3600]
FORMATS = [HOURS, MINUTES, SECONDS, SECONDS + ".#f", HOURS + "%z", MINUTES + "%z", SECONDS + "%Z", "%s", MICROSECONDS]


@pytest.mark.parametrize("zone_name", ["UTC", MIDDLE_EUROPE, LORD_HOWE, INDIA, ONE_NAME, "XXX3:17:21"])
def test_no_text_is_given_twice_whatever_the_clock_does(
    zone_name: str, clock: Clock, zone: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state.os, "fdatasync", lambda fd: None)  # which only takes time here
    zone(zone_name)
    draw = random.Random(zone_name)
    for number, (format, begin) in enumerate(itertools.product(FORMATS, BEGINNINGS)):
        clock.set(begin)
        lock = library.timestamp(f"t{number}", format)
        values = []
        for _ in range(40):
            try:
                with lock.acquire_nowait() as hold:
                    values.append(hold.value)
            except library.WouldBlock:
                pass
            clock.move(seconds=draw.choice(STEPS))
        assert len(set(values)) == len(values) > 1, format


# Many at once, and on the disk


def test_values_over_processes_and_threads_are_given_in_order_and_each_once(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def enter() -> None:
        for _ in range(15):
            with library.timestamp("t", MICROSECONDS) as hold, open(log, "a", encoding="ascii") as file:
                file.write(f"{hold.value}\n")

    def count() -> None:
        with ThreadPoolExecutor(2) as threads:
            for future in [threads.submit(enter) for _ in range(2)]:
                future.result(60)

    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                count()
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    values = log.read_text().split()
    assert len(values) == 120
    assert values == sorted(set(values))


def test_values_are_unique_for_several_at_once_too() -> None:
    lock = library.timestamp("t", MICROSECONDS, capacity=8)

    def enter() -> list[str]:
        values = []
        for _ in range(10):
            with lock as hold:
                values.append(hold.value)
        return values

    with ThreadPoolExecutor(8) as threads:
        lists = [future.result(60) for future in [threads.submit(enter) for _ in range(8)]]
    assert all(values == sorted(values) for values in lists)
    assert len({value for values in lists for value in values}) == 80


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_value_that_does_not_reach_the_disk_is_not_given(
    call: str, clock: Clock, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take()
    clock.move(seconds=1)
    with monkeypatch.context() as patch:
        patch.setattr(state.os, call, mock.Mock(side_effect=OSError(5, "broken")))
        with pytest.raises(OSError, match="broken") as caught:
            take()
    assert caught.value.filename == str(directory / "t.lock")
    assert library.inspect("t").holders == ()
    clock.move(seconds=1)
    assert take() == "20240601-123458"


def test_damaged_memory_is_a_bad_lock_file_and_half_of_it_is_not(clock: Clock, directory: Path) -> None:
    for _ in range(3):
        last = take()
        clock.move(seconds=1)

    def damage(turn: int) -> None:
        with open(directory / "t.lock", "r+b") as file:
            file.seek(header_size("t", "timestamp") + turn * STATE_SIZE)
            file.write(b"nonsense")

    damage(0)  # the third was written to the second copy
    clock.move(seconds=-1)
    assert is_refused(), last
    damage(1)
    with pytest.raises(library.BadLockFile, match="what it remembers of earlier values is damaged"):
        take()
    assert library.inspect("t").holders == ()


def test_clean_never_removes_timestamps(clock: Clock, directory: Path) -> None:
    take()
    done = pylock("clean")
    assert done.stdout.startswith("nothing to remove")
    assert [entry.name for entry in directory.iterdir()] == ["t.lock"]
    assert is_refused()


def test_commands_get_different_values() -> None:
    words = ["run", "--timestamp=%Y%m%d-%H%M%S.#ff", "t", "--", "sh", "-c", 'echo "$PYLOCK_VALUE"']
    values = [pylock(*words).stdout for _ in range(3)]
    assert all(re.fullmatch(r"\d{8}-\d{6}\.\d\d\n", value) for value in values)
    assert values == sorted(set(values))
