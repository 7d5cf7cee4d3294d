"""Plans: a request with a known head is served without a coroutine, and all other requests as before.

``test_http_cases`` compares the table of requests, cold and warm. These tests cover what ends a plan, and failures
while a planned request waits for its response.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
import trustme

from mralab.core.log.events import ClientGone, Event, RequestSent, ResponseSent
from mralab.core.outcome import Outcome
from mralab.diagnose.event_buffer import Recent
from mralab.diagnose.journal import Journal
from mralab.net.endpoints import CONTROL
from mralab.net.plan import Plans
from mralab.tcp import reset
from tests.serving import until

from .conftest import HOST, OK, RunningProxy, Server, read_request, server_context

Serving = Callable[..., Server]
Proxying = Callable[..., Any]


@pytest.fixture
def connections() -> str:
    return "keep-alive"


@pytest.fixture
def tls(ca: trustme.CA) -> Any:
    return server_context(ca.issue_cert(HOST))


def request(proxy: RunningProxy, server: Server, scheme: str = "http", fields: str = "") -> bytes:
    token = proxy.token(server.port, scheme=scheme)
    return f"GET /{token}/a HTTP/1.1\r\nHost: proxy\r\n{fields}\r\n".encode()


async def planned(proxy: RunningProxy) -> float:
    return (await proxy.metrics("mralab_requests_planned_total")).get((), 0.0)


@contextlib.asynccontextmanager
async def client(proxy: RunningProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Return the next response, whose head has its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)


async def warmed(proxy: RunningProxy, head: bytes) -> None:
    """Send a request until there is a plan for it, and use the plan once."""
    before = await planned(proxy)
    async with client(proxy) as (reader, writer):
        for _ in range(2):
            writer.write(head)
            assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
    assert await planned(proxy) == before + 1


class Answers:
    """A server's handler whose behaviour changes: ``reply`` gets the stream after each request."""

    def __init__(self) -> None:
        self.reply: Callable[[Any], bool] = self.ok

    @staticmethod
    def ok(stream: Any) -> bool:
        stream.sendall(OK)
        return True

    def __call__(self, stream: Any, server: Server) -> None:
        while data := read_request(stream):
            server.requests.append(data)
            if not self.reply(stream):
                return


async def test_a_known_request_over_tls_is_planned(serving: Serving, proxying: Proxying, tls: Any) -> None:
    server = serving(tls)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server, "https")
    await warmed(proxy, head)
    async with client(proxy) as (reader, writer):
        for _ in range(2):
            writer.write(head)
            await answer(reader)
    assert await planned(proxy) == 3
    assert server.connections == 1
    assert len(server.requests) == 4
    ids = {line for data in server.requests for line in data.split(b"\r\n") if line.startswith(b"TrackingID: ")}
    assert len(ids) == 4
    sent = [event.outcome for event in await proxy.events() if isinstance(event, ResponseSent)]
    assert sent == [Outcome.PASSED] * 4


async def test_a_request_with_a_tracking_id_of_its_own_is_planned_with_it(serving: Serving, proxying: Proxying) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    await warmed(proxy, request(proxy, server, fields='TrackingID: a"b\xff\r\n'.encode().decode()))
    assert all(b'TrackingID: a"b' in data for data in server.requests)
    ids = [event.tracking_id for event in await proxy.events() if isinstance(event, RequestSent)]
    assert len(set(ids)) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda proxy, _: proxy.change(log={"level": "DEBUG"}),
        lambda proxy, _: proxy.change(upstream={"connections": "per-request"}),
        lambda proxy, _: proxy.change(hosts={HOST: {"ip": "10.0.0.1", "dial": "127.0.0.1"}}),
        lambda proxy, _: proxy.change(limits={"header_bytes": 4096}),
        lambda proxy, ca: proxy.distrust(ca.cert_pem.bytes()),
    ],
    ids=["log level", "connections", "hosts", "limits", "trust"],
)
async def test_a_change_of_policy_ends_all_plans(
    change: Callable[[RunningProxy, trustme.CA], Any],
    serving: Serving,
    proxying: Proxying,
    tls: Any,
    ca: trustme.CA,
) -> None:
    server = serving(tls)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server, "https")
    await warmed(proxy, head)
    await change(proxy, ca)
    async with client(proxy) as (reader, writer):
        writer.write(head)
        await answer(reader)
    assert await planned(proxy) == 1


async def test_a_removed_rule_denies_a_request_with_a_plan(serving: Serving, proxying: Proxying, tmp_path: Any) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    await warmed(proxy, head)
    (tmp_path / "rules.csv").write_text("Url,Deployment,HttpMethods,MatchType,Description\n")
    await proxy.change(allow={"rules": "rules.csv"})
    assert (await proxy.raw(head, eof=True)).startswith(b"HTTP/1.1 403 ")
    assert len(server.requests) == 2


