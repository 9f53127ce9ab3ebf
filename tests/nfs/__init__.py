"""Scenarios on two hosts that share a directory of a file server; see ``make test-nfs`` in tests/README.md."""
