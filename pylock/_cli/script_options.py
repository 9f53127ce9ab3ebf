"""The options of the commands for scripts, which lock in their middle; as those of ``run``, to start fast."""

from __future__ import annotations

from .options import DIRECTORY, FAILURE, HELP, Command, Option, whole
from .run_options import RUN

_AS_RUN = {
    "shared", "exclusive", "mode", "capacity", "weight", "policy", "reason", "directory", "timeout", "no-wait",
    "busy-exit-code", "priority", "quiet", "verbose", "config",
}  # fmt: skip
_DESCRIPTOR = Option(
    "fd", "", "N", "the descriptor, which the script has opened on the lock's file for reading and writing", parse=whole
)

PATH = Command(
    "path",
    "NAME",
    "Print the path of a lock's file, made if it is not there: for a script to open it.",
    "pylock._cli.script:print_path",
    (DIRECTORY, HELP),
)
TAKE = Command(
    "take",
    "NAME",
    "Take a lock in the middle of a script, which holds it by a descriptor of its own until it lets go or ends.",
    "pylock._cli.script:take",
    (
        _DESCRIPTOR,
        Option("token", "", help="print the fencing token"),
        *(option for option in RUN.options if option.long in _AS_RUN),
        HELP,
    ),
    (
        ("0", "the script holds the lock"),
        ("75", "the lock was busy, or was not had in time (changed by --busy-exit-code)"),
        FAILURE,
    ),
)
RELEASE = Command(
    "release",
    "",
    "Let go of the lock that was taken through a descriptor, and wake who waits next.",
    "pylock._cli.script:release",
    (_DESCRIPTOR, HELP),
)
HELD = Command(
    "held",
    "NAME",
    "Find out whether the caller runs under the lock already.",
    "pylock._cli.script:tell_if_held",
    (DIRECTORY, HELP),
    (("0", "it does"), ("1", "it does not"), FAILURE),
)
IN_SCRIPTS = (PATH, TAKE, RELEASE, HELD)
