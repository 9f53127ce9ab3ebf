"""The programs in the pages run, each under the framework that it is for; skipped where that is not installed.

`make frameworks` installs them all.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import environment
from contender import ROOT, until, waiting
from pages import PAGES, Program, finish, programs

import pylock

FRAMEWORKS = {program.name: program for program in programs(ROOT / "docs/how-to/frameworks.md")}
TESTING = programs(ROOT / "docs/how-to/testing.md")
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "place"
    path.mkdir()
    return path


def skip_without(package: str) -> None:
    """Skip where it is not installed; it is for children, and would change this process if it were loaded here."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed; make frameworks installs it")


def written(name: str, place: Path) -> Path:
    """The program of the page, in a file; skips the test where it cannot run."""
    program = FRAMEWORKS[name]
    if program.needs:
        skip_without(program.needs)
    return program.write(place)


def python(*words: object, where: Path) -> str:
    return finish([sys.executable, *map(str, words)], where, PYTHONPATH=f"{ROOT}:{where}")


def test_every_program_of_the_pages_is_run_here() -> None:
    known = {*FRAMEWORKS.values(), *TESTING}
    assert [program for page in PAGES for program in programs(page) if program not in known] == []
    here = Path(__file__).read_text()
    assert [name for name in FRAMEWORKS if f'written("{name}"' not in here] == []


def test_processes_of_all_kinds(place: Path) -> None:
    python(written("counting.py", place), where=place)


def test_joblib(place: Path) -> None:
    python(written("join.py", place), where=place)


def test_pytest_with_two_workers_makes_it_once(place: Path) -> None:
    written("conftest.py", place)
    (place / "test_it.py").write_text(
        "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_it(n, database, worker_id):\n"
        "    assert database.read_text() == 'made once\\n'\n    print(worker_id)\n"
    )
    for workers in ("2", "0"):
        said = finish([*PYTEST, "-n", workers, "--basetemp", f"base{workers}", "-rP"], place)
        assert "4 passed" in said
        assert ("gw1" in said) is (workers == "2")


def test_celery_retries_who_comes_while_it_runs(place: Path) -> None:
    written("tasks.py", place)
    (place / "queue").mkdir()
    (place / "send.py").write_text("import tasks\nfor n in range(3): tasks.report.delay(n)\n")
    hold = pylock.lock("report").acquire()
    python("send.py", where=place)
    words = ["-A", "tasks", "worker", "-c", "2", "-l", "info", "--without-gossip", "--without-mingle"]
    with served([sys.executable, "-m", "celery", *words], place) as log:
        until(lambda: "Retry in" in log.read_text())
        assert not (place / "reports").exists()
        hold.release()
        until(lambda: log.read_text().count(" succeeded in ") == 3)
    lines = (place / "reports").read_text().split()
    assert [lines[at + 1] for at in range(0, 12, 4)] == [lines[at + 3] for at in range(0, 12, 4)]


def test_apscheduler(place: Path) -> None:
    program = written("schedule.py", place)
    python(program, where=place)
    assert "one\n" in (place / "nights").read_text()
    (place / "nights").unlink()
    hold = pylock.lock("nightly").acquire()
    python(program, where=place)
    hold.release()
    assert not (place / "nights").exists()


def test_django_command(place: Path) -> None:
    written("nightly.py", place)
    (place / "manage.py").write_text(
        "import django, nightly; from django.conf import settings; settings.configure(); django.setup()\n"
        "from django.core.management import call_command\n"
        "try: call_command(nightly.Command())\nexcept nightly.CommandError as error: print(error)\n"
    )
    assert python("manage.py", where=place) == "figures made\n"
    hold = pylock.lock("nightly").acquire()
    assert f"held by pid {os.getpid()}" in python("manage.py", where=place)
    hold.release()


@contextmanager
def served(words: list[str], place: Path) -> Iterator[Path]:
    """Run a server meanwhile; give the file that it prints to."""
    log = place / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            words, cwd=place, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=environment(PYTHONPATH=f"{ROOT}:{place}"),
        )  # fmt: skip
    try:
        yield log
    except BaseException as error:
        error.add_note(log.read_text())
        raise
    finally:
        server.terminate()
        try:
            server.wait(20)
        finally:
            server.kill()
            server.wait()


def visit(place: Path) -> int:
    """Ask the server, once it is there."""

    def connected() -> socket.socket | None:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(place / "site"))
        except OSError:
            client.close()
            return None
        return client

    with until(connected) as client:
        client.settimeout(30)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    return int(answer.partition(b"\r\n\r\n")[2])


