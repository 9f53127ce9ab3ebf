"""The submodule of that name of filelock."""

from filelock.version import *
from filelock.version import __all__ as __all__
from filelock.version import version as version
