"""The submodule of that name of portalocker, for type checkers; programs get portalocker's own, with LOCKER."""

from portalocker.portalocker import *
