"""The pytest plugin in its own pytest sessions (pytester)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

# Imported here so that pytester's sessions do not import them again, which crashes cryptography.
import mralab.harness.fault_point
import mralab.lab.lab
import mralab.net.traffic_server  # noqa: F401

ROOT = Path(__file__).parents[2]
ALONE = ("-p", "no:asyncio", "-p", "no:aiohttp", "-p", "no:anyio", "-p", "no:hypothesispytest", "-p", "no:schemathesis")
"""Options that disable the plugins for asynchronous tests, and those that are slow to import."""


@pytest.fixture(autouse=True)
def strict(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers -p no:cacheprovider\n")


def test_before_and_after_and_the_report_of_the_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_login(mra_lab, mra_release):
            assert mra_lab.login("emusk").ok
        """
    )
    result = pytester.runpytest_inprocess(*ALONE, "-rA")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "PASSED *test_login[[]before[]]",
            "FAILED *test_login[[]after[]]*",
        ]
    )
    text = result.stdout.str()
    assert text.count("traffic_server log -") == 1
    assert "- Expressway-C X14.2: traffic_server log -" in text
    assert "Core server certificate verification failed for (cucm.steven.lab). Action=Terminate" in text
    assert "self-signed: cucm.steven.lab:6972 presented a self-signed certificate" in text
    assert "\n  presented: L=Diegem,ST=Belgium,CN=cucm-EC.steven.lab," in text
    assert '  In this test: mra_lab.trust(mra_lab.cucm.certificate("tomcat-ECDSA")), which adds to' in text
    assert "Add the tomcat or tomcat-ECDSA certificate of cucm.steven.lab itself" in text


def test_proxies_and_labs_of_the_author_are_shown_with_their_names(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from urllib.error import HTTPError
        from urllib.request import urlopen

        import pytest
        from mralab import Lab, Proxy

        @pytest.fixture
        def own_lab():
            with Lab("X14.2") as lab:
                yield lab

        def test_fixture(own_lab):
            assert own_lab.login().ok

        def test_local():
            with Lab("X14.2") as here:
                assert here.login().ok

        def test_proxy():
            with Proxy(hosts={"cucm.lab": ("127.0.0.1", 1)}) as expressway:
                urlopen(expressway.url(for_="https://cucm.lab:8443/x"))

        def test_same(mra_lab):
            the_same, its_proxy = mra_lab, mra_lab.proxy
            assert mra_lab.login().ok

        def test_none():
            assert False
        """
    )
    result = pytester.runpytest_inprocess(*ALONE)
    result.assert_outcomes(failed=5)
    text = result.stdout.str()
    for name in ("own_lab", "here", "mra_lab"):
        assert text.count(f'  In this test: {name}.trust({name}.cucm.certificate("tomcat-ECDSA"))') == 1
    assert "  In this test: 127.0.0.1:1 was dialled; start your mock there, or expressway.add_host(" in text
    assert text.count("traffic_server log -") == 4


RUNS_COROUTINES = """
    import asyncio
    import inspect

    import pytest

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(pyfuncitem):
        if inspect.iscoroutinefunction(pyfuncitem.obj):
            asyncio.run(pyfuncitem.obj())
            return True
"""


def test_a_lab_that_has_ended_in_an_asyncio_test_is_shown_with_its_advice(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(RUNS_COROUTINES)
    pytester.makepyfile(
        """
        from mralab import Lab, fault

        async def test_ended():
            async with Lab("X14.2") as ended:
                login = await ended.login()
            assert login.ok

        async def test_failed_within():
            async with Lab("X14.2") as within:
                assert (await within.login()).ok

        async def test_faults():
            async with Lab("X14.2") as faulty:
                await faulty.trust(faulty.cucm.certificate("tomcat-ECDSA"))
                faulty.cucm.inject(fault.Expire())
                login = await faulty.login()
            assert login.ok

        async def test_not_started():
            never = Lab("X14.2")
            assert False

        def test_plain():
            lab = Lab("X14.2")
            with lab as plain:
                login = plain.login()
            assert login.ok
        """
    )
    result = pytester.runpytest_inprocess(*ALONE)
    result.assert_outcomes(failed=5)
    text = result.stdout.str()
    for name in ("ended", "within"):
        assert text.count(f'  In this test: await {name}.trust({name}.cucm.certificate("tomcat-ECDSA")), which') == 1
    assert text.count("  In this test: faulty.cucm.lift_faults(8443), which lifts the faults") == 1
    assert text.count('  In this test: plain.trust(plain.cucm.certificate("tomcat-ECDSA")), which') == 1
    assert text.count("traffic_server log -") == 4


def test_a_failed_assertion_shows_what_happened(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from urllib.error import HTTPError
        from urllib.request import urlopen

        def ask(proxy):
            try:
                urlopen(proxy.url(for_="https://cucm.lab:8443/x"))
            except HTTPError as error:
                error.close()

        def test_because(mra_proxy):
            ask(mra_proxy)
            assert mra_proxy.refused("cucm.lab", because="self-signed")

        def test_not(mra_proxy):
            ask(mra_proxy)
            assert not mra_proxy.refused("cucm.lab")

        def test_typo(mra_proxy):
            assert mra_proxy.refused("cucm.lab", because="selfsigned")

        def test_nothing(mra_proxy):
            assert mra_proxy.allowed("cucm.lab")
        """
    )
    result = pytester.runpytest_inprocess(*ALONE)
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "E * assert cucm.lab was refused, but because of not-allowed (8443), not self-signed",
            "*findings*",
            "not-allowed: No rule of the HTTP allow list lets GET https://cucm.lab:8443/x through*",
            '  In this test: mra_proxy.add_host("cucm.lab", (address, port)), with the address of your mock.',
            "  Add cucm.lab to [[]hosts[]] of the proxy's configuration.",
            "E * assert not cucm.lab was refused: not-allowed (8443)",
            "E * 'selfsigned' is not a finding code; did you mean 'self-signed'?",
            "E * assert cucm.lab was not allowed: no request came in",
            "*Expressway-C X14.2*",
            "no request came in",
        ]
    )


