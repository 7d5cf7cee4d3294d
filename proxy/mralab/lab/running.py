"""``mralab lab``: a lab that runs until a signal ends it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Literal

from ..config import load
from .lab import Lab
from .scenario import Scenario


async def run(file: Path | None, release: str | None, advertise: Literal["fqdn", "ip"]) -> int:
    """Run a lab, say where it is in one JSON line, wait for SIGINT or SIGTERM. Raises ``MralabError``."""
    config = load(file) if file is not None else None
    scenario = Scenario(
        name="lab",
        title="the article's lab",
        advertise=advertise,
        prefer=config.preference if config is not None else "rsa",
        expect={},
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = config.path(config.log.file) if config is not None and config.log.file != "-" else None
    chosen = release or (config.release if config is not None else "X14.2")
    async with Lab(chosen, scenario=scenario, config=config, log_file=log) as lab:
        start = {
            "listening": f"{lab.proxy.host}:{lab.proxy.port}",
            "admin": "",
            "pid": os.getpid(),
            "edge": lab.via.removeprefix("http://"),
            "log": str(lab.proxy.config.path(lab.proxy.config.log.file)),
        }
        sys.stdout.write(json.dumps(start) + "\n")
        sys.stdout.flush()
        await stop.wait()
    return 0
