"""The submodule of that name of portalocker."""

from portalocker.redis import *
