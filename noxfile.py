"""The tests under each Python that pylock is for: `make pythons`. One that is not installed is named, and left out."""

from __future__ import annotations

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.14t")
"""The last one is the build without a global lock."""

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, with the versions that they were made for; words behind -- are for pytest."""
    session.install("--editable", ".", "--requirement", "tests/requirements.txt")
    session.run("python", "-m", "pytest", *session.posargs, env={"PYTHONPATH": ".:tests"})
