"""What pylock costs, next to the bare system calls and to other lock libraries: `python -m benchmarks --help`.

One module per question; each has a function ``tables(quick)`` that measures and returns its tables. Subjects are
measured by turns, so that what else the machine does hits all of them alike; judge the ratios, not the microseconds.
Nothing here asserts: a table ends with what was aimed at, and whether it was met in this run.
"""
