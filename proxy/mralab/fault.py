"""Faults on demand: what a server does wrong, for N connections or until the fault is lifted.

``with lab.cucm.inject(Stall()): ...``, or in front of your own mock ``point.inject(Expire(), times=2)``. A fault is a
small record of what is wrong; its ``Effect`` acts on one connection. Faults in force at the same time add up.
``REGISTRY`` has every fault by name, those that a test or a plugin defines included.
"""

from __future__ import annotations

from .mocks.effect import Effect
from .mocks.faults import REGISTRY, Fault
from .mocks.faults.answer import Answer
from .mocks.faults.armed import Armed, Faults
from .mocks.faults.drop_intermediates import DropIntermediates
from .mocks.faults.expire import Expire
from .mocks.faults.not_tls import NotTls
from .mocks.faults.present import Present
from .mocks.faults.reset_after_certificate import ResetAfterCertificate
from .mocks.faults.send_alert import ALERTS, SendAlert
from .mocks.faults.slow import Slow
from .mocks.faults.stall import Stall
from .mocks.faults.truncate import Truncate
from .mocks.faults.wrong_version import WrongVersion

__all__ = [
    "ALERTS",
    "REGISTRY",
    "Answer",
    "Armed",
    "DropIntermediates",
    "Effect",
    "Expire",
    "Fault",
    "Faults",
    "NotTls",
    "Present",
    "ResetAfterCertificate",
    "SendAlert",
    "Slow",
    "Stall",
    "Truncate",
    "WrongVersion",
]
