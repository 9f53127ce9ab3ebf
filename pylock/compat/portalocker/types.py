"""The submodule of that name of portalocker, for type checkers; programs get portalocker's own."""

from portalocker.types import *
