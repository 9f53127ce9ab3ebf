"""Other programs' interfaces over pylock's locks, for who comes from there.

filelock and portalocker are imported by nothing in pylock, and use only what it offers everybody.
"""
