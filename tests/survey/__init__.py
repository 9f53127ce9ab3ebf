"""A survey of mutations: all that decides, waits, lets go or supervises, broken by rule. See `make survey`.

Where `mutations.py` holds what must never go unnoticed, a survey looks for what nobody has thought of. Three rooms:
`mutants` makes them, `reach` knows which tests go through a line, `trials` runs those in a copy of the tree.
What was looked at and needs no test stands in `explained`.
"""