async def test_a_plan_learnt_under_another_policy_is_not_kept(serving: Serving, proxying: Proxying) -> None:
    answers = Answers()
    server = serving(None, handle=answers)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    loop = asyncio.get_running_loop()
    waiting, go = asyncio.Event(), threading.Event()

    def late(stream: Any) -> bool:
        loop.call_soon_threadsafe(waiting.set)
        go.wait(10)
        return answers.ok(stream)

    answers.reply = late
    async with client(proxy) as (reader, writer):
        writer.write(head)
        await waiting.wait()
        await proxy.change(upstream={"attempts": 3})
        go.set()
        await answer(reader)
    services = proxy.server._services
    assert services is not None
    assert services.plans.known == {}


async def test_an_address_that_begins_to_lead_back_is_denied(serving: Serving, proxying: Proxying) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    await warmed(proxy, head)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        endpoint = CONTROL.add(listener)
        ports = CONTROL.by_port
        try:
            ports[server.port] = ports[endpoint.port]
            assert (await proxy.raw(head, eof=True)).startswith(b"HTTP/1.1 403 ")
        finally:
            ports.pop(server.port)
            CONTROL.remove(endpoint)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "pieces",
    [
        (OK[:20], OK[20:]),
        (OK[:-1], OK[-1:]),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK,),
        (b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n",),
        (OK + b"HTTP/1.1 200 more\r\n\r\n",),
    ],
    ids=["split head", "split body", "interim", "chunked", "more than announced"],
)
async def test_an_unusual_response_takes_the_ordinary_path(
    pieces: tuple[bytes, ...], serving: Serving, proxying: Proxying
) -> None:
    answers = Answers()
    server = serving(None, handle=answers)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    await warmed(proxy, head)
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def send(stream: Any) -> bool:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            if number:
                asyncio.run_coroutine_threadsafe(arrived.wait(), loop).result(10)
            stream.sendall(piece)
        return len(pieces) > 1

    services = proxy.server._services
    assert services is not None
    answers.reply = send
    async with client(proxy) as (reader, writer):
        before = services.stats.server_bytes_in
        writer.write(head)
        await until(lambda: services.stats.server_bytes_in > before)
        arrived.set()
        received = await reader.readuntil(b"ok\n")
        assert received.startswith(b"HTTP/1.1 200 ")
    assert await planned(proxy) == 1
    assert [event.outcome for event in await proxy.events() if isinstance(event, ResponseSent)] == [Outcome.PASSED] * 3


async def test_a_response_after_which_the_server_closes_is_planned(
    serving: Serving, proxying: Proxying, tls: Any
) -> None:
    def close(stream: Any) -> bool:
        stream.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return False

    answers = Answers()
    server = serving(tls, handle=answers)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server, "https")
    answers.reply = close
    await warmed(proxy, head)
    async with client(proxy) as (reader, writer):
        for _ in range(2):
            writer.write(head)
            assert b"\r\nConnection: keep-alive\r\n" in await answer(reader)
    assert await planned(proxy) == 3
    assert server.connections == 4
    assert len(proxy.server._services.pool) == 0  # type: ignore[union-attr]


async def test_a_kept_connection_that_was_closed_is_replaced(serving: Serving, proxying: Proxying, tls: Any) -> None:
    answers = Answers()
    server = serving(tls, handle=answers)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server, "https")
    await warmed(proxy, head)

    def gone(_: Any) -> bool:
        answers.reply = answers.ok
        return False  # closes the connection without a response

    answers.reply = gone
    async with client(proxy) as (reader, writer):
        writer.write(head)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
    assert len(server.requests) == 4
    assert server.connections == 2
    names = (await proxy.event_names())[-6:]
    assert names == [
        "RequestReceived", "RequestAllowed", "RequestSent", "RequestSent", "ResponseReceived", "ResponseSent",
    ]  # fmt: skip


async def test_a_server_that_hangs_is_in_the_log_and_a_504_in_time(serving: Serving, proxying: Proxying) -> None:
    answers = Answers()
    server = serving(None, handle=answers)
    proxy: RunningProxy = await proxying(server, upstream={"response_timeout": 0.3, "attempts": 1})
    head = request(proxy, server)
    await warmed(proxy, head)
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(stream: Any) -> bool:
        loop.call_soon_threadsafe(arrived.set)
        stream.recv(1)
        return False

    answers.reply = hang
    async with client(proxy) as (reader, writer):
        writer.write(head)
        await arrived.wait()
        assert (await proxy.event_names())[-3:] == ["RequestReceived", "RequestAllowed", "RequestSent"]
        assert proxy.log.read_text().count("Sending Request") == 3
        assert (await answer(reader)).startswith(b"HTTP/1.1 504 ")


async def test_a_client_that_disconnects_ends_its_server_connection(serving: Serving, proxying: Proxying) -> None:
    answers = Answers()
    server = serving(None, handle=answers)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    await warmed(proxy, head)
    arrived, ended = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(stream: Any) -> bool:
        loop.call_soon_threadsafe(arrived.set)
        with contextlib.suppress(OSError):
            stream.recv(1)
        loop.call_soon_threadsafe(ended.set)
        return False

    answers.reply = wait
    async with client(proxy) as (_, writer):
        writer.write(head)
        await arrived.wait()
        reset(cast("asyncio.Transport", writer.transport))
        await ended.wait()
    assert isinstance((await proxy.events())[-1], ClientGone)
    assert (await proxy.metrics("mralab_server_connections_open")) == {}


