"""The options of ``pylock run``. Apart from the other commands, because this one is to start fast."""

from __future__ import annotations

from .._file.texts import from_os
from . import options
from .options import DIRECTORY, HELP, Command, Option, capacity, exit_code, seconds, texts, whole, yes_or_no

LOCK, KIND, WAIT = "What to lock", "Other kinds of locks", "How to wait"
COMMAND, OUTPUT = "How to run the command", "Output and settings"

EXIT_CODES = (
    ("0-255", "the command's own exit status"),
    ("124", "with --limit: the command had run for so long; 137 if it had to be killed"),
    ("75", "the lock was busy, or was not had in time (changed by --busy-exit-code)"),
    ("125", "the request can never be met, wrong usage, or pylock itself failed"),
    ("126", "the command is not executable"),
    ("127", "the command was not found"),
    ("128+n", "the command, or pylock while it waited, died of signal n (pylock dies of it too)"),
)

RUN = Command(
    "run",
    "[NAME] -- COMMAND [ARG...]",
    "Run a command under a lock; the lock is let go only after the command has ended.",
    "pylock._cli.runner:run_command",
    (
        Option("shared", "s", help="share the lock with other shared holders", name="mode", value="shared", group=LOCK),
        Option("exclusive", "x", help="keep all others out (the default)", name="mode", value="exclusive", group=LOCK),
        Option("mode", "m", "MODE", "one of the six modes, such as concurrent_read or CR", group=LOCK),
        Option(
            "capacity",
            "c",
            "N",
            "units that shared holders may have together; implies --shared",
            parse=capacity,
            group=LOCK,
        ),
        Option("weight", "w", "N", "units to take of the capacity; implies --shared", parse=whole, group=LOCK),
        Option("policy", "", "POLICY", "shared-first or fair", group=LOCK),
        Option(
            "with",
            "",
            "NAME[:MODE]",
            "another lock to have at the same time; may be repeated, all or nothing",
            name="others",
            parse=from_os,
            many=True,
            group=LOCK,
        ),
        Option(
            "any-of",
            "",
            "A,B,...",
            "one of these elements of a pool, told in PYLOCK_ELEMENT; as many as --weight",
            parse=texts,
            group=KIND,
        ),
        Option("tree", "", "/PATH", "a node of a hierarchy, with all that is below it", parse=from_os, group=KIND),
        Option("sequence", "", help="a number that nobody else gets, told in PYLOCK_VALUE", group=KIND),
        Option("transactional", "", help="with --sequence: the number goes back if the command fails", group=KIND),
        Option("timestamp", "", "FORMAT", "a time that nobody else gets, told in PYLOCK_VALUE", group=KIND),
        Option("reason", "", "TEXT", "shown to others while the lock is held or waited for", parse=from_os, group=LOCK),
        Option("directory", "d", "DIR", DIRECTORY.help, group=LOCK),
        Option(
            "timeout",
            "t",
            "SECONDS",
            "give up after so long; fractions are fine, 0 is one try",
            parse=seconds,
            group=WAIT,
        ),
        Option("no-wait", "n", help="give up at once if the lock is not free", name="timeout", value=0.0, group=WAIT),
        Option("skip-if-busy", "", help="like --no-wait, but exit with 0 without running the command", group=WAIT),
        Option(
            "busy-exit-code", "E", "N", "exit status if the lock could not be had (75)", parse=exit_code, group=WAIT
        ),
        Option("priority", "p", "N", "-63 to 63; among those who wait, higher goes first", parse=whole, group=WAIT),
        Option(
            "ignore-signal",
            "",
            "SIG",
            "swallow the signal while the command runs; may be repeated",
            name="ignore_signals",
            many=True,
            group=COMMAND,
        ),
        Option(
            "start-ignoring",
            "",
            "SIG",
            "start the command with the signal ignored; may be repeated",
            name="start_ignoring",
            many=True,
            group=COMMAND,
        ),
        Option(
            "new-group",
            "",
            help="give the command a process group of its own, so that it gets each signal once",
            group=COMMAND,
        ),
        Option(
            "wait-for", "", "WHAT", "command (the default), or tree: until the last descendant is gone", group=COMMAND
        ),
        Option(
            "limit",
            "",
            "SECONDS",
            "how long the command may run: then TERM, and exit status 124; implies --new-group",
            parse=seconds,
            group=COMMAND,
        ),
        Option(
            "on-lost",
            "",
            "REACTION",
            "if another host may have the lock by now: term, warn or ignore (on NFS term, else ignore)",
            group=COMMAND,
        ),
        Option(
            "grace", "", "SECONDS", "with --limit or --on-lost: from TERM to KILL (10 s)", parse=seconds, group=COMMAND
        ),
        Option(
            "exec",
            "",
            help="become the command: no process of pylock stays in memory; not for one that closes its descriptors",
            group=COMMAND,
        ),
        Option("create", "", "yes/no", "no: wait until somebody else uses the lock", parse=yes_or_no, group=WAIT),
        Option(
            "idle-lifespan",
            "",
            "SECONDS",
            "how long it exists after this use, for --create=no; 0 removes the file",
            parse=seconds,
            group=COMMAND,
        ),
        Option("quiet", "q", help="say nothing while waiting", group=OUTPUT),
        Option("verbose", "v", help="say what happens", group=OUTPUT),
        Option(
            "log",
            "",
            "FILE",
            "append a line for each grant, wait, release and refusal; syslog sends them there",
            group=OUTPUT,
        ),
        Option(
            "show-command",
            "",
            "HOW",
            "what others see of the command: line (the default), program or nothing",
            group=OUTPUT,
        ),
        Option("config", "", "FILE", "read settings from this file last", group=OUTPUT),
        HELP,
    ),
    exit_codes=EXIT_CODES,
    takes=options.COMMAND,
)
