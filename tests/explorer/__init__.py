"""Every schedule of a few contenders, one system call at a time: pylock's own code over a kernel in memory.

`system` is that kernel, `doors` let pylock's rooms call it, `contenders` are those who do, `world` is one run of them,
`rules` what must hold after each step, `search` goes through all runs. `scenarios` say who does what, and `mutants` are
faults that some schedule must find.
"""
