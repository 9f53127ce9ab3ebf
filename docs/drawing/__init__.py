"""The pictures of the pages, drawn as SVG: ``PYTHONPATH=.:docs python -m drawing`` draws all of them anew.

Diagrams come from the code, plots from the figures that the benchmarks wrote, screens from what a terminal was sent. A
test compares the files with what is drawn, so that none goes stale.
"""
