"""The pytest plugin: an Expressway-C for other projects' tests, with its log in the report of a failed test.

Fixtures:

- ``mra_proxy``: the proxy, one for the session, reset for each test;
- ``mra_lab``: the article's lab, a new one for each test;
- ``mra_ca``: a trustme CA;
- ``mra_release``: runs the test before and after X14.2.

They serve from their own threads, so they work in synchronous tests and in asyncio tests of any plugin.

Every pytest session in an environment with mralab loads this module, so it imports only pytest until a fixture is used.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import trustme

    from .diagnose.findings import Finding, Remedy
    from .harness.proxy import Proxy
    from .lab.lab import Lab, SyncLab
    from .lab.running_lab import RunningLab
    from .mocks.pki import Pki

_SETTINGS: Final = ("release", "scenario", "verify")
_MOST_LINES: Final = 200
_watched = pytest.StashKey[dict[str, "Proxy | RunningLab"]]()
"""Variable in the test -> what it is."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "mralab(release=..., scenario=..., verify=...): how mra_proxy and mra_lab start: the release (X14.2), "
        "the scenario of mra_lab (mralab scenarios lists them), the verify mode (on, off, audit)",
    )


@pytest.fixture(params=["before", "after"])
def mra_release(request: pytest.FixtureRequest) -> str:
    """Run the test twice: with a release that does not verify servers, then with X14.2."""
    from .core.release import BEFORE, DEFAULT

    return BEFORE if request.param == "before" else DEFAULT


@pytest.fixture(scope="session")
def mra_ca() -> trustme.CA:
    """Return a CA for your mocks' certificates: ``mra_ca.issue_cert("cucm.example.com").configure_cert(context)``."""
    import trustme

    return trustme.CA()


@pytest.fixture(scope="session")
def _mra_server() -> Iterator[Proxy]:
    from .harness.proxy import Proxy

    with Proxy() as proxy:
        proxy.name_in_tests = "mra_proxy"
        yield proxy


@pytest.fixture(scope="session")
def _mra_pki() -> Pki:
    from .mocks.pki import mint

    return mint()


@pytest.fixture
def mra_proxy(request: pytest.FixtureRequest, _mra_server: Proxy) -> Proxy:
    """Return the proxy without hosts, trusted certificates or log lines. ``add_host`` and ``trust`` add some."""
    from .core.release import DEFAULT

    settings = _settings(request)
    if "scenario" in settings and "mra_lab" not in request.fixturenames:
        raise pytest.UsageError(
            f"{request.node.nodeid}: mralab(scenario=...) is for mra_lab; mra_proxy has no scenarios"
        )
    _mra_server.reset()
    _mra_server.change(
        release=settings.get("release", DEFAULT),
        verify={"origin": settings["verify"]} if "verify" in settings else {},
    )
    _watch(request, "mra_proxy", _mra_server)
    return _mra_server


