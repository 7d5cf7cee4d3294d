"""The page of a proxy alone: without a lab, across a restart, with many events and with hostile text."""

from __future__ import annotations

import base64
import datetime
import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mralab.core.mra.target import Target, encode
from tests.net.conftest import Server
from tests.serving import toml

from .conftest import LivePage, Start, Started

HOST = "cucm.example.test"
MARKUP = "<img src=x onerror=document.title='taken'>"
HOSTILE = f"{MARKUP}\u202egnp.\u2066exe\x1b]0;taken\x07"
SHOWN = f"L=\\{MARKUP[:-1]}\\>\\u{{202E}}gnp.\\u{{2066}}exe\\x1B]0\\;taken\\x07"


def hostile_server(folder: Path) -> Iterator[Server]:
    """Run a server whose certificate has markup, bidirectional controls and escape sequences in its names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.LOCALITY_NAME, HOSTILE)])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(MARKUP), x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    yield from Server(context).run()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from hostile_server(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "rules.csv").write_text(
        f"Url,Deployment,HttpMethods,MatchType,Description\nhttps://{HOST}:{server.port},,GET,prefix,\n"
    )
    tables = {
        "proxy": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "trust": {"store": ""},
        "hosts": {HOST: {"ip": "10.48.36.215", "dial": "127.0.0.1"}},
        "allow": {"rules": "rules.csv", "automatic": False},
        "log": {"file": "traffic_server.log"},
    }
    file = folder / "mralab.toml"
    file.write_text(toml(tables))
    return file


@pytest.fixture(scope="module")
def proxy(start: Start, configuration: Path) -> Started:
    return start("serve", "-c", str(configuration))


@pytest.fixture
def page(live: LivePage, proxy: Started) -> LivePage:
    live.open(proxy.admin)
    return live


def request(proxy: Started, target: str, headers: dict[str, str] | None = None, times: int = 1) -> int:
    """Send the same request on one connection; return the status of the last response."""
    connection = http.client.HTTPConnection(str(proxy.start["listening"]), timeout=20)
    status = 0
    for _ in range(times):
        connection.request("GET", target, headers=headers or {})
        response = connection.getresponse()
        response.read()
        status = response.status
    connection.close()
    return status


def test_a_proxy_alone_says_why_there_is_no_login_and_shows_what_arrives(page: LivePage, proxy: Started) -> None:
    assert "without a lab" in page.text("#no-lab")
    assert page.page.locator("#login").is_hidden()
    assert page.page.locator("#scenario-search").is_hidden()
    assert request(proxy, f"/{encode(Target('example.test', 'https', 'other.example.test', 8443))}/x") == 403
    page.expect("#view-live .row[data-state=bad]:has-text('403')")
    page.expect("#verdict[data-state=bad]")
    assert "not-allowed" in page.text("#details .detail-state")


def test_hostile_text_stays_text(page: LivePage, proxy: Started, server: Server) -> None:
    token = encode(Target("example.test", "https", HOST, server.port))
    no_name = base64.b64encode(f"example.test/https/{MARKUP}/8443".encode()).decode().rstrip("=")
    assert request(proxy, f"/{no_name}/x") == 404
    path = "/%3Cscript%3Edocument.title='taken'%3C/script%3E%E2%80%AE"
    assert request(proxy, f"/{token}{path}", {"TrackingID": MARKUP}) == 502
    page.expect(f"#view-live .row:has-text('{server.port}')")
    page.page.click(f"#view-live .row:has-text('{server.port}') button")
    assert SHOWN in page.text("#details .certificate")
    assert MARKUP in page.text("#details .names")
    assert MARKUP in page.text("#log")
    page.page.click("#trust-this")
    page.expect("#trust-list:has-text('taken')")
    assert SHOWN in page.text("#trust-list")
    text = page.page.evaluate("() => document.documentElement.innerText")
    assert not set(text) & set("\u202e\u2066\x1b\x07")
    assert page.page.locator("img, script:not([src])").count() == 0
    assert "taken" not in page.page.title()


def test_ten_thousand_events_do_not_let_the_page_grow(page: LivePage, proxy: Started) -> None:
    target = f"/{encode(Target('example.test', 'https', 'other.example.test', 8443))}/"
    session = page.page.context.new_cdp_session(page.page)

    def size(mark: str, times: int) -> tuple[int, float]:
        request(proxy, target + "many", times=times)
        request(proxy, target + mark)
        page.expect(f"#log li:has-text('{mark}')")
        page.expect(f"#view-live .row:has-text('{mark}')")
        page.page.click("[data-view=compare]")  # it shows the requests once no more have come for a while
        page.expect(f"#view-compare .row:has-text('{mark}')")
        page.page.click("[data-view=live]")
        session.send("HeapProfiler.collectGarbage")
        heap = page.page.evaluate("() => performance.memory.usedJSHeapSize")
        return page.page.evaluate("() => document.getElementsByTagName('*').length"), heap

    elements, heap = size("first-half", 1670)  # three lines each
    more_elements, more_heap = size("second-half", 1670)
    assert more_elements <= elements * 1.05
    assert more_heap <= heap * 1.25
    assert page.page.locator("#log li").count() <= 500
    assert page.page.locator("#view-live .row").count() <= 40
    assert "earlier requests are not shown" in page.text("#view-live .omitted")


def test_the_page_survives_a_restart_of_the_proxy(live: LivePage, start: Start, configuration: Path) -> None:
    first = start("serve", "-c", str(configuration))
    live.open(first.admin)
    first.end()
    live.expect("#stream-state[data-state=lost]")
    assert live.text("#stream-state") == "connection lost, reconnecting"
    text = configuration.read_text().replace('"admin" = "127.0.0.1:0"', f'"admin" = "{first.admin}"')
    again = configuration.with_name("again.toml")
    again.write_text(text)
    second = start("serve", "-c", str(again))
    live.expect("#stream-state[data-state=back]")
    request(second, f"/{encode(Target('example.test', 'https', 'other.example.test', 8443))}/after")
    live.expect("#view-live .row:has-text('/after')")
    live.console[:] = [each for each in live.console if "ERR_" not in each]  # Chromium's own words for no connection
