"""Other programs' interfaces over pylock's locks, for who comes from there.

filelock and portalocker are thin subclasses of the packages of these names, which are imported by nothing else here:
interface and locking are theirs, only the waiting is ours.
"""
