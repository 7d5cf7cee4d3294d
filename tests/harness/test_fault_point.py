"""Faults on demand: each has the same findings as a real server with that fault."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import time
from collections.abc import AsyncIterator, Iterator
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mralab import FaultPoint, Lab, Proxy, fault
from mralab.errors import MralabError
from mralab.mocks.cucm import Cucm
from mralab.mocks.pki import Pki
from tests.mocks.relay import USERS

from .mock import BODY, mock

HOST = "cucm.steven.lab"
URL = f"https://{HOST}:8443/cucm-uds/version"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def below(ca: trustme.CA) -> trustme.CA:
    return ca.create_child_ca()


@pytest.fixture(scope="module")
def leaf(below: trustme.CA) -> trustme.LeafCert:
    return below.issue_cert(HOST)


@pytest.fixture(scope="module")
def point(leaf: trustme.LeafCert, below: trustme.CA) -> Iterator[FaultPoint]:
    with mock(leaf) as address, FaultPoint(dial=address, certificate=leaf, issuer=below) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(ca: trustme.CA, point: FaultPoint) -> Iterator[Proxy]:
    times = {"response_timeout": 20.0, "connect_timeout": 20.0}
    with Proxy(release="X14.2", hosts={HOST: point.address}, trust=[ca], upstream=times) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(point: FaultPoint, proxy: Proxy) -> Iterator[None]:
    yield
    point.lift_faults()
    proxy.reset()


def get(proxy: Proxy, url: str = URL) -> tuple[int, bytes]:
    try:
        with urlopen(proxy.url(for_=url), timeout=20) as answer:  # noqa: S310 - a URL of our own
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def test_without_a_fault_the_mock_behind_answers(proxy: Proxy, point: FaultPoint) -> None:
    assert get(proxy) == (200, BODY)
    assert proxy.allowed(HOST)
    assert point.seen[-1].sni == HOST
    assert point.seen[-1].faults == ()


SELF_SIGNED_ELSEWHERE = trustme.CA().issue_cert(HOST)
NAMED_OTHERWISE = "cucm2.steven.lab"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (fault.Present(SELF_SIGNED_ELSEWHERE), "issuer-missing"),
        (fault.DropIntermediates(), "issuer-missing"),
        (fault.Expire(), "expired"),
        (fault.WrongVersion("1.3"), "tls-mismatch"),
        (fault.WrongVersion("1.1"), "tls-mismatch"),
        (fault.WrongVersion("1.0"), "tls-mismatch"),
        (fault.SendAlert("handshake_failure"), "tls-mismatch"),
        (fault.SendAlert("unknown_ca"), "rejected-by-server"),
        (fault.SendAlert(48), "rejected-by-server"),
        (fault.NotTls(), "not-tls"),
        (fault.ResetAfterCertificate(), "unreachable"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_fault_has_its_finding(proxy: Proxy, point: FaultPoint, wrong: fault.Fault, code: str) -> None:
    with point.inject(wrong) as armed:
        assert get(proxy)[0] == 502
    assert proxy.refused(HOST, because=code, port=8443)
    assert armed.met == 2  # both attempts
    assert point.seen[-1].faults == (wrong.name,)
    assert point.seen[-1].http_bytes == 0
    assert get(proxy)[0] == 200


def test_a_certificate_for_another_name(proxy: Proxy, point: FaultPoint, below: trustme.CA) -> None:
    with point.inject(fault.Present(below.issue_cert(NAMED_OTHERWISE))):
        assert get(proxy)[0] == 502
    assert proxy.refused(HOST, because="name-not-in-certificate")


def test_a_fault_for_one_connection_ends_with_it(proxy: Proxy, point: FaultPoint) -> None:
    armed = point.inject(fault.SendAlert("internal_error"), times=1)
    assert get(proxy) == (200, BODY)  # the fault is over at the second attempt
    assert armed.over
    assert armed.met == 1
    assert len(proxy.transactions) == 1
    assert proxy.transactions[0].attempts == 2


def test_an_answer_of_5xx_and_the_next_one_from_the_mock(proxy: Proxy, point: FaultPoint) -> None:
    point.inject(fault.Answer(503), times=1)
    assert get(proxy) == (503, b"")
    assert proxy.transactions[-1].reason == "Service Unavailable"
    assert get(proxy) == (200, BODY)
    assert proxy.findings == ()


def test_a_truncated_answer_is_never_complete(proxy: Proxy, point: FaultPoint) -> None:
    with (
        point.inject(fault.Truncate(after=len(BODY))),  # head and most of the body
        pytest.raises((http.client.IncompleteRead, ConnectionResetError)),
    ):
        get(proxy)
    assert get(proxy) == (200, BODY)


def test_slow_bytes_all_arrive_and_faster_once_lifted(proxy: Proxy, point: FaultPoint) -> None:
    with point.inject(fault.Slow(size=200, every=0.005)):
        begin = time.monotonic()
        assert get(proxy) == (200, BODY)
        assert time.monotonic() - begin > 0.025  # at least 1 100 bytes
    assert not proxy.findings


@pytest.mark.parametrize("pace", [None, fault.Slow(size=200_000, every=0.001)], ids=["at once", "paced"])
def test_five_megabytes_are_relayed_completely(proxy: Proxy, point: FaultPoint, pace: fault.Fault | None) -> None:
    if pace is not None:
        point.inject(pace)
    assert get(proxy, f"https://{HOST}:8443/big") == (200, BODY * 5000)


def test_faults_add_up(proxy: Proxy, point: FaultPoint) -> None:
    point.inject(fault.Slow(size=100, every=0.001))
    point.inject(fault.Answer(500))
    assert get(proxy) == (500, b"")
    assert point.seen[-1].faults == ("Slow", "Answer")


def test_a_stalled_handshake_times_out_and_goes_on_once_lifted(proxy: Proxy, point: FaultPoint) -> None:
    with point.inject(fault.Stall()):
        proxy.change(upstream={"connect_timeout": 0.1, "attempts": 1})
        assert get(proxy)[0] in (502, 504)
        assert proxy.refused(HOST, because="timeout")
    proxy.reset()
    point.inject(fault.Stall(seconds=0.01), times=1)
    assert get(proxy) == (200, BODY)
    assert proxy.transactions[0].attempts == 1


async def test_a_reset_drops_what_is_under_way(proxy: Proxy, point: FaultPoint) -> None:
    point.inject(fault.Stall())
    asked = asyncio.create_task(asyncio.to_thread(get, proxy))
    async with asyncio.timeout(10):
        while not any(each.attempts for each in proxy.transactions):  # noqa: ASYNC110 - a request is no event
            await asyncio.sleep(0.001)
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await asked
    assert (proxy.log, proxy.transactions) == ((), ())


async def test_lifting_a_fault_releases_the_connections_that_it_holds(leaf: trustme.LeafCert, ca: trustme.CA) -> None:
    with mock(leaf) as address:
        async with (
            FaultPoint(dial=address, certificate=leaf) as point,
            Proxy(hosts={HOST: point.address}, trust=ca) as proxy,
        ):
            armed = point.inject(fault.Stall())
            asked = asyncio.create_task(asyncio.to_thread(get, proxy))
            async with asyncio.timeout(10):
                while not any(each.faults for each in point.seen):  # noqa: ASYNC110 - a connection is no event
                    await asyncio.sleep(0.001)
            assert not asked.done()
            armed.lift()
            assert await asked == (200, BODY)


async def test_a_fault_point_ends_with_connections_open_and_leaves_nothing(leaf: trustme.LeafCert) -> None:
    before = asyncio.all_tasks()
    with mock(leaf) as address:
        async with FaultPoint(dial=address, certificate=leaf) as point:
            point.inject(fault.Stall())
            readers = [await asyncio.open_connection(*point.address) for _ in range(3)]
            for _, writer in readers:
                writer.write(b"\x16\x03\x01\x00\x05hello")
        for reader, writer in readers:
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
    assert asyncio.all_tasks() == before


def test_a_mock_without_tls_and_a_missing_one(ca: trustme.CA) -> None:
    leaf = ca.issue_cert(HOST)
    with (
        mock(None) as address,
        FaultPoint(dial=address, certificate=leaf, tls=False) as point,
        Proxy(hosts={HOST: point.address}, trust=[ca]) as proxy,
    ):
        assert get(proxy) == (200, BODY)
    with (
        FaultPoint(dial=address, certificate=leaf) as point,
        Proxy(hosts={HOST: point.address}, trust=[ca]) as proxy,
    ):
        assert get(proxy)[0] == 502
        assert proxy.refused(HOST)


@pytest.mark.parametrize(
    ("wrong", "times", "message"),
    [
        (fault.SendAlert("handshake_failur"), None, "did you mean 'handshake_failure'"),
        (fault.WrongVersion("0.9"), None, "'0.9' is not one of 1.0, 1.1, 1.2, 1.3"),
        (fault.Answer(100), None, "not a final HTTP status"),
        (fault.Slow(size=0), None, "not a speed"),
        (fault.Stall(), 0, "times = 0"),
        (fault.Truncate(after=-1), None, "after = -1"),
        (fault.Expire(days=-1), None, "days = -1"),
        (fault.Expire(days=99999), None, "days = 99999"),  # before 1950, where cryptography panics
        (fault.Expire(days=float("nan")), None, "days = nan"),
        (fault.Answer(reason="20 \u20ac"), None, "reason"),
        (fault.Answer(reason="OK\r\nX: y"), None, "reason"),
        (fault.Present(b"nonsense"), None, "holds no certificate in PEM"),
    ],
)
def test_an_impossible_fault_is_an_error_when_it_is_injected(
    point: FaultPoint, wrong: fault.Fault, times: int | None, message: str
) -> None:
    with pytest.raises(MralabError, match=message):
        point.inject(wrong, times)


def test_expiring_needs_the_issuers_key(leaf: trustme.LeafCert) -> None:
    point = FaultPoint(dial=("127.0.0.1", 1), certificate=leaf)
    with pytest.raises(MralabError, match="issuer's key is unknown"):
        point.inject(fault.Expire())


def test_expiring_needs_the_issuers_key_of_a_certificate_that_another_fault_presents(point: FaultPoint) -> None:
    point.inject(fault.Present(SELF_SIGNED_ELSEWHERE))
    with pytest.raises(MralabError, match="issuer's key is unknown"):
        point.inject(fault.Expire())


def test_a_damaged_key_is_refused(leaf: trustme.LeafCert) -> None:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1 + 2, numbers.dmq1 + 2, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    pem = damaged.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(MralabError, match="the private key is damaged"):
        FaultPoint(dial=("127.0.0.1", 1), certificate=pem + leaf.cert_chain_pems[0].bytes())


# -- on mralab's own mocks


@pytest.fixture
async def lab(pki: Pki) -> AsyncIterator[Lab]:
    async with Lab(pki=pki, scenario="fqdn") as running:
        yield running


async def test_our_own_cucm_fails_on_demand_on_either_port(lab: Lab) -> None:
    lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
    lab.cucm.inject(fault.Expire(days=3), port=6972)
    lab.cucm.inject(fault.Answer(503), port=8443, times=1)
    login = await lab.login()
    assert next(step.status for step in login.steps if ":8443" in step.server) == 503
    # Not the trusted certificate, although it has the same key: OpenSSL reports the first fault that it finds.
    assert {(each.port, each.code) for each in lab.findings} == {(6972, "self-signed")}
    lab.cucm.lift_faults()
    assert (await lab.login()).ok


async def test_a_ca_signed_certificate_of_our_cucm_expires(lab: Lab) -> None:
    with lab.cucm.inject(fault.Expire()):
        assert not (await lab.login()).ok
    assert lab.refused(HOST, because="expired", port=8443)


async def test_a_port_that_cucm_does_not_have(pki: Pki) -> None:
    with pytest.raises(MralabError, match="has no TLS port 444; it has 443, 6971, 6972, 8443"):
        Cucm(pki, USERS).inject(fault.Stall(), port=444)