def test_each_test_starts_with_the_default_settings(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        seen = []

        @pytest.mark.parametrize("turn", range(3))
        def test_start(mra_proxy, mra_ca, turn):
            seen.append(mra_proxy.port)
            assert len(set(seen)) == 1
            assert (mra_proxy.release, mra_proxy.log, len(mra_proxy.trusted)) == ("X14.2", (), 0)
            assert mra_proxy.config.verify_mode == "on"
            assert not mra_proxy.config.hosts
            mra_proxy.trust(mra_ca)
            mra_proxy.release = "X14.0.7"
            mra_proxy.verify_origin_server("Off")
            mra_proxy.add_host("cucm.lab", ("127.0.0.1", 1))

        @pytest.mark.mralab(release="X14.0.7")
        class TestMarks:
            def test_release(self, mra_proxy):
                assert (mra_proxy.release, mra_proxy.config.verify_mode) == ("X14.0.7", "off")

            @pytest.mark.mralab(verify="Permissive", release="x14.2")
            def test_nearest(self, mra_proxy):
                assert (mra_proxy.release, mra_proxy.config.verify_mode) == ("X14.2", "audit")

        @pytest.mark.mralab(scenario="ip", verify="audit")
        def test_scenario(mra_lab):
            assert mra_lab.login().ok
            assert {each.code for each in mra_lab.findings} == {"name-not-in-certificate"}
        """
    )
    pytester.runpytest_inprocess(*ALONE).assert_outcomes(passed=6)


WRONG = [
    ("relase='X14.2'", "mra_proxy", "mralab(relase=...) is unknown; did you mean 'release'?"),
    ("'X14.2'", "mra_lab", "mralab('X14.2') takes keyword arguments only: release, scenario, verify"),
    ("release='X14.2'", "mra_proxy, mra_release", "mra_release and mralab(release=...): choose one"),
    ("scenario='ip'", "mra_proxy", "mralab(scenario=...) is for mra_lab"),
    ("scenario='ecdsa-frist'", "mra_lab", "'ecdsa-frist' is not a scenario; did you mean 'ecdsa-first'?"),
    ("release='X14.1'", "mra_proxy", "release: is not a known release; known: X12.5, "),
    ("verify='enforce'", "mra_proxy", "verify.origin: must be on, off or audit"),
]


def test_wrong_markers_are_errors_that_say_why(pytester: pytest.Pytester) -> None:
    tests = (
        f"@pytest.mark.mralab({mark})\ndef test_{number}({arguments}):\n    pass\n"
        for number, (mark, arguments, _) in enumerate(WRONG)
    )
    pytester.makepyfile("import pytest\n\n" + "\n".join(tests))
    result = pytester.runpytest_inprocess(*ALONE)
    result.assert_outcomes(errors=len(WRONG) + 1)  # mra_release makes two of one
    text = re.sub(r"'(on|off|audit)'", r"\1", result.stdout.str())
    for _, _, message in WRONG:
        assert message in text


ASYNCHRONOUS = """
    import asyncio
    import threading

    async def ask(proxy):
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        path = proxy.url(for_="https://cucm.lab:8443/x").removeprefix(proxy.base_url)
        writer.write(f"GET {path} HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n".encode())
        answer = await reader.read()
        writer.close()
        return answer

    MARK
    async def test_proxy(mra_proxy):
        assert (await ask(mra_proxy)).startswith(b"HTTP/1.1 403 ")
        assert mra_proxy.refused("cucm.lab", because="not-allowed")
        await mra_proxy.clear()
        assert not mra_proxy.log

    MARK
    async def test_lab(mra_lab):
        assert not (await mra_lab.login()).ok
        await mra_lab.trust(mra_lab.cucm.certificate("tomcat-ECDSA"))
        assert (await mra_lab.login()).ok
        await mra_lab.upgrade("X14.0.7")
        assert (await mra_lab.login()).ok

    def test_synchronous(mra_lab):
        assert not mra_lab.login().ok
"""


@pytest.mark.parametrize(
    ("others", "mark"),
    [
        (("-p", "no:aiohttp", "-p", "no:anyio"), "@__import__('pytest').mark.asyncio"),
        (("-p", "no:anyio", "--asyncio-mode=auto"), ""),
        (("-p", "no:asyncio", "-p", "no:aiohttp"), "@__import__('pytest').mark.anyio"),
    ],
    ids=["pytest-asyncio", "pytest-aiohttp", "anyio"],
)
def test_asynchronous_tests_with_each_plugin(pytester: pytest.Pytester, others: tuple[str, ...], mark: str) -> None:
    pytester.makeconftest(
        "import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n" if "anyio" in mark else ""
    )
    pytester.makepyfile(ASYNCHRONOUS.replace("MARK", mark))
    scope = () if "no:asyncio" in others else ("-o", "asyncio_default_fixture_loop_scope=function")
    pytester.runpytest_inprocess(*others, *scope).assert_outcomes(passed=3)


def test_the_advice_for_an_asyncio_test_has_await(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("async def test_lab(mra_lab):\n    assert (await mra_lab.login()).ok\n")
    scope = ("-o", "asyncio_default_fixture_loop_scope=function")
    result = pytester.runpytest_inprocess("-p", "no:aiohttp", "-p", "no:anyio", "--asyncio-mode=auto", *scope)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ['  In this test: await mra_lab.trust(mra_lab.cucm.certificate("tomcat-ECDSA")), which adds to*']
    )


def test_parallel_sessions_do_not_interfere(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from urllib.error import HTTPError
        from urllib.request import urlopen

        @pytest.mark.parametrize("turn", range(24))
        def test_own(mra_proxy, mra_release, turn):
            with pytest.raises(HTTPError) as caught:
                urlopen(mra_proxy.url(for_=f"https://cucm{turn}.lab:8443/x"))
            caught.value.close()
            assert [served.url for served in mra_proxy.transactions] == [f"https://cucm{turn}.lab:8443/x"]
            assert mra_proxy.release == mra_release
            assert turn != 23, "one that fails"
        """
    )
    result = pytester.runpytest_inprocess(*ALONE, "-n", "4", "-q")
    result.assert_outcomes(passed=46, failed=2)
    assert result.stdout.str().count("lets GET https://cucm23.lab:8443/x through") == 2


def test_nothing_is_imported_until_a_fixture_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            heavy = {"aiohttp", "OpenSSL", "cryptography", "pydantic", "uvloop", "trustme"}
            assert not heavy & set(sys.modules)
            assert "mralab.pytest_plugin" in sys.modules
        """
    )
    pytester.runpytest_subprocess(*ALONE, "-p", "no:xdist").assert_outcomes(passed=1)


def test_the_example_runs(pytester: pytest.Pytester) -> None:
    for file in ("conftest.py", "test_version.py"):
        shutil.copy(ROOT / "examples" / "pytest" / file, pytester.path)
    pytester.runpytest_inprocess(*ALONE).assert_outcomes(passed=5)
