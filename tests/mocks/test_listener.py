import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
import uvloop
from aiohttp import web

from mralab.errors import ListenError
from mralab.mocks.listener import Listener, TlsListener, server_context
from mralab.mocks.pki import Pki, mint

RSA_FIRST = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384"
ECDSA_FIRST = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
Run = Callable[[Callable[[], Awaitable[None]]], None]
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(scope="module")
def pki() -> Pki:
    return mint()


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a test under one of the event loops, and check that no task is left and no error was reported."""

    def runs(test: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            loop = asyncio.get_running_loop()
            complaints: list[dict[str, object]] = []
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            await test()
            for _ in range(3):  # cancelled tasks end
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            gc.collect()
            assert complaints == []

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(whole())
        gc.collect()

    return runs


async def echo(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": request.headers.get("Content-Length", "0")})
    await response.prepare(request)
    async for chunk in request.content.iter_any():
        await response.write(chunk)
    return response


async def forever(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


def application() -> web.Application:
    app = web.Application()
    app.router.add_post("/echo", echo)
    app.router.add_get("/forever", forever)
    return app


def both(pki: Pki) -> ssl.SSLContext:
    return server_context(pki["tomcat"], pki["tomcat-ECDSA"])


def trusting(pki: Pki, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in names:
        context.load_verify_locations(cadata=pki[name].pem)
    return context


def all_trusting(pki: Pki) -> ssl.SSLContext:
    return trusting(pki, "steven-DC-CA", "tomcat-ECDSA", "CallManager-ECDSA")


async def connect(listener: TlsListener, context: ssl.SSLContext, name: str = "cucm.steven.lab") -> ssl.SSLObject:
    """Do a handshake and disconnect; return what the client knows about the connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context, server_hostname=name)
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    await writer.wait_closed()
    return tls


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what a listener has seen so far is no event
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(("ciphers", "kind"), [(RSA_FIRST, "rsa"), (ECDSA_FIRST, "ec")])
def test_the_clients_cipher_order_picks_the_certificate(run: Run, pki: Pki, ciphers: str, kind: str) -> None:
    async def test() -> None:
        context = all_trusting(pki)
        context.set_ciphers(ciphers)
        async with TlsListener(application(), both(pki)) as listener:
            tls = await connect(listener, context)
        (seen,) = listener.seen
        assert tls.getpeercert(True) == ssl.PEM_cert_to_DER_cert(pki["tomcat" if kind == "rsa" else "tomcat-ECDSA"].pem)
        assert (seen.certificate, seen.cipher, seen.version) == (kind, ciphers.split(":")[0], "TLSv1.2")
        assert (seen.sni, seen.handshake, seen.alert, seen.http_bytes) == ("cucm.steven.lab", True, "", 0)

    run(test)


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_the_alert_of_a_client_that_refuses_is_recorded(run: Run, pki: Pki, tls: str) -> None:
    async def test() -> None:
        context = server_context(pki["CallManager-ECDSA"], tls=(tls,))
        async with TlsListener(application(), context) as listener:
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.to_thread(refuse, listener.port, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            await listener.settled()
        (seen,) = listener.seen
        assert seen.alert == "TLSV1_ALERT_UNKNOWN_CA"
        assert (seen.sni, seen.certificate, seen.version) == ("cucm.steven.lab", "ec", f"TLSv{tls}")
        assert (seen.handshake, seen.http_bytes, list(seen.requests)) == (False, 0, [])
        assert "ECDSA" in seen.cipher or tls == "1.3"

    run(test)


def refuse(port: int, context: ssl.SSLContext) -> None:
    """Refuse the server's certificate, as a blocking client: asyncio sends no alert (cpython issue 98078)."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="cucm.steven.lab"),
    ):
        pass


def test_a_client_without_a_common_version_gets_an_alert(run: Run, pki: Pki) -> None:
    async def test() -> None:
        context = all_trusting(pki)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        async with TlsListener(application(), both(pki)) as listener:
            with pytest.raises(ssl.SSLError) as caught:
                await connect(listener, context)
        assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
        assert listener.seen[0].alert == "UNSUPPORTED_PROTOCOL"

    run(test)


def test_a_client_that_requests_an_address_sends_no_sni(run: Run, pki: Pki) -> None:
    async def test() -> None:
        context = all_trusting(pki)
        context.check_hostname = False
        async with TlsListener(application(), both(pki)) as listener:
            await connect(listener, context, "10.48.36.215")
        assert listener.seen[0].sni == ""

    run(test)


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "plain"])
def test_keep_alive_and_big_bodies(run: Run, pki: Pki, secure: bool) -> None:
    body = bytes(range(256)) * 40_000  # 10 MB: pauses reading and writing on either side

    async def slowly() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1_000_000):
            yield body[start : start + 1_000_000]

    async def test() -> None:
        async with TlsListener(application(), both(pki) if secure else None) as listener:
            context = all_trusting(pki)
            context.check_hostname = False
            url = f"{'https' if secure else 'http'}://127.0.0.1:{listener.port}/echo"
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
                for _ in range(3):
                    async with session.post(url, data=slowly(), headers={"Content-Length": str(len(body))}) as response:
                        assert await response.read() == body
                async with session.post(f"{url}?a=%3D") as response:
                    assert response.status == 200
                    assert "Server" not in response.headers
                async with session.get(f"{url}-not") as response:
                    assert response.status == 404
        (seen,) = listener.seen
        assert list(seen.requests) == ["POST /echo"] * 3 + ["POST /echo?a=%3D", "GET /echo-not"]
        assert seen.http_bytes > 3 * len(body)
        assert seen.handshake is secure

    run(test)


def test_closing_ends_idle_busy_and_unfinished_connections(run: Run, pki: Pki) -> None:
    async def test() -> None:
        context = all_trusting(pki)
        async with TlsListener(application(), both(pki)) as listener:
            address = ("127.0.0.1", listener.port)
            _, silent = await asyncio.open_connection(*address)
            idle_reader, idle = await asyncio.open_connection(*address, ssl=context, server_hostname="cucm.steven.lab")
            _, busy = await asyncio.open_connection(*address, ssl=context, server_hostname="cucm.steven.lab")
            busy.write(b"GET /forever HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: any(seen.requests for seen in listener.seen))
        assert await idle_reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        for writer in (silent, idle, busy):
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:  # reset by the listener
                continue

    run(test)


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("http", [True, False])
def test_closing_ends_a_connection_that_is_being_accepted(run: Run, http: bool, turns: int) -> None:
    def answered(client: socket.socket) -> bytes:
        with client:
            client.settimeout(5)
            try:
                return client.recv(1)
            except ConnectionResetError:
                return b""

    async def test() -> None:
        async with TlsListener(application(), None) if http else Listener(asyncio.Protocol, None) as listener:
            client = socket.create_connection(("127.0.0.1", listener.port))
            for _ in range(turns):  # of the loop: it accepts a connection in several
                await asyncio.sleep(0)
        assert await asyncio.to_thread(answered, client) == b""

    run(test)


def test_another_certificate_is_presented_from_the_next_connection_on(run: Run, pki: Pki) -> None:
    async def test() -> None:
        async with TlsListener(application(), server_context(pki["tomcat"])) as listener:
            await connect(listener, all_trusting(pki))
            listener.context = server_context(pki["tomcat-ECDSA"])
            await connect(listener, all_trusting(pki))
        assert [seen.certificate for seen in listener.seen] == ["rsa", "ec"]

    run(test)


async def test_a_port_in_use_is_an_error(pki: Pki) -> None:
    async with TlsListener(application(), None) as listener:
        with pytest.raises(ListenError, match=f"127.0.0.1:{listener.port}: cannot listen"):
            async with TlsListener(application(), None, port=listener.port):
                pass