GUNICORN = [sys.executable, "-m", "gunicorn", "--bind", "unix:site", "--graceful-timeout", "1", "site_app"]
UWSGI = [str(BIN / "uwsgi"), "--http-socket", "site", "--wsgi-file", "site_app.py", "--master", "--die-on-term"]
SERVERS = {
    "gunicorn": [*GUNICORN, "--workers", "2"],
    "gunicorn --preload": [*GUNICORN, "--workers", "2", "--preload"],
    "gunicorn gthread": [*GUNICORN, "--workers", "2", "--worker-class", "gthread", "--threads", "4"],
    "gunicorn gevent": [*GUNICORN, "--workers", "2", "--worker-class", "gevent"],
    "gunicorn gevent --preload": [*GUNICORN, "--workers", "2", "--worker-class", "gevent", "--preload"],
    "uwsgi": [*UWSGI, "--processes", "2"],
    "uwsgi --lazy-apps": [*UWSGI, "--processes", "2", "--lazy-apps"],
    "uwsgi threads": [*UWSGI, "--processes", "2", "--threads", "4"],
}


def skip_without_server(name: str) -> None:
    if name.startswith("uwsgi"):
        if not (BIN / "uwsgi").exists():
            pytest.skip("uwsgi is not installed; make frameworks installs it")
    else:
        skip_without("gunicorn")
        if "gevent" in name:
            skip_without("gevent")


@pytest.mark.parametrize("name", SERVERS)
def test_workers_of_a_server_take_turns(name: str, place: Path, executor: ThreadPoolExecutor) -> None:
    skip_without_server(name)
    written("site_app.py", place)
    with served(SERVERS[name], place):
        assert sorted(executor.map(visit, [place] * 40)) == list(range(1, 41))


@pytest.mark.parametrize("name", ["gunicorn gevent", "gunicorn gevent --preload", "gunicorn gthread"])
def test_worker_that_waits_serves_others(name: str, place: Path, executor: ThreadPoolExecutor) -> None:
    skip_without_server(name)
    written("site_app.py", place)
    one_worker = [word.replace("2", "1") if word == "2" else word for word in SERVERS[name]]
    hold = pylock.lock("visits").acquire()
    with served(one_worker, place):
        visits = [executor.submit(visit, place) for _ in range(3)]
        waiting("visits", 3)
        assert len({waiter.pid for waiter in pylock.inspect("visits").waiters}) == 1
        hold.release()
        assert sorted(each.result() for each in visits) == [1, 2, 3]


CALLS = """
import asyncio
import httpx
import pylock
from api import app

async def main():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        answers = await asyncio.gather(*(client.post("/visit/paris") for _ in range(5)))
        assert sorted(each.json()["paris"] for each in answers) == [1, 2, 3, 4, 5], answers
        assert (await client.post("/report")).json() == {"fenced": True}
        hold = pylock.lock("report").acquire()
        busy = await client.post("/report")
        hold.release()
        assert (busy.status_code, busy.json()) == (503, {"busy": "report"})

asyncio.run(main())
"""


def test_fastapi(place: Path) -> None:
    written("api.py", place)
    skip_without("httpx")
    (place / "calls.py").write_text(CALLS)
    python("calls.py", where=place)


CELLS = """
import sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in open("notebook.py").read().split("# %%"):
    shell.run_cell(cell, store_history=True).raise_error()
"""


def test_jupyter_cells(place: Path) -> None:
    written("notebook.py", place)
    (place / "cells.py").write_text(CELLS)
    finish([sys.executable, "cells.py"], place, HOME=str(place), IPYTHONDIR=str(place / "ipython"))


def can_run(program: Program) -> bool:
    return program.needs != "time_machine"


@pytest.mark.parametrize("which", [can_run, lambda program: True], ids=["what is here", "with time-machine"])
def test_examples_of_testing_pass(which: Callable[[Program], bool], place: Path) -> None:
    if which is not can_run:
        skip_without("time_machine")
    chosen = [program for program in TESTING if which(program)]
    for program in chosen:
        program.write(place)
    claims = sum(program.text.count("def test_") for program in chosen)
    said = finish([*PYTEST, "--basetemp", "base"], place, PYTHONPATH=f"{ROOT}:{place}", TMPDIR=str(place))
    assert f"{claims} passed" in said
