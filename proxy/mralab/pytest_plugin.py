"""The pytest plugin: an Expressway-C in the middle of somebody else's tests, and its log in their report.

Fixtures: ``mra_proxy`` (one server a session, back to the start for each test), ``mra_lab`` (the article's lab, a new
one for each test), ``mra_ca`` (a trustme CA), ``mra_release`` (runs a test before and after X14.2). All serve from
threads of their own, so that they work in synchronous and in asyncio tests alike, whatever runs those.

Every pytest session of an environment that has mralab loads this module: it imports nothing but pytest before a
fixture is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import trustme

    from .harness.proxy import Proxy
    from .lab.lab import Lab, SyncLab
    from .mocks.pki import Pki

_RELEASES: Final = {"before": "X14.0.7", "after": "X14.2"}
_SETTINGS: Final = ("release", "scenario", "verify")
_MOST_LINES: Final = 200
_proxies = pytest.StashKey[list["Proxy"]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers",
        "mralab(release=..., scenario=..., verify=...): what mra_proxy and mra_lab start with: a release (X14.2), "
        "for mra_lab a scenario (fqdn, ip, ecdsa-first), a verify mode (on, off, audit)",
    )


@pytest.fixture(params=list(_RELEASES.values()), ids=list(_RELEASES))
def mra_release(request: pytest.FixtureRequest) -> str:
    """The release before X14.2 began to verify servers, then X14.2: the test runs on both."""
    release: str = request.param
    return release


@pytest.fixture(scope="session")
def mra_ca() -> trustme.CA:
    """A CA for the certificates of your mocks: ``mra_ca.issue_cert("cucm.example.com").configure_cert(context)``."""
    import trustme

    return trustme.CA()


@pytest.fixture(scope="session")
def _mra_server() -> Iterator[Proxy]:
    from .harness.proxy import Proxy

    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def _mra_pki() -> Pki:
    from .mocks.pki import mint

    return mint()


@pytest.fixture
def mra_proxy(request: pytest.FixtureRequest, _mra_server: Proxy) -> Proxy:
    """The traffic server: no hosts, nothing trusted, an empty log. ``add_host`` and ``trust`` give it some."""
    settings = _settings(request)
    if "scenario" in settings and "mra_lab" not in request.fixturenames:
        raise pytest.UsageError(
            f"{request.node.nodeid}: mralab(scenario=...) is for mra_lab; mra_proxy has no scenarios"
        )
    _mra_server.reset()
    _mra_server.change(
        release=settings.get("release", _RELEASES["after"]),
        verify={"origin": settings["verify"]} if "verify" in settings else {},
    )
    _watch(request, _mra_server)
    return _mra_server


@pytest.fixture
def mra_lab(request: pytest.FixtureRequest, _mra_pki: Pki) -> Iterator[Lab | SyncLab]:
    """The article's lab: a ``Lab`` for an asyncio test (``await mra_lab.login()``), a ``SyncLab`` for any other."""
    from .lab.lab import Lab

    settings = _settings(request)
    whole = Lab(
        settings.get("release", _RELEASES["after"]),
        scenario=settings.get("scenario"),
        verify=settings.get("verify"),
        pki=_mra_pki,
    )
    with whole as waiting:
        _watch(request, whole.proxy)
        yield whole if inspect.iscoroutinefunction(request.function) else waiting


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the marks say, the nearest last, and the release of ``mra_release``."""
    settings: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("mralab"))):
        _check(request.node.nodeid, mark)
        settings.update(mark.kwargs)
    if "mra_release" in request.fixturenames:
        if "release" in settings:
            raise pytest.UsageError(f"{request.node.nodeid}: mra_release and mralab(release=...): choose one of them")
        settings["release"] = request.getfixturevalue("mra_release")
    return settings


def _check(nodeid: str, mark: pytest.Mark) -> None:
    if mark.args:
        raise pytest.UsageError(f"{nodeid}: mralab({mark.args[0]!r}) takes names only: {', '.join(_SETTINGS)}")
    for name in mark.kwargs:
        if name not in _SETTINGS:
            from .core.nearest import did_you_mean

            near = did_you_mean(name, _SETTINGS)
            raise pytest.UsageError(f"{nodeid}: mralab({name}=...) is unknown{near}; known: {', '.join(_SETTINGS)}")


def _watch(request: pytest.FixtureRequest, proxy: Proxy) -> None:
    request.node.stash.setdefault(_proxies, []).append(proxy)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Give a failed test's report what the proxy logged for it, and what that means."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    if report.failed and call.when != "teardown":
        for proxy in item.stash.get(_proxies, ()):
            report.sections += _told(proxy)


def _told(proxy: Proxy) -> Iterator[tuple[str, str]]:
    from .diagnose.findings import summary

    lines = proxy.log
    if not lines:
        yield f"Expressway-C {proxy.release}", "no request came in"
        return
    left_out = len(lines) - _MOST_LINES
    first = [f"({left_out} earlier lines are left out)"] if left_out > 0 else []
    yield f"Expressway-C {proxy.release}: traffic_server log", "\n".join([*first, *lines[-_MOST_LINES:]])
    findings = [
        f"{summary(each)}\n  {each.remedies[0].text}" if each.remedies else summary(each) for each in proxy.findings
    ]
    yield f"Expressway-C {proxy.release}: findings", "\n".join(findings) or "none: every request was let through"
