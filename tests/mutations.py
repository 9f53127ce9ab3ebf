"""Mutations: lines of pylock, each broken on purpose in one way, and the tests that must notice it. See `make mutants`.

A test that has never failed may be one that cannot. Here stand those lines that carry a promise: without them somebody
would lose exclusion, hang, be refused, or be told what is not so. Each is broken in a copy of the tree, never in place.
It is an error if a mutation survives, and if its line is not found any more: then the list is to follow the code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from contender import ROOT

NEEDED = ("pylock", "tests", "docs", "examples", "README.md", "pyproject.toml")
SECONDS = 100
"""After which tests are taken to hang: longer than those without a mutation take on any machine."""
_PASSED, _FAILED = 0, 1
"""Exit statuses of pytest; others are of tests that did not run."""


class Fate(Enum):
    PASSED = "survived"
    FAILED = "noticed"
    HUNG = "noticed, as it hangs"
    BROKEN = "its tests did not run"
    LOST = "its old text is not there exactly once"


class Mutation(NamedTuple):
    """One place of the code, and the tests by whose failure it is noticed."""

    file: str
    """Below pylock."""
    old: str
    new: str
    tests: str
    """Below tests, as pytest names them, with a blank between."""

    def __str__(self) -> str:
        return f"{self.file}: {_one_line(self.old)} -> {_one_line(self.new)}"


class Verdict(NamedTuple):
    mutation: Mutation
    fate: Fate
    output: str

    @property
    def is_noticed(self) -> bool:
        return self.fate in (Fate.FAILED, Fate.HUNG)


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "nothing"


def copy_of_tree(place: Path) -> None:
    """Copy what the tests need; what was compiled stays behind, as it might be taken for that of the mutation."""
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place / name)


def try_out(mutation: Mutation) -> Verdict:
    """Run the tests of the mutation in a copy of the tree that has it."""
    with TemporaryDirectory(prefix="mutation-") as name:
        place = Path(name)
        copy_of_tree(place)
        file = place / "pylock" / mutation.file
        text = file.read_text() if file.exists() else ""
        if text.count(mutation.old) != 1:
            return Verdict(mutation, Fate.LOST, "")
        file.write_text(text.replace(mutation.old, mutation.new))
        return Verdict(mutation, *run_tests(place, mutation.tests.split()))


def run_tests(place: Path, tests: Iterable[str]) -> tuple[Fate, str]:
    """Run these tests in a copy of the tree, until one fails."""
    words = [sys.executable, "-m", "pytest", "-x", *(f"tests/{test}" for test in tests)]
    environment = os.environ | {"PYTHONPATH": f"{place}:{place / 'tests'}"}
    with open(place / "output", "w+b") as output, subprocess.Popen(
        words, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        start_new_session=True,
    ) as tested:  # fmt: skip
        try:
            status = tested.wait(SECONDS)
            fate = {_PASSED: Fate.PASSED, _FAILED: Fate.FAILED}.get(status, Fate.BROKEN)
        except subprocess.TimeoutExpired:
            fate = Fate.HUNG
            os.killpg(tested.pid, signal.SIGKILL)
        output.seek(0)
        return fate, output.read().decode(errors="replace")


def tests_alone(mutations: Iterable[Mutation]) -> tuple[Fate, str]:
    """Run all the tests without any mutation: a test that fails in any case notices nothing."""
    with TemporaryDirectory(prefix="mutation-") as name:
        copy_of_tree(Path(name))
        return run_tests(Path(name), dict.fromkeys(" ".join(each.tests for each in mutations).split()))


def main() -> int:
    parser = argparse.ArgumentParser(description="Break lines of pylock, and see whether the tests notice.")
    parser.add_argument("words", nargs="*", help="only those of whose file or text one of these is a part")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: %(default)s)")
    options = parser.parse_args()
    chosen = [each for each in MUTATIONS if not options.words or any(word in str(each) for word in options.words)]
    fate, output = tests_alone(chosen)
    if fate is not Fate.PASSED:
        print(f"{output}\nwithout any mutation these tests do not pass")
        return 1
    with ThreadPoolExecutor(options.jobs) as threads:
        verdicts = list(threads.map(try_out, chosen))
    for verdict in verdicts:
        if not verdict.is_noticed:
            print(f"{verdict.mutation}: {verdict.fate.value}; tests: {verdict.mutation.tests}")
    unnoticed = sum(not verdict.is_noticed for verdict in verdicts)
    print(f"{len(verdicts)} mutations, {len(verdicts) - unnoticed} noticed")
    return 1 if unnoticed else 0


MUTATIONS: tuple[Mutation, ...] = (
    # One try: who is granted what
    Mutation(
        "_acquiring/attempt.py",
        "if not terms.limit and rule is not NULL:",
        "if False:",
        "acquiring/test_capacity.py::test_capacity_zero_lets_nobody_start",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "if not terms.limit and rule is not NULL:",
        "if not terms.limit:",
        "acquiring/test_capacity.py::test_capacity_zero_lets_nobody_start",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "if limit == UNIT_COUNT or is_free(fd, write_lock(UNITS + limit, UNITS_END)):",
        "if True:",
        "acquiring/test_capacity.py::test_lowering_touches_no_holder_and_admits_none_until_the_count_allows",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "if not take_gate(fd):\n        return None",
        "take_gate(fd)",
        "queue/test_rules_queue.py::test_who_cannot_have_the_gate_gathers_no_units",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "if _size(taken) == weight:",
        "if taken:",
        "queue/test_rules_queue.py::test_who_gathers_units_and_loses_one_to_another_keeps_none",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "return tuple(taken)\n        let_go(fd, _LET_GO_UNITS)",
        "return tuple(taken)",
        "queue/test_rules_queue.py::test_who_gathers_units_and_loses_one_to_another_keeps_none",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "finally:\n        leave_gate(fd)",
        "finally:\n        pass",
        "queue/test_rules_queue.py::test_who_gathers_units_leaves_the_gate_to_others",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "token = moment if moment > token else token + 1",
        "token = moment",
        "acquiring/test_contract.py::test_tokens_grow_whatever_the_clock_does",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "token = moment if moment > token else token + 1",
        "token = token + 1",
        "acquiring/test_contract.py::test_tokens_grow_whatever_the_clock_does",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "if error.errno not in NO_ROOM:\n            raise",
        "raise",
        "acquiring/test_faults.py::test_full_disk_keeps_nobody_from_a_plain_lock_and_tokens_grow",
    ),
    Mutation(
        "_acquiring/agreement.py",
        "except BadLockFile:\n            head",
        "except ZeroDivisionError:\n            head",
        "file/test_files.py::test_file_that_becomes_one_of_another_kind_meanwhile_is_no_damaged_one",
    ),
    Mutation(
        "_acquiring/agreement.py",
        "if definition is None or _completed(definition, request.expected) == wanted:",
        "if True:",
        "file/test_files.py::test_file_that_becomes_one_of_another_kind_meanwhile_is_no_damaged_one",
    ),
    # Claims: a grant, and letting go of it
    Mutation(
        "_acquiring/claim.py",
        "if jump or quiet or is_free(fd, ANY_WAITER):",
        "if True:",
        "queue/test_rules_queue.py::test_newcomer_does_not_pass_who_insists_although_the_lock_is_free",
    ),
    Mutation(
        "_acquiring/claim.py",
        'helps = getattr(error, "errno", None) == ESTALE or (',
        "helps = (",
        "file/test_rules_files.py::test_stale_file_is_opened_anew",
    ),
    Mutation(
        "_acquiring/claim.py",
        "if not finish_removal(request.path):\n                    return False",
        "return False",
        (
            "file/test_rules_files.py::test_file_that_was_marked_by_a_remover_who_was_killed_before_the_removal_is_removed_by_the_next"
        ),
    ),
    Mutation(
        "_acquiring/claim.py",
        "                    ring_next(fd, request)\n",
        "                    pass\n",
        "queue/test_queue.py::test_baton_passes_over_an_exclusive_waiter_by_bells_alone",
    ),
    Mutation(
        "_acquiring/claim.py",
        "inside.pop(fd, None)\n                if",
        "if",
        "acquiring/test_blocks.py::test_dropped_block_is_not_taken_for_a_deadlock_later",
    ),
    Mutation(
        "_acquiring/claim.py",
        "self.release(failed=True)",
        "self.release()",
        "kinds/test_sequences.py::test_number_goes_back_if_the_hold_is_dropped",
    ),
    Mutation(
        "_acquiring/claim.py",
        "return  # a forked child leaves",
        "raise  # a forked child leaves",
        (
            "kinds/test_sequences.py::test_forked_child_that_leaves_the_block_of_its_parent_neither_commits_nor_rolls_back"
        ),
    ),
    Mutation(
        "_acquiring/claims.py",
        "if error is None and self.is_alive:",
        "if self.is_alive:",
        "kinds/test_rules_kinds.py::test_block_that_fails_lets_go_of_all_although_one_release_fails_too",
    ),
    Mutation(
        "_acquiring/claims.py",
        "return_grant(claim)",
        "pass",
        "acquiring/test_together.py::test_a_try_in_vain_loses_no_number",
    ),
    Mutation(
        "_acquiring/lending.py",
        "let_go(self._fd)\n            if",
        "if",
        "cli/test_script.py::test_try_that_fails_half_way_leaves_nothing_held",
    ),
    Mutation(
        "_acquiring/lending.py",
        "ring(path, seat)",
        "pass",
        "cli/test_script.py::test_release_rings_the_bell_of_who_waits",
    ),
    # What a survey by chance has found that no test noticed
    Mutation(
        "_run/relay.py",
        "handler(number, frame)\n            except",
        "pass\n            except",
        "run/test_running.py::test_handlers_of_other_signals_run_while_the_command_does",
    ),
    Mutation(
        "_run/embedded.py",
        "show_child(claim.fd, claim.grant.places if claim.grant else (), child.pid)",
        "pass",
        "run/test_running.py::test_command_is_shown_once_the_program_was_killed",
    ),
    Mutation(
        "_queue/bells.py",
        "    except OSError:\n        return False\n    try:\n        return S_ISFIFO",
        "    except OSError:\n        return True\n    try:\n        return S_ISFIFO",
        "queue/test_rules_queue.py::test_waiter_without_a_bell_is_not_taken_for_one_that_did_not_hear_it",
    ),
    Mutation(
        "_queue/bells.py",
        "(named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)",
        "(named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino)",
        "file/test_security.py::test_bell_can_be_rung_by_all_who_may_use_the_lock",
    ),
    Mutation(
        "_queue/drivers.py",
        "loop.call_later(seconds, _settle, bell, False)",
        "loop.call_later(seconds, _settle, bell, True)",
        "queue/test_asyncio.py::test_sleep_that_nothing_ends_is_told_from_one_that_a_bell_ended",
    ),
    Mutation(
        "_acquiring/outlook.py",
        "if len(slots) <= _MOST_WATCHED else []",
        "if len(slots) > _MOST_WATCHED else []",
        "queue/test_rules_queue.py::test_who_waits_for_units_hears_each_of_those_who_have_some",
    ),
    Mutation(
        "_acquiring/inheritance.py",
        "keep_in_child(_passing.popitem()[1], False)",
        "keep_in_child(_passing.popitem()[1], True)",
        "acquiring/test_edges_forks.py::test_only_the_first_child_gets_the_hold",
    ),
    Mutation(
        "_file/layout.py",
        "if found and pid.isdigit() and start.isdigit()",
        "if found and pid.isdigit() or start.isdigit()",
        "file/test_forged.py::test_process_is_read_from_a_record_only_if_both_its_numbers_are_such",
    ),
    # Conversion
    Mutation(
        "_acquiring/claim.py",
        "elif self in being_converted:",
        "elif False:",
        "acquiring/test_edges_conversions.py::test_another_thread_releases_and_acquires_at_every_line",
    ),
    Mutation(
        "_acquiring/conversion.py",
        "if being_converted.setdefault(claim, self) is not self:",
        "if False:",
        "acquiring/test_edges_conversions.py::test_hold_is_converted_by_one_at_a_time",
    ),
    Mutation(
        "_acquiring/conversion.py",
        "self._record(self.fd, grant)\n            self._claim.ensure_held()",
        "self._record(self.fd, grant)",
        "acquiring/test_edges_conversions.py::test_another_thread_releases_and_acquires_at_every_line",
    ),
    Mutation(
        "_holds.py",
        "if claim.request is request:",
        "if True:",
        "acquiring/test_contract.py::test_check_of_what_another_thread_releases_or_converts_meanwhile_finds_no_loss",
    ),
    Mutation(
        "_several.py",
        "for claim in self._claims.claims:\n            claim.ensure_held()",
        "pass",
        "acquiring/test_several.py::test_block_of_what_was_released_does_not_begin",
    ),
    Mutation(
        "_process.py",
        "(not taken,)",
        "(True,)",
        "acquiring/test_edges_forks.py::test_fork_waits_for_no_lock_with_another_one_in_hand",
    ),
    Mutation(
        "_process.py",
        "if _identity is None or not _identity.is_whole:",
        "if _identity is None:",
        "acquiring/test_processes.py::test_first_lock_without_a_descriptor_to_spare_leaves_later_ones_known",
    ),
    Mutation(
        "_file/descriptors.py",
        "while fresh[-1] < _FIRST or",
        "while",
        "run/test_closed_descriptors.py::test_no_lock_file_is_the_input_or_output_of_a_command",
    ),
    Mutation(
        "_cli/taking.py",
        "if struck:  # and",
        "if False:  # and",
        "run/test_edges_signals.py::test_signal_whose_exception_is_swallowed_ends_the_wait_all_the_same",
    ),
    Mutation(
        "_run/limit.py",
        "_signal.setitimer(_signal.ITIMER_REAL, _NEXT, _NEXT)",
        "pass",
        "run/test_limit.py::test_each_generation_that_shows_when_its_parents_are_killed_is_killed_too",
    ),
    Mutation(
        "_acquiring/conversion.py",
        "blocks_around(request, waits_as_task, besides=claim)",
        "blocks_around(request, waits_as_task)",
        "kinds/test_rules_kinds.py::test_converter_inside_other_blocks_does_not_wait_for_its_own_hold",
    ),
    Mutation(
        "_acquiring/conversion.py",
        "let_go(fd, unlock(UNITS + 1, UNITS_END))",
        "pass",
        "acquiring/test_convert.py::test_units_are_counted_after_a_downgrade",
    ),
    Mutation(
        "_acquiring/conversion.py",
        "self._refuse_rivals(fd, request, seat)",
        "pass",
        "deadlock/test_edges_blocks.py::test_two_conversions_that_began_at_the_same_moment_get_one_deadlock",
    ),
    Mutation(
        "_acquiring/conversion.py",
        "return max(token + 1, moment) if self._after.mode.sole else token",
        "return token",
        "acquiring/test_convert.py::test_upgrade_counts_as_a_grant_for_the_fencing_token",
    ),
    Mutation(
        "_acquiring/conversion.py",
        "max(token + 1, moment)",
        "moment",
        "acquiring/test_convert.py::test_token_of_a_conversion_is_greater_although_the_clock_is_set_back",
    ),
    # The queue: whose turn it is, and who is woken
    Mutation(
        "_queue/tickets.py",
        "not self._yields_to_other_lane(fair) or self._leads(1 - self.lane, self._before_there)",
        "True",
        "queue/test_rules_queue.py::test_turns_are_by_arrival_and_policy",
    ),
    Mutation(
        "_queue/tickets.py",
        "return fair or self.lane == EXCLUSIVE_LANE or is_free(self.fd, ANY_HOLDER)",
        "return fair or self.lane == EXCLUSIVE_LANE",
        "queue/test_rules_queue.py::test_turns_are_by_arrival_and_policy",
    ),
    Mutation(
        "_queue/tickets.py",
        "return fair or self.lane == EXCLUSIVE_LANE or",
        "return fair or",
        "queue/test_rules_queue.py::test_turns_are_by_arrival_and_policy",
    ),
    Mutation(
        "_queue/tickets.py",
        "return fair or self.lane == EXCLUSIVE_LANE or",
        "return self.lane == EXCLUSIVE_LANE or",
        "queue/test_rules_queue.py::test_turns_are_by_arrival_and_policy",
    ),
    Mutation(
        "_queue/tickets.py",
        "    while step > 1:",
        "    while step > 2:",
        "queue/test_rules_queue.py::test_who_comes_later_stands_behind_also_while_the_clock_stands",
    ),
    Mutation(
        "_acquiring/outlook.py",
        "if first or set(seats) & set(self._ticket.fronts(self._request.terms.fair)):",
        "if first:",
        "queue/test_rules_queue.py::test_second_hears_the_end_of_the_holder_as_the_first_may_be_stopped",
    ),
    Mutation(
        "_acquiring/outlook.py",
        "if not (first or seats):  # who",
        "if False:  # who",
        "queue/test_rules_queue.py::test_who_finds_nobody_to_hear_although_it_was_not_first_looks_by_itself",
    ),
    Mutation(
        "_acquiring/together.py",
        "if happened & OTHER_RUNG or (",
        "if (",
        "queue/test_rules_queue.py::test_bell_of_another_that_nobody_hears_wakes_nobody_again_and_again",
    ),
    Mutation(
        "_acquiring/waiting.py",
        "min(self._insists_at, moment + PATIENCE)",
        "moment + PATIENCE if self._insists_at else 0.0",
        "queue/test_rules_queue.py::test_who_is_rung_in_vain_all_the_time_loses_its_patience_all_the_same",
    ),
    Mutation(
        "_acquiring/place.py",
        "ring(self.request.path, behind, self.request.directory.private)",
        "pass",
        "queue/test_rules_queue.py::test_who_was_first_hears_the_one_that_came_before_it",
    ),
    Mutation(
        "_acquiring/waiting.py",
        "if happened & OTHER_RUNG:  # and",
        "if False:  # and",
        "queue/test_rules_queue.py::test_bell_of_another_that_nobody_hears_wakes_nobody_again_and_again",
    ),
    Mutation(
        "_queue/tickets.py",
        "    return latest + 1",
        "    return latest",
        "queue/test_rules_queue.py::test_who_comes_later_stands_behind_also_while_the_clock_stands",
    ),
    Mutation(
        "_queue/tickets.py",
        "self.yields = self.pending = False\n        let_go",
        "let_go",
        "queue/test_rules_queue.py::test_who_steps_out_of_the_queue_and_back_insists_and_yields_anew",
    ),
    Mutation(
        "_queue/tickets.py",
        "if self.pending:\n                self.pending",
        "if False:\n                self.pending",
        "queue/test_rules_queue.py::test_who_yields_insists_no_more",
    ),
    Mutation(
        "_queue/tickets.py",
        "if seat is not None or sole is None or not is_yielding(fd, sole % SEAT_COUNT):",
        "if True:",
        "queue/test_rules_queue.py::test_under_fair_who_shares_is_rung_past_one_who_yields",
    ),
    Mutation(
        "_queue/tickets.py",
        "if sole is None or sharing < sole:",
        "if sole is None:",
        "queue/test_rules_queue.py::test_of_both_lanes_the_one_who_came_first_is_rung",
    ),
    Mutation(
        "_queue/tickets.py",
        "return is_free(self.fd, before) or not",
        "return is_free(self.fd, before) or False and not",
        "acquiring/test_together.py::test_bells_pass_on_from_who_cannot_use_the_lock",
    ),
    Mutation(
        "_queue/tickets.py",
        "return is_free(fd, _ANY_PENDING)",
        "return is_free(fd, _LANE_PENDING[EXCLUSIVE_LANE])",
        "queue/test_rules_queue.py::test_newcomer_does_not_pass_who_insists_although_the_lock_is_free",
    ),
    Mutation(
        "_queue/tickets.py",
        "return is_free(fd, _LANE_PENDING[EXCLUSIVE_LANE]) or not",
        "return True or not",
        "queue/test_rules_queue.py::test_newcomer_does_not_pass_who_insists_although_the_lock_is_free",
    ),
    Mutation(
        "_queue/tickets.py",
        "return is_free(fd, _LANE_PENDING[EXCLUSIVE_LANE]) or not",
        "return is_free(fd, _LANE_PENDING[EXCLUSIVE_LANE]) and not",
        "queue/test_rules_queue.py::test_sharing_newcomer_joins_holders_although_an_exclusive_waiter_insists",
    ),
    Mutation(
        "_acquiring/place.py",
        "        else:\n            let_go(self.fd)\n",
        "",
        "queue/test_rules_queue.py::test_who_gives_up_is_out_of_the_queue_before_the_next_is_rung",
    ),
    Mutation(
        "_acquiring/waiting.py",
        "place.bell.silence()",
        "pass",
        "queue/test_rules_queue.py::test_bell_that_was_rung_in_vain_is_silent_again",
    ),
    Mutation(
        "_acquiring/waiting.py",
        "if left <= 0:\n                return None",
        "left = max(left, 0.0)",
        "acquiring/test_contract.py::test_waiter_gives_up_after_its_timeout_and_leaves_nothing",
    ),
    Mutation(
        "_acquiring/place.py",
        "self.bell.take_down()",
        "pass",
        "acquiring/test_contract.py::test_waiter_gives_up_after_its_timeout_and_leaves_nothing",
    ),
    Mutation(
        "_queue/bells.py",
        "elif S_IMODE(status.st_mode) != mode | S_ISVTX and self._was_made_here(status):",
        "elif S_IMODE(status.st_mode) != mode | S_ISVTX:",
        "file/test_security.py::test_fifo_of_our_own_that_others_linked_as_a_bell_keeps_its_mode",
    ),
    Mutation(
        "_queue/bells.py",
        "(self.fd >= 0 or S_ISFIFO(os.lstat(self._path).st_mode))",
        "True",
        "file/test_rules_files.py::test_file_of_others_in_the_place_of_a_bell_is_neither_written_to_nor_removed",
    ),
    Mutation(
        "_queue/drivers.py",
        "loop.remove_reader(fd)",
        "pass",
        "queue/test_asyncio.py::test_wait_leaves_nothing_that_the_loop_listens_to",
    ),
    # Waiting for what goes away, and for several
    Mutation(
        "_acquiring/steps.py",
        "        claim.grant = None\n",
        "",
        "file/test_rules_files.py::test_file_that_was_replaced_while_it_was_waited_for_is_waited_for_anew",
    ),
    Mutation(
        "_acquiring/steps.py",
        "or is_at(claim.fd, request.path):",
        "or True:",
        "file/test_rules_files.py::test_file_that_was_replaced_while_it_was_waited_for_is_waited_for_anew",
    ),
    Mutation(
        "_acquiring/steps.py",
        "elif tried_free or claim.fd < 0",
        "elif claim.fd < 0",
        "file/test_edges_removal.py::test_closed_lock_is_refused_at_once",
    ),
    Mutation(
        "_acquiring/steps.py",
        "elif deadline is not None and monotonic() >= deadline:",
        "elif False:",
        "file/test_edges_removal.py::test_marked_file_that_somebody_holds_ends_a_wait_in_time",
    ),
    Mutation(
        "_acquiring/together.py",
        "self._stop_collecting()\n            return",
        "return",
        "acquiring/test_together.py::test_closing_one_takes_back_what_was_collected",
    ),
    Mutation(
        "_acquiring/together.py",
        "and self._sources.watch(processes, bells)",
        "and False",
        "acquiring/test_together.py::test_holder_that_is_killed_wakes_who_waits_for_several",
    ),
    Mutation(
        "_acquiring/together.py",
        "(self._passes or self.place.is_first())",
        "self.place.is_first()",
        "acquiring/test_together.py::test_who_waits_for_several_passes_a_stopped_waiter",
    ),
    Mutation(
        "_acquiring/together.py",
        "part.place.ticket.step_in()",
        "pass",
        "acquiring/test_together.py::test_closing_one_takes_back_what_was_collected",
    ),
    Mutation(
        "_acquiring/together.py",
        "        for part in self._parts:\n            forget_block(part.claim)\n",
        "",
        "acquiring/test_together.py::test_what_was_collected_and_granted_may_be_released_by_anybody",
    ),
    # Lock files and descriptors
    Mutation(
        "_file/removal.py",
        "if not try_lock(fd, EVERYTHING) or not is_at",
        "if not is_at",
        "file/test_edges_removal.py::test_marked_file_that_somebody_holds_is_damage",
    ),
    Mutation(
        "_file/removal.py",
        "return is_free(fd, EVERYTHING) and",
        "return",
        "file/test_files.py::test_clean_removes_what_is_idle_and_keeps_the_rest",
    ),
    Mutation(
        "_file/removal.py",
        "    os.pwrite(fd, REMOVED, 0)\n    try:\n        os.unlink(path)",
        "    try:\n        os.unlink(path)\n        os.pwrite(fd, REMOVED, 0)",
        "file/test_rules_files.py::test_mark_is_in_the_file_before_its_name_goes",
    ),
    Mutation(
        "_file/removal.py",
        'os.pwrite(fd, head[: len(REMOVED)].ljust(len(REMOVED), b"\\0"), 0)',
        "pass",
        "file/test_rules_files.py::test_file_that_may_not_be_removed_stays_in_use",
    ),
    Mutation(
        "_file/descriptors.py",
        "hold_over_fork(lambda: _opening)\n",
        "",
        "acquiring/test_edges_forks.py::test_no_fork_falls_between_the_opening_of_a_descriptor_and_its_noting",
    ),
    # Deadlocks: found where there is one, and nowhere else
    Mutation(
        "_deadlock/blocks.py",
        "return entry[0][0] is frame or (entry[2] == get_ident() and entry[3] is current_task())",
        "return entry[0][0] is frame",
        "acquiring/test_blocks.py::test_block_of_an_exit_stack_ends_the_hold_of_its_own_thread",
    ),
    Mutation(
        "_deadlock/blocks.py",
        "(entry[2] == get_ident() and entry[3] is current_task())",
        "entry[3] is current_task()",
        "acquiring/test_blocks.py::test_block_of_an_exit_stack_ends_the_hold_of_its_own_thread",
    ),
    Mutation(
        "_deadlock/blocks.py",
        "(entry[2] == get_ident() and entry[3] is current_task())",
        "entry[2] == get_ident()",
        "acquiring/test_blocks.py::test_block_of_an_exit_stack_ends_the_hold_of_its_own_task",
    ),
    Mutation(
        "_deadlock/cycles.py",
        "or other.ticket >= self.ticket:",
        "or False:",
        "deadlock/test_cycles.py::test_of_a_cycle_of_threads_exactly_one_gives_up",
    ),
    Mutation(
        "_deadlock/cycles.py",
        "if not (other is waiter and waiter.held)]",
        "]",
        "kinds/test_rules_kinds.py::test_converter_inside_other_blocks_does_not_wait_for_its_own_hold",
    ),
    # Commands
    Mutation(
        "_run/embedded.py",
        "_refuse_lost_status()\n    environment",
        "environment",
        "run/test_running.py::test_ignored_sigchld_hides_no_exit_status",
    ),
    Mutation(
        "_run/relay.py",
        "            self._take(number, None)\n",
        "            pass\n",
        "run/test_running.py::test_signal_before_the_start_reaches_the_command",
    ),
    Mutation(
        "_cli/kill.py",
        "return self.is_there and _sent(lambda: signals",
        "return _sent(lambda: signals",
        "cli/test_kill.py::test_a_signal_reaches_only_who_started_then",
    ),
    Mutation(
        "_run/supervisor.py",
        "if signal in self._ignore:\n            return",
        "if False:\n            return",
        "run/test_run.py::test_ignored_signal_is_not_handed_on",
    ),
    Mutation(
        "_run/supervisor.py",
        "for pid in set(children() or ()) - self._others:",
        "for pid in set(children() or ()):",
        "run/test_edges_signals.py::test_limit_does_not_end_children_from_before_an_exec",
    ),
    Mutation(
        "_run/limit.py",
        "min(max(seconds, 1e-6), _LONGEST)",
        "min(seconds, _LONGEST)",
        "run/test_limit.py::test_no_grace_is_none_at_all_and_not_for_ever",
    ),
    Mutation(
        "_cli/script.py",
        "    nesting.refuse_outer_hold(request)\n    process",
        "    process",
        "cli/test_script.py::test_take_under_a_run_of_the_same_lock_is_told_so_and_not_that_it_is_busy",
    ),
    Mutation(
        "_deadlock/lenders.py",
        "return [holder for holder in everybody if holder not in others]",
        "return list(everybody)",
        "cli/test_script.py::test_what_others_hold_is_not_what_a_script_runs_under",
    ),
    Mutation(
        "_deadlock/nesting.py",
        '.replace("%0A", "\\n").replace("%25", "%")',
        '.replace("%25", "%").replace("%0A", "\\n")',
        "cli/test_script.py::test_chain_keeps_the_paths_as_they_are",
    ),
    Mutation(
        "_definitions.py",
        "        if is_blank(head) and not makes:\n",
        "        if False:\n",
        "cli/test_settled.py::test_settings_say_nothing_of_a_new_file_that_will_be_of_another_kind",
    ),
    Mutation(
        "_file/removal.py",
        "return False  # not ours to remove",
        "return True",
        "file/test_rules_files.py::test_file_of_another_program_is_not_cleaned_away",
    ),
    # What looks free, and what is left
    Mutation(
        "_acquiring/attempt.py",
        "    return request.weight + taken <= limit",
        "    return True",
        "acquiring/test_together.py::test_nobody_passes_for_ever",
    ),
    Mutation(
        "_acquiring/attempt.py",
        "    if places:\n        taken",
        "    if False:\n        taken",
        (
            "kinds/test_rules_kinds.py::test_several_locks_with_an_element_of_a_pool_do_not_wait_for_one_that_was_taken_out"
        ),
    ),
    Mutation(
        "_acquiring/claims.py",
        "except (OSError, LockError) as error:\n                    failures",
        "except ZeroDivisionError as error:\n                    failures",
        "kinds/test_rules_kinds.py::test_number_of_a_release_that_fails_goes_back_and_the_other_one_is_kept",
    ),
    Mutation(
        "_acquiring/conversion.py",
        "if learn(fd, request).limit or self.starts:",
        "if True:",
        "acquiring/test_convert.py::test_closed_lock_lets_its_holders_share",
    ),
    Mutation(
        "_acquiring/agreement.py",
        "        if gate:\n            leave_gate(fd)",
        "        pass",
        "file/test_files.py::test_header_that_was_read_again_leaves_the_gate_to_others",
    ),
    Mutation(
        "_file/reuse.py",
        "forget_in_child(_idle.clear)",
        "",
        (
            "file/test_rules_files.py::test_forked_child_does_not_take_its_own_lock_file_for_one_that_its_parent_kept_open"
        ),
    ),
)

if __name__ == "__main__":
    sys.exit(main())
