"""Resources built on the lock: pools of named elements, path hierarchies, sequences of numbers, timestamps.

Each is a `Lock` with a `request.Kind` that says what its grant does besides, and a `Hold` that shows what was given.
"""
