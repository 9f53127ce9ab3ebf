"""The rules of the house, in one place: which room may know which, who opens files, and what is loaded late."""

from __future__ import annotations

ORDER = [
    "_errors", "_process", "_file", "_modes", "_enums", "_request", "_queue", "_status", "_deadlock", "_acquiring",
    "_holds", "_locks", "_several", "_kinds", "_run", "_definitions", "__init__", "compat", "_cli", "__main__",
]  # fmt: skip
"""The entries of the package, from the ground up: each knows only those before it, also for annotations."""

UPWARDS = {("_errors", "_status"): "an error shows who holds, in the words of status; for annotations alone"}
"""What looks up all the same, and why."""

LATE = {
    "_status": "dataclasses, and all that tells of others: twice the time of a command",
    "_deadlock.cycles": "looks at everybody who waits; only for who holds and waits",
    "_acquiring.refusals": "says who is in the way, by _status",
    "_acquiring.conversion": "needs refusals, and is seldom asked for",
    "_acquiring.decorating": "functools, and only for who decorates",
    "_enums": "enum takes longer to load than a lock",
}
"""What the rooms below the command line load in a function, each with its reason; under `_process.loading`."""

OPENERS = {
    "_file/descriptors.py": "every lock file and bell",
    "_file/new_directory.py": "a directory, from the first check on by its descriptor",
    "_kinds/state.py": "a directory, to sync it",
    "_run/terminal.py": "the terminal",
    "_cli/taking.py": "the null device, in place of what is closed",
    "_cli/executable.py": "the executable flom that it writes",
    "compat": "files of the programs that use it",
}
"""Who calls os.open, and for what."""
