"""The list of mutations follows the code, and one that survives is told."""

from __future__ import annotations

from mutations import MUTATIONS, ROOT, Fate, Mutation, try_out

HARMLESS = Mutation(
    "_file/texts.py", "from __future__ import annotations", "from __future__ import annotations  # as it was",
    "house/test_mutations.py::test_each_is_found_once",
)  # fmt: skip


def test_each_is_found_once() -> None:
    for each in MUTATIONS:
        assert (ROOT / "pylock" / each.file).read_text().count(each.old) == 1, str(each)


def test_each_changes_the_code_and_names_tests_that_are_there() -> None:
    for each in MUTATIONS:
        assert each.old != each.new, str(each)
        for test in each.tests.split():
            file, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}(" in (ROOT / "tests" / file).read_text(), test


def test_survivor_is_told() -> None:
    assert try_out(HARMLESS).fate is Fate.PASSED


def test_lost_line_is_told() -> None:
    assert try_out(HARMLESS._replace(old="no such line")).fate is Fate.LOST


def test_tests_that_cannot_run_notice_nothing() -> None:
    assert try_out(HARMLESS._replace(tests="house/test_mutations.py::test_no_such_test")).fate is Fate.BROKEN
