"""``mralab lab``: a lab with its control API, which runs until SIGINT or SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..config import load
from ..control.local import LocalControl
from ..control.serve import LoadApi, admin_socket, administered, announce, stop_event, warn
from ..mocks.tomcat import parse_https_ciphers
from ..net.acceptor import raise_descriptor_limit
from .lab import Lab
from .scenario import Scenario


async def run(
    file: Path | None,
    release: str | None,
    advertise: Literal["fqdn", "ip"],
    https_ciphers: str,
    log: Path | None,
    load_api: LoadApi,
) -> int:
    """Run a lab, print its addresses as one JSON line, and wait for SIGINT or SIGTERM. Return the exit code, 0.

    The log file is ``log``, else the configuration's, else a temporary file, which is kept. Raises ``MralabError``.
    """
    config = load(file) if file is not None else None
    scenario = Scenario(
        name="lab",
        title="the article's lab",
        advertise=advertise,
        https_ciphers=parse_https_ciphers(https_ciphers),
        expect={},
    )
    if log is None and config is not None and not config.is_set("log", "file"):
        log = config.path(config.log.file)
    stop = stop_event()
    whole = Lab(release, scenario=scenario, config=config, log_file=log, keep_log=True)
    if config is not None:
        raise_descriptor_limit(config.limits.connections)
    async with whole as running:
        warn(running.proxy.server.settings)
        admin = admin_socket(running.proxy.config)
        control = LocalControl(lambda: running.proxy.server, lambda: running.journal)
        control.probes = running.probes()
        control.on_reset.append(running.lift_faults)
        async with administered(control, admin, load_api):
            proxy = running.proxy
            name = proxy.config.log.file
            start = {
                "edge": running.via.removeprefix("http://"),
                "log": name if name == "-" else str(proxy.config.path(name)),
            }
            announce((proxy.host, proxy.port), admin, **start)
            await stop.wait()
    return 0
