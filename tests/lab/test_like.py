"""A lab of look-alikes has the same log lines as the customer's servers."""

from __future__ import annotations

import asyncio
import http.client
import re
import shutil
import ssl
import sys
from asyncio.subprocess import DEVNULL
from hashlib import sha256
from pathlib import Path

import pytest

from mralab.errors import InputError
from mralab.harness.proxy import Proxy
from mralab.lab.lab import Lab
from mralab.lab.like import address_of, read_like
from mralab.lab.welcome import Welcome
from mralab.mocks.pki import Pki
from mralab.tls.trust_store import parse_pem

from ..net.conftest import Server
from ..openssl_sets import GOOD, HOST, RSA_2048, SETS, Made, Openssl, needs_openssl

IP = "10.48.36.215"
_WARNING = re.compile(r"(?:WARNING|ERROR): .*")


def pem(*made: Made) -> str:
    return "".join(each.pem.read_text() for each in made)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Made], list[Made]]]:
    return {
        name: build(Openssl(tmp_path_factory.mktemp(f"set{number}")))
        for number, (name, build) in enumerate(SETS.items())
    }


def original_lines(chain: list[Made], trusted: list[Made], folder: Path) -> list[str]:
    """Return the log lines for the original certificates with their own keys."""
    (folder / "chain.pem").write_text(pem(*chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(folder / "chain.pem", chain[0].key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    store = [certificate for each in trusted for certificate in parse_pem(each.pem.read_bytes(), "")]
    for server in Server(context).run():
        hosts = {HOST: {"ip": IP, "dial": "127.0.0.1", "ports": {8443: server.port}}}
        with Proxy(hosts=hosts, trust=store) as proxy:
            status(proxy, HOST, 8443)
            return lines(proxy.log)
    raise AssertionError


def status(proxy: Proxy, host: str, port: int) -> int:
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=10)
    connection.request("GET", proxy.url(f"https://{host}:{port}/cucm-uds/version").removeprefix(proxy.base_url))
    code = connection.getresponse().status
    connection.close()
    return code


def lines(log: tuple[str, ...]) -> list[str]:
    return [found[0] for line in log if (found := _WARNING.search(line))]


@needs_openssl
@pytest.mark.parametrize("name", SETS)
async def test_a_login_fails_with_the_line_of_the_originals(
    name: str, sets: dict[str, tuple[list[Made], list[Made]]], tmp_path: Path, pki: Pki
) -> None:
    chain, trusted = sets[name]
    expected = original_lines(chain, trusted, tmp_path)
    customer = tmp_path / "customer"
    (customer / "trust").mkdir(parents=True)
    (customer / f"{HOST}_8443.pem").write_text(pem(*chain))
    for number, each in enumerate(trusted):
        shutil.copy(each.pem, customer / "trust" / f"{number}.pem")
    async with Lab(like=read_like(customer), pki=pki) as lab:
        login = await lab.login()
        found = lines(lab.log)
    assert bool(expected) == (name not in GOOD) == (not login.ok)
    assert found[: len(expected)] == expected  # of the first request
    assert set(found) == set(expected)


@needs_openssl
async def test_a_missing_issuer_can_be_added(
    sets: dict[str, tuple[list[Made], list[Made]]], tmp_path: Path, pki: Pki
) -> None:
    chain, _ = sets["missing intermediate"]
    (tmp_path / f"{HOST}_8443.pem").write_text(pem(*chain))
    like = read_like(tmp_path)
    async with Lab(like=like, pki=pki) as lab:
        assert len(lab.proxy.trusted) == 0
        assert not (await lab.login()).ok
        assert lab.refused(HOST, because="issuer-missing")
        lab.trust(*like.stand_ins)
        assert (await lab.login()).ok


@needs_openssl
def test_several_servers_and_ports(tmp_path: Path, pki: Pki) -> None:
    openssl = Openssl(tmp_path / "made")
    root = openssl.certificate("/CN=Example Root")
    rsa = openssl.leaf(root, key=RSA_2048)
    ec = openssl.leaf(root)
    others = openssl.leaf(root, "DNS:cuc.example.test, IP:192.0.2.7", "cuc.example.test")
    customer = tmp_path / "customer"
    (customer / "trust").mkdir(parents=True)
    shutil.copy(root.pem, customer / "trust")
    files = {
        f"{HOST}_8443_rsa": rsa,
        f"{HOST}_8443_ecdsa": ec,
        f"{HOST}_6972_ecdsa": ec,
        f"{HOST}_7443": rsa,
        f"{HOST}_443": rsa,
        "192.0.2.7_8443": others,
        "cuc.example.test_7080": others,
        "upload_Example_Root_ABCDEF01": root,
    }
    for name, made in files.items():
        (customer / f"{name}.pem").write_text(pem(made))
    like = read_like(customer)
    unknown = next(note for note in like.notes if note.startswith("192.0.2.7 may be CUCM, IM and Presence or Unity "))
    assert like.notes == (
        f"No file is for {HOST}:6971: it presents what 8443 does.",
        unknown,
        "No file is for 192.0.2.7:6972: it presents what 8443 does.",
        "No file is for 192.0.2.7:6971: it presents what 8443 does.",
    )
    with Lab(like=like, pki=pki, allow={"everything": True}) as lab:
        assert list(lab.nodes) == ["cucm", "cucm (other ports)", "192.0.2.7", "cuc.example.test"]
        assert lab.login().ok
        seen = lab.cucm.uds.seen[-1].certificate
        assert seen == "ec"
        for host, port, expected in (
            (HOST, 7443, 404),
            (HOST, 443, 200),  # Tomcat's, as 8443
            ("192.0.2.7", 8443, 200),
            ("cuc.example.test", 7080, 404),
            ("10.48.36.216", 7080, 502),  # its name in DNS, but not in the certificate
        ):
            assert status(lab.proxy, host, port) == expected, (host, port)


@needs_openssl
@pytest.mark.parametrize(
    ("bad", "seen"), [("imp", "signed in without presence"), ("cuc", "signed in without voicemail"), ("", "signed in")]
)
def test_servers_of_im_and_presence_and_unity_connection_have_their_role(
    bad: str, seen: str, tmp_path: Path, pki: Pki
) -> None:
    openssl = Openssl(tmp_path / "made")
    root, unknown = openssl.certificate("/CN=Example Root"), openssl.certificate("/CN=Unknown Root")
    customer = tmp_path / "customer"
    (customer / "trust").mkdir(parents=True)
    shutil.copy(root.pem, customer / "trust")
    for name, port in (("cucm", 6972), ("imp", 8443), ("imp", 5222), ("cuc", 7443)):
        host = f"{name}.example.test"
        made = openssl.leaf(unknown if name == bad else root, f"DNS:{host}", host)
        (customer / f"{host}_{port}.pem").write_text(pem(made))
    like = read_like(customer)
    assert {server.host: server.kind for server in like.servers} == {
        "cucm.example.test": "cucm",
        "imp.example.test": "imp",
        "cuc.example.test": "unity",
    }
    with Lab(like=like, pki=pki) as lab:
        login = lab.login()
        assert login.seen == seen
        assert [step.server for step in login.steps[-2:]] == ["imp.example.test:8443", "cuc.example.test:8443"]
        assert [finding.server for finding in lab.findings] == ([f"{bad}.example.test"] if bad else [])
        assert status(lab.proxy, "imp.example.test", 8443) == 403  # an IM and Presence node has no rules for UDS


@needs_openssl
def test_a_presence_node_without_a_cucm_runs_beside_the_labs_own(tmp_path: Path, pki: Pki) -> None:
    openssl = Openssl(tmp_path / "made")
    for name in ("tomcat", "cup-xmpp"):
        (tmp_path / f"{name}.pem").write_text(pem(openssl.leaf(None, "DNS:p1.example.test", "p1.example.test")))
    like = read_like(tmp_path)
    assert (
        "tomcat is next to certificates of IM and Presence, without CallManager: it is taken as theirs." in like.notes
    )
    with Lab(like=like, pki=pki, scenario="healthy") as lab:
        assert list(lab.nodes) == ["cucm", "cucm-sub", "unity", "p1.example.test"]
        assert len({node.ip for node in lab.nodes.values()}) == 4
        assert lab.login().seen == "signed in without presence"
        assert lab.refused("p1.example.test", because="self-signed", port=8443)


@needs_openssl
def test_servers_without_a_cucm_run_beside_the_labs_own(tmp_path: Path, pki: Pki) -> None:
    made = Openssl(tmp_path / "made").leaf(None)
    (tmp_path / f"{HOST}_443.cer").write_text(pem(made))
    with Lab("X14.0.7", like=read_like(tmp_path), pki=pki, allow={"everything": True}) as lab:
        assert lab.login().ok
        assert status(lab.proxy, HOST, 443) == 404
        assert lab.cucm.fqdn == "cucm.steven.lab"
        assert len(lab.proxy.trusted) == 1


@needs_openssl
def test_names_of_cucms_certificate_list(tmp_path: Path, pki: Pki) -> None:
    openssl = Openssl(tmp_path / "made")
    (tmp_path / "tomcat.pem").write_text(pem(openssl.leaf(None, f"DNS:*.example.test, DNS:{HOST}")))
    (tmp_path / "CallManager-ECDSA.pem").write_text(pem(openssl.leaf(None, "DNS:other.test", "other.test")))
    like = read_like(tmp_path, tmp_path / "tomcat.pem")
    assert like.notes == (f"No file name has a server: the lab's CUCM is {HOST}, the name in its certificate.",)
    with Lab(like=like, pki=pki) as lab:
        assert lab.login().ok
        assert status(lab.proxy, HOST, 6971) == 502


@needs_openssl
def test_a_single_certificate_is_on_every_port(tmp_path: Path, pki: Pki) -> None:
    openssl = Openssl(tmp_path / "made")
    root = openssl.certificate("/CN=Example Root")
    (tmp_path / "root.crt").write_text(pem(root))
    (tmp_path / "server.pem").write_text(pem(openssl.leaf(root)))
    with Lab(like=read_like(tmp_path, tmp_path / "root.crt"), pki=pki) as lab:
        assert lab.login().ok


async def test_what_preflight_saves_of_a_lab_fails_as_the_lab_does(tmp_path: Path, pki: Pki) -> None:
    async with Lab(pki=pki) as lab:
        await lab.login()
        expected = lines(lab.log)
        text = Welcome("a lab", lab, "emusk", "cisco123", "", "-", tmp_path).text()
        (command,) = (line.split()[1:] for line in text.splitlines() if line.strip().startswith("mralab preflight "))
        preflight = await asyncio.create_subprocess_exec(sys.executable, "-m", "mralab", *command, stdout=DEVNULL)
        assert await preflight.wait() == 1
    like = read_like(tmp_path / "saved", tmp_path / "trust.pem")
    assumed = [note for note in like.notes if not note.startswith("No file is for ")]  # ports that preflight omits
    assert assumed == ["imp.steven.lab is taken to be IM and Presence, because of its name."]
    async with Lab(like=like, pki=pki) as lab:
        await lab.login()
        assert lines(lab.log) == expected


@pytest.mark.parametrize(
    ("stem", "address"),
    [
        ("cucm.example.com_8443", ("cucm.example.com", 8443)),
        ("CUCM.example.com_8443_rsa", ("cucm.example.com", 8443)),
        ("cucm.example.com_6972_ecdsa", ("cucm.example.com", 6972)),
        ("192.0.2.7_8443", ("192.0.2.7", 8443)),
        (f"2001-db8--7_{sha256(b'2001:db8::7').hexdigest()[:8]}_8443_rsa", ("2001:db8::7", 8443)),
        (f"my_host_{sha256(b'my_host').hexdigest()[:8]}_443", ("my_host", 443)),
        ("upload_CN_443", None),
        ("cucm.example.com_0", None),
        ("cucm.example.com_70000", None),
        ("a..b_443", None),
        ("tomcat", None),
    ],
)
def test_host_and_port_in_a_file_name(stem: str, address: tuple[str, int] | None) -> None:
    assert address_of(stem) == address


@needs_openssl
def test_files_that_cannot_be_placed_are_reported(tmp_path: Path) -> None:
    openssl = Openssl(tmp_path / "made")
    for name in ("a", "b"):
        (tmp_path / f"{name}.pem").write_text(pem(openssl.leaf(None)))
    with pytest.raises(InputError) as caught:
        read_like(tmp_path)
    assert caught.value.problems[0].endswith("server certificates: a.pem, b.pem")
    assert "HOST_PORT.pem" in caught.value.hint


def test_every_problem_in_the_files_is_reported(tmp_path: Path) -> None:
    (tmp_path / "cucm_8443.pem").write_text("nothing")
    with pytest.raises(InputError) as caught:
        read_like(tmp_path, tmp_path / "none.pem")
    assert [Path(problem.split(": ")[0]).name for problem in caught.value.problems] == ["cucm_8443.pem", "none.pem"]
    with pytest.raises(InputError, match="is not a folder"):
        read_like(tmp_path / "none")