async def test_a_client_that_ends_its_side_while_it_waits_gets_its_response(
    serving: Serving, proxying: Proxying
) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    await warmed(proxy, head)
    response = await proxy.raw(head, eof=True)
    assert response.startswith(b"HTTP/1.1 200 ")
    assert response.endswith(b"ok\n")


async def test_a_proxy_that_stops_finishes_a_planned_request_and_says_close(
    serving: Serving, proxying: Proxying
) -> None:
    answers = Answers()
    server = serving(None, handle=answers)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    await warmed(proxy, head)
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    go = threading.Event()

    def late(stream: Any) -> bool:
        loop.call_soon_threadsafe(arrived.set)
        go.wait(10)
        return answers.ok(stream)

    answers.reply = late
    async with client(proxy) as (reader, writer):
        writer.write(head)
        await arrived.wait()
        stopping = asyncio.create_task(proxy.server.stop())
        await asyncio.sleep(0)
        go.set()
        assert b"\r\nConnection: close\r\n" in await answer(reader)
        await stopping


async def test_listeners_get_the_same_events_with_and_without_briefs(serving: Serving, proxying: Proxying) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    recent, journal = Recent("vcsc", 1), Journal("vcsc", 1)
    proxy.server.subscribe(recent.take, recent.take)
    unsubscribe = proxy.server.subscribe(journal.take)
    events: list[Event] = await proxy.events()
    await warmed(proxy, request(proxy, server))
    assert list(recent.events()) == events
    assert recent.journal_of(recent.events()).transactions == journal.transactions
    assert len(journal.transactions) == 2
    unsubscribe()
    await warmed(proxy, request(proxy, server, fields="X: 1\r\n"))
    assert len(journal.transactions) == 2


@pytest.mark.parametrize("at", [RequestSent, ResponseSent])
async def test_a_failure_in_the_proxy_itself_ends_one_request(
    at: type[Event], serving: Serving, proxying: Proxying
) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    await warmed(proxy, head)
    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))

    def broken(event: Event) -> None:
        if isinstance(event, at):
            raise ZeroDivisionError

    unsubscribe = proxy.server.subscribe(broken)
    assert await proxy.raw(head) == b"RESET"
    unsubscribe()
    loop.set_exception_handler(None)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    async with client(proxy) as (reader, writer):
        writer.write(head)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("connections", ["keep-alive", "per-request"])
async def test_a_request_that_fails_before_it_is_sent_costs_no_attempt_and_no_connection(
    serving: Serving, proxying: Proxying, connections: str
) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server)
    await warmed(proxy, head)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    def broken(event: Event) -> None:
        raise ZeroDivisionError

    attempts, dialled = proxy.server.stats.attempts, server.connections
    unsubscribe = proxy.server.subscribe(broken)
    assert await proxy.raw(head) == b"RESET"
    unsubscribe()
    assert (proxy.server.stats.attempts, server.connections) == (attempts, dialled)
    async with client(proxy) as (reader, writer):
        writer.write(head)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
    assert server.connections == dialled + (connections == "per-request")


async def test_the_memory_of_plans_is_bounded(serving: Serving, proxying: Proxying) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    services = proxy.server._services
    assert services is not None
    services.plans = plans = Plans(50_000)
    async with client(proxy) as (reader, writer):
        for number in range(30):
            writer.write(request(proxy, server, fields=f"X: {number}\r\n"))
            await answer(reader)
            assert plans.weight <= 50_000
    assert 1 < len(plans.known) < 10
    assert plans.weight == sum(plan.weight for plan in plans.known.values())
    assert [b"X: 29\r\n" in head for _, head in plans.known][-1]


@pytest.mark.parametrize("pieces", [1, 2])
async def test_the_limit_on_the_head_ends_before_a_slow_server_responds(
    pieces: int, serving: Serving, proxying: Proxying
) -> None:
    answers = Answers()
    server = serving(None, handle=answers)
    proxy: RunningProxy = await proxying(server, limits={"header_timeout": 0.3, "idle_timeout": 0.4})
    head = request(proxy, server)
    await warmed(proxy, head)
    loop = asyncio.get_running_loop()
    late = threading.Event()

    def slow(stream: Any) -> bool:
        loop.call_soon_threadsafe(loop.call_later, 0.6, late.set)
        late.wait(10)
        return answers.ok(stream)

    answers.reply = slow
    async with client(proxy) as (reader, writer):
        for piece in (head[:20], head[20:]) if pieces == 2 else (head,):
            expected = proxy.server.stats.client_bytes_in + len(piece)
            writer.write(piece)
            await until(lambda expected=expected: proxy.server.stats.client_bytes_in == expected)  # type: ignore[misc]
        assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
        answers.reply = answers.ok
        writer.write(head)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
    assert await planned(proxy) == 3
