"""The examples that `make demo` shows do what they say."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from command import PYLOCK, environment
from contender import ROOT, until

EXAMPLES = ROOT / "examples" / "jobscheduler"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``pylock`` is the one that is tested, and jobs are short."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "pylock").write_text(f'#!/bin/sh\nexec {shlex.join(PYLOCK)} "$@"\n')
    (folder / "pylock").chmod(0o755)
    return environment(PATH=f"{folder}:{os.environ['PATH']}", STEP_SECONDS="0.02")


def run(script: Path, variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", script, *words], env=variables, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def lines_of(part: str) -> list[str]:
    return [" ".join(line.split()) for line in part.splitlines()]


def test_jobscheduler_examples_come_out_as_the_seed_says(variables: dict[str, str]) -> None:
    done = run(EXAMPLES / "demo.sh", variables)
    assert done.returncode == 0, done.stderr
    first, *shared_first, maintenance = done.stdout.split("\n\nExample ")
    case1 = lines_of(first)
    end = case1.index("job1 ends")
    assert {"job2 starts (shared)", "job3 starts (shared)"} <= set(case1[end:]), "they wait for the exclusive one"
    for part in shared_first:
        case = lines_of(part)
        start = case.index("job1 starts (exclusive)")
        assert {"job2 ends", "job3 ends"} <= set(case[:start]), "the exclusive one waits for both"
    closed = lines_of(maintenance)
    shut = next(place for place, line in enumerate(closed) if line.endswith("-> 0 (closed)"))
    ended = closed.index("nightly ends")
    assert shut < ended < closed.index("start report"), "it closes for new ones, and waits until who runs has ended"
    opened = closed.index("open maintain")
    starts = [closed.index(f"{name} starts (shared)") for name in ("report", "billing", "audit")]
    assert opened < min(starts), "nobody starts before it is opened"
    waiters = [line.split()[-1] for line in closed[shut:] if "waits #" in line]
    holders = [line.split()[-1] for line in closed[opened:] if "holds shared" in line]
    assert waiters == holders == ["report", "billing", "audit"], "all start by themselves, in their order"


def test_chain_holds_its_lock_over_all_its_steps(variables: dict[str, str]) -> None:
    done = run(EXAMPLES / "chain" / "demo.sh", variables)
    assert done.returncode == 0, done.stderr
    steps = [line.split() for line in lines_of(done.stdout) if line.startswith("order")]
    assert steps == [["order", order, step] for order in "AB" for step in ("extract", "transform", "load")]


def test_chain_that_cannot_have_its_lock_is_told(variables: dict[str, str]) -> None:
    import pylock

    with pylock.lock("chainLock"):
        done = run(EXAMPLES / "chain" / "begin.sh", variables, "chainLock", "order", "--no-wait")
    assert (done.returncode, done.stdout) == (75, "")
    assert "held by" in done.stderr


def test_keeper_of_a_chain_ends_with_the_process_that_starts_its_steps(variables: dict[str, str]) -> None:
    import pylock

    begin = f'CHAIN_PID=$$ sh "{EXAMPLES}/chain/begin.sh" chainLock order; read next_step'
    with subprocess.Popen(["sh", "-c", begin], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as chain:
        assert chain.stdout is not None
        keeper = int(chain.stdout.readline())
        assert [holder.pid for holder in pylock.inspect("chainLock").holders] == [keeper]
        chain.kill()
    until(lambda: not pylock.lock("chainLock").locked())


@pytest.mark.parametrize("script", sorted(EXAMPLES.rglob("demo.sh")), ids=lambda path: path.parent.name)
def test_no_demonstration_goes_on_where_the_command_cannot_start(
    script: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "bin" / "pylock").write_text("#!/no/such/interpreter\n")
    # A shell may go on to the next of that name on the PATH.
    done = run(script, variables | {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"})
    assert done.returncode in (126, 127)
    assert done.stdout == ""


def test_demonstration_ends_with_a_job_that_cannot_start(variables: dict[str, str], tmp_path: Path) -> None:
    real = (tmp_path / "bin" / "pylock").read_text()
    (tmp_path / "bin" / "pylock").write_text(real.replace("exec ", "[ $1 != run ] || exit 125\nexec "))
    assert run(EXAMPLES / "demo.sh", variables).returncode