@pytest.fixture
def mra_lab(request: pytest.FixtureRequest, _mra_pki: Pki) -> Iterator[Lab | SyncLab]:
    """Yield the article's lab: a ``Lab`` for an asyncio test (``await mra_lab.login()``), a ``SyncLab`` for others."""
    from .core.release import DEFAULT
    from .lab.lab import Lab

    settings = _settings(request)
    lab = Lab(
        settings.get("release", DEFAULT),
        scenario=settings.get("scenario"),
        verify=settings.get("verify"),
        pki=_mra_pki,
    )
    with lab as sync_lab:
        given = lab if inspect.iscoroutinefunction(request.function) else sync_lab
        _watch(request, "mra_lab", given)
        yield given


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the settings of the markers, of which the closest wins, and the release of ``mra_release``."""
    settings: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("mralab"))):
        _check_marker(request.node.nodeid, mark)
        settings.update(mark.kwargs)
    if "mra_release" in request.fixturenames:
        if "release" in settings:
            raise pytest.UsageError(f"{request.node.nodeid}: mra_release and mralab(release=...): choose one of them")
        settings["release"] = request.getfixturevalue("mra_release")
    return settings


def _check_marker(nodeid: str, mark: pytest.Mark) -> None:
    if mark.args:
        raise pytest.UsageError(
            f"{nodeid}: mralab({mark.args[0]!r}) takes keyword arguments only: {', '.join(_SETTINGS)}"
        )
    for name in mark.kwargs:
        if name not in _SETTINGS:
            from .core.nearest import did_you_mean

            near = did_you_mean(name, _SETTINGS)
            raise pytest.UsageError(f"{nodeid}: mralab({name}=...) is unknown{near}; known: {', '.join(_SETTINGS)}")


def _watch(request: pytest.FixtureRequest, name: str, thing: Proxy | RunningLab) -> None:
    request.node.stash.setdefault(_watched, {})[name] = thing


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the proxy's log and findings to the report of a failed test."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    if report.failed and call.when != "teardown":
        shown: set[int] = set()
        variables: dict[str, Proxy | RunningLab] = item.stash.get(_watched, {}) | _own(item, call)
        for name, thing in variables.items():
            for proxy, findings in _findings(name, thing):
                if id(proxy) not in shown:
                    shown.add(id(proxy))
                    report.sections += _log_and_findings(proxy, findings)


def _own(item: pytest.Item, call: pytest.CallInfo[None]) -> dict[str, Proxy | RunningLab]:
    """Return the proxies and labs that the test's author made, by their variables: fixtures and locals of the test."""
    if "mralab.harness.proxy" not in sys.modules:  # then there are none
        return {}
    from .harness.proxy import Proxy

    kinds: tuple[type[Proxy | RunningLab], ...] = (Proxy,)
    if "mralab.lab.running_lab" in sys.modules:
        from .lab.running_lab import RunningLab

        kinds = (Proxy, RunningLab)
    variables: dict[str, Any] = dict(getattr(item, "funcargs", {}))
    code = getattr(inspect.unwrap(getattr(item, "function", _own)), "__code__", None)
    for entry in call.excinfo.traceback if call.excinfo is not None else ():
        if entry.frame.code.raw is code:
            variables.update(entry.frame.f_locals)
    found = {name: value for name, value in variables.items() if isinstance(value, kinds)}
    return {name: thing for name, thing in found.items() if isinstance(thing, Proxy) or _is_usable(thing, item)}


def _is_usable(lab: RunningLab, item: pytest.Item) -> bool:
    """Return whether advice can name this lab: it has records, and calls of a ``Lab`` that has ended are awaited.

    A plain ``with`` also has a ``SyncLab`` for them.
    """
    from .lab.lab import Lab

    has_ended = isinstance(lab, Lab) and not lab.is_running
    return lab.has_records and not (has_ended and not inspect.iscoroutinefunction(getattr(item, "function", None)))


def _findings(name: str, thing: Proxy | RunningLab) -> Iterator[tuple[Proxy, tuple[Finding, ...]]]:
    """Yield each proxy of a variable with its findings, whose remedies have that name."""
    from .harness.proxy import Proxy

    if isinstance(thing, Proxy):
        yield thing, thing.findings_for(name)
        return
    from .lab.advice import advised

    for peer in thing.peers.values():
        yield peer, tuple(advised(thing, finding, name) for finding in peer.findings)


def _log_and_findings(proxy: Proxy, found: tuple[Finding, ...]) -> Iterator[tuple[str, str]]:
    lines = proxy.log
    if not lines:
        yield f"Expressway-C {proxy.release}", "no request came in"
        return
    left_out = len(lines) - _MOST_LINES
    first = [f"({left_out} earlier lines are left out)"] if left_out > 0 else []
    yield f"Expressway-C {proxy.release}: traffic_server log", "\n".join([*first, *lines[-_MOST_LINES:]])
    findings = ["\n  ".join(filter(None, _finding_rows(each))) for each in found]
    yield f"Expressway-C {proxy.release}: findings", "\n".join(findings) or "none: no request was refused"


def _finding_rows(finding: Finding) -> Iterator[str]:
    """Yield the cause, the certificate that was presented (empty if none is known) and the first remedies."""
    from .diagnose.finding_json import finding_json, presented_text
    from .diagnose.findings import summary

    yield summary(finding)
    yield presented_text(finding_json(finding)["presented"])
    yield from (remedy.text for remedy in _first_remedies(finding))


def _first_remedies(finding: Finding) -> tuple[Remedy, ...]:
    """Return the first remedy for an Expressway, after the one for the test if there is one."""
    from .harness.advice import CODE

    return finding.remedies[: 2 if finding.remedies and finding.remedies[0].code == CODE else 1]
