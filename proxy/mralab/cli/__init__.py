"""The command line: one module for each command or group of commands.

A new command is a new module with ``@main.command()``, and a line here.
"""

from . import allowlist as allowlist
from . import demo as demo
from . import diagnose as diagnose
from . import diagnostic_logging as diagnostic_logging
from . import findings as findings
from . import lab as lab
from . import log as log
from . import login as login
from . import preflight as preflight
from . import run as run
from . import scenarios as scenarios
from . import schema as schema
from . import serve as serve
from . import set as set  # noqa: A004 - the module has the name of its command
from . import transactions as transactions
from . import trust as trust
from . import watch as watch
from . import xconfiguration as xconfiguration
from .root import main

__all__ = ["main"]
