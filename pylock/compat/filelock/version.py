"""The submodule of that name of filelock."""

from filelock.version import *
from filelock.version import version as version
