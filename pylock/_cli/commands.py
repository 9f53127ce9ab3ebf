"""The commands of pylock and their options, as one table."""

from __future__ import annotations

from .options import DIRECTORY, FAILURE, HELP, WORDS, Command, Option, UsageError, capacity, meant, seconds, texts
from .run_options import RUN
from .script_options import IN_SCRIPTS

STATUS = Command(
    "status",
    "[NAME]",
    "Show who holds and who waits.",
    "pylock._cli.status:show_status",
    (
        Option("json", "j", help="machine-readable: one JSON object"),
        Option("pids", "", help="only the processes of this host that hold, a line each, for scripts"),
        Option("prometheus", "", help="numbers for monitoring, in the text format of Prometheus"),
        Option("watch", "", help="keep the table up to date until interrupted"),
        Option("quiet", "q", help="print nothing; exit with 0 if NAME is free, 1 if it is held"),
        DIRECTORY,
        HELP,
    ),
    (
        ("0", "all went well; with --quiet: nobody holds NAME"),
        ("1", "with --quiet: somebody holds NAME"),
        ("2", "no lock has that NAME"),
        ("3", "a lock file is damaged, foreign or unreadable"),
        FAILURE,
    ),
)
KILL = Command(
    "kill",
    "NAME",
    "End the processes of this host that hold a lock, and say what was done.",
    "pylock._cli.kill:kill",
    (
        Option("signal", "s", "SIG", "what to begin with (TERM)"),
        Option("grace", "", "SECONDS", "how long they have to end, before they are killed (10 s)", parse=seconds),
        Option("waiters", "", help="end those who wait, too"),
        Option("yes", "y", help="do not ask; without a terminal nothing is asked"),
        DIRECTORY,
        HELP,
    ),
    (
        ("0", "nobody of those holds it any more"),
        ("1", "somebody could not be ended, or is on another host"),
        ("2", "no lock has that NAME"),
        FAILURE,
    ),
)
SET = Command(
    "set",
    "NAME",
    "Change a lock's definition, also while it is held and waited for.",
    "pylock._cli.admin:change_definition",
    (
        Option("capacity", "c", "N", "units for shared holders; 0 closes the lock, unlimited opens it", parse=capacity),
        Option("policy", "", "POLICY", "shared-first or fair"),
        Option("elements", "", "A,B,...", "the elements of a pool, from now on", parse=texts),
        Option("kind", "", "KIND", "for a lock that nobody has used yet: path, pool, sequence or timestamp"),
        Option("reason", "r", "TEXT", "of closing it: shown to those who wait, and by status"),
        Option("drain", "", help="return only when all who hold now are gone"),
        Option("newcomers", "", help="with --drain: and those who come meanwhile, so that nobody holds it"),
        Option("timeout", "t", "SECONDS", "with --drain: give up after that, with exit status 75", parse=seconds),
        DIRECTORY,
        HELP,
    ),
    (
        ("0", "it is changed, and with --drain those are gone"),
        ("75", "with --drain and --timeout: somebody held it all the time"),
        FAILURE,
    ),
)
INIT = Command(
    "init",
    "DIR",
    "Make a lock directory that several users share.",
    "pylock._cli.admin:make_directory",
    (
        Option("group", "g", "GROUP", "the group whose members may lock; without it everybody may"),
        Option("force", "f", help="open an existing one to more users; as root, also one that is another user's"),
        Option("directory", "d", "DIR", "the same as the operand"),
        HELP,
    ),
)
CLEAN = Command(
    "clean",
    "[DIR]",
    "Remove idle lock files, and what killed waiters left behind; never what is in use or was defined with set.",
    "pylock._cli.admin:clean_directory",
    (Option("dry-run", "", help="only say what would be removed"), DIRECTORY, HELP),
)
CHECK = Command(
    "check",
    "[DIR]",
    "Find out whether a directory is fit for locks, and say what was proved and what was not.",
    "pylock._cli.check.command:check_directory",
    (
        Option("peer", "", "HOSTCMD", 'prove exclusion with another host, reached by this prefix: "ssh host2"'),
        Option("timeout", "t", "SECONDS", "for each step (10)", parse=seconds),
        DIRECTORY,
        HELP,
    ),
    (
        ("0", "it is fit for locks"),
        ("1", "it is not"),
        FAILURE,
    ),
)
SIGNALS = Command("signals", "", "List the signals that can be ignored.", "pylock._cli.admin:list_signals", (HELP,))
COMPLETION = Command(
    "completion",
    "bash|zsh|fish",
    "Print a completion script for the shell.",
    "pylock._cli.completion:print_completion",
    (
        Option("answer", "", help="what the script asks: what may follow the words behind --, a line each"),
        Option("line", "", "LINE", "the same for a line of bash, behind -- its COMP_WORDBREAKS"),
        HELP,
    ),
)
MAN = Command(
    "man",
    "[COMMAND]",
    "Print the man page of a command, or pylock(1), in troff.",
    "pylock._cli.manual:print_man_page",
    (HELP,),
)

FLOM = Command(
    "flom",
    "[FLOM'S OPTIONS] -- COMMAND [ARG...]",
    "FLoM's command line: its options, resource names, key files and exit statuses.",
    "pylock._cli.flom:run_flom",
    (HELP,),
    takes=WORDS,
)

ALL = (RUN, STATUS, SET, KILL, *IN_SCRIPTS, CHECK, INIT, CLEAN, SIGNALS, FLOM, COMPLETION, MAN)


def named(name: str) -> Command:
    """Return the command with that name; raises UsageError."""
    names = []
    for command in ALL:
        if command.name == name:
            return command
        names.append(command.name)
    said = meant(name, [*names, "help", "version"]) or f"; use one of {', '.join(names)}"
    raise UsageError(f'{name!r} is not a command of pylock{said}; see "pylock --help"')
