"""``mralab lab``: a lab with its control API, which runs until SIGINT or SIGTERM."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..config import load
from ..control.local import LocalControl
from ..control.report import report
from ..control.serve import LoadApi, admin_socket, administered, announce, stop_event, warn
from ..core.hostport import host_port
from ..core.log.events import Event
from ..core.log.writer import LineWriter, has_line
from ..errors import InputError
from ..mocks.tomcat import parse_https_ciphers
from ..net.acceptor import raise_descriptor_limit
from ..net.sink import LogSink
from .lab import PASSWORD, Lab
from .lab_control import LabControl
from .like import Like, read_like
from .running_lab import RunningLab
from .scenario import Scenario, find_scenarios
from .scenario_model import Expected
from .welcome import Welcome


@dataclass(frozen=True, slots=True)
class LabOptions:
    """The command line of ``mralab lab``; None: not given."""

    file: Path | None = None
    release: str | None = None
    scenario: str | None = None
    """Name of a shipped scenario, or path of a scenario's TOML file."""
    advertise: Literal["fqdn", "ip"] | None = None
    https_ciphers: str | None = None
    like: Path | None = None
    like_trust: Path | None = None
    listen: str | None = None
    admin: str | None = None
    log: Path | None = None


async def run(options: LabOptions, load_api: LoadApi) -> int:
    """Run a lab until SIGINT or SIGTERM. Return the exit code, 0.

    Standard output gets the addresses as one JSON line; a terminal gets text for people, and then the log. The log file
    is that of the options, else the configuration's, else a temporary file, which is kept. Raises ``MralabError``.
    """
    _check(options)
    config = load(options.file) if options.file is not None else None
    scenario = _scenario(options)
    like = read_like(options.like, options.like_trust) if options.like is not None else None
    log = options.log
    if log is None and config is not None and not config.is_set("log", "file"):
        log = config.path(config.log.file)
    stop = stop_event()
    whole = Lab(
        options.release, scenario=scenario, like=like, config=config, log_file=log, keep_log=True, **_changes(options)
    )
    if config is not None:
        raise_descriptor_limit(config.limits.connections)
    async with whole as running:
        if config is not None:  # without a file the settings are a scenario's, and meant
            warn(running.proxy.server.settings)
        admin = admin_socket(running.proxy.config)
        control = control_of(running)
        async with LabControl(running, control), administered(control, admin, load_api):
            proxy = running.proxy
            name = proxy.config.log.file
            log_name = name if name == "-" else str(proxy.config.path(name))
            if sys.stdout.isatty():
                admin_address = host_port(*admin.getsockname()[:2]) if admin is not None else ""
                async with _for_people(running, scenario, like, admin_address, log_name):
                    await stop.wait()
            else:
                for note in like.notes if like is not None else ():
                    report(note)
                start = {"edge": running.via.removeprefix("http://"), "log": log_name}
                announce((proxy.host, proxy.port), admin, **start)
                await stop.wait()
    return 0


def control_of(running: RunningLab) -> LocalControl:
    """Return the control of a lab. A reset also lifts faults, and keeps the rules of the discovered nodes."""
    control = LocalControl(lambda: running.proxy.server, lambda: running.journal)
    control.probes = running.probes()
    control.on_reset += (running.lift_faults, running.restore_rules)
    return control


def _check(options: LabOptions) -> None:
    """Raise ``InputError`` for options that cannot have an effect together."""
    problems = []
    if options.like is None and options.like_trust is not None:
        problems.append("--like-trust: needs --like DIR, whose certificates it belongs to")
    if options.like is not None and options.scenario is not None:
        problems.append("--like and --scenario: both decide which certificates the servers present; give one of them")
    if options.like is not None and options.https_ciphers is not None:
        problems.append("--https-ciphers: with --like the files decide which certificates 8443 presents")
    if problems:
        raise InputError(problems)


def _scenario(options: LabOptions) -> Scenario:
    given = options.scenario
    if given is None:
        scenario = Scenario(name="lab", title="the article's lab", expect=Expected())
    else:
        (scenario,) = find_scenarios([given])
    changes: dict[str, Any] = {}
    if options.advertise is not None:
        changes["advertise"] = options.advertise
    if options.https_ciphers is not None:
        changes["https_ciphers"] = parse_https_ciphers(options.https_ciphers)
    return scenario.model_copy(update=changes)


def _changes(options: LabOptions) -> dict[str, Any]:
    """Return the tables of the configuration that the options change."""
    proxy = {"listen": options.listen, "admin": options.admin}
    given = {key: value for key, value in proxy.items() if value is not None}
    return {"proxy": given} if given else {}


@contextlib.asynccontextmanager
async def _for_people(
    running: RunningLab, scenario: Scenario, like: Like | None, admin: str, log: str
) -> AsyncIterator[None]:
    """Print where things are, and then the log while the context is open."""
    title = scenario.title if like is None else "look-alikes of the certificates given"
    with tempfile.TemporaryDirectory(prefix="mralab-") as folder:
        welcome = Welcome(
            f"Expressway-C {running.proxy.release} with {title}",
            running,
            "emusk",
            PASSWORD,
            admin,
            log,
            Path(folder),
            like.stand_ins if like is not None else (),
            like.notes if like is not None else (),
        )
        print(welcome.text(), flush=True)  # noqa: T201 - a person reads it
        if log == "-":  # the proxy itself writes it there
            yield
            return
        async with _followed(running):
            yield


@contextlib.asynccontextmanager
async def _followed(running: RunningLab) -> AsyncIterator[None]:
    """Copy the log to standard output while the context is open.

    A sink writes it in a thread: a terminal that is paused (Ctrl-S) must not stop the proxy.
    """
    writer = LineWriter(running.proxy.config.log.hostname, os.getpid(), debug=True)
    sink = LogSink(None)

    def show(event: Event) -> None:
        if has_line(event):
            sink.write(writer.format(event))

    sink.open()
    unsubscribe = running.proxy.server.subscribe(show)
    try:
        yield
    finally:
        unsubscribe()
        await sink.close()
