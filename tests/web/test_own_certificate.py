"""``upstream.certificate`` in the control API: applied, refused, kept, and never shown."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.net.conftest import HOST, Server, server_context

from .conftest import Administered


@pytest.fixture
def server(ca: trustme.CA) -> Iterator[Server]:
    """A server that requires a client certificate."""
    context = server_context(ca.issue_cert(HOST))
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    yield from Server(context).run()


@pytest.fixture
def own(ca: trustme.CA, tmp_path: Path) -> tuple[Path, trustme.LeafCert]:
    certificate = ca.issue_cert("vcsc.steven.lab")
    file = tmp_path / "vcsc.pem"
    file.write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
    return file, certificate


async def test_it_is_presented_from_the_next_request_on(
    admin: Administered, own: tuple[Path, trustme.LeafCert], pem: str
) -> None:
    file, certificate = own
    await admin.ask("POST", "/api/trust", {"pem": pem})
    assert await admin.status() == 502
    status, config = await admin.ask("PATCH", "/api/config", {"upstream": {"certificate": file.name}})
    assert (status, config["upstream"]["certificate"]) == (200, "vcsc.pem")
    assert await admin.status() == 200

    file.unlink()  # other changes do not read it again
    assert (await admin.ask("PATCH", "/api/config", {"verify": {"ip_san": "ignore"}}))[0] == 200
    assert await admin.status() == 200
    status, answer = await admin.ask("PATCH", "/api/config", {"upstream": {"certificate": file.name}})
    assert (status, answer["error"]["code"]) == (409, "unusable")
    assert await admin.status() == 200

    secret = [line for line in certificate.private_key_pem.bytes().decode().splitlines() if "-----" not in line]
    for path in ("/api/config", "/api/log", "/api/findings", "/api/transactions", "/api/health"):
        text = str(await admin.ask("GET", path))
        assert not [line for line in secret if line in text]

    await admin.ask("PATCH", "/api/config", {"upstream": {"certificate": ""}})
    assert await admin.status() == 502


@pytest.mark.parametrize(
    ("change", "status", "code", "problems"),
    [
        (
            {"certificate": "none.pem", "ciphers": "NIX"},
            409,
            "unusable",
            ["upstream.certificate: ", "upstream.ciphers: "],
        ),
        ({"key": "vcsc.pem"}, 409, "unusable", ["upstream.key: "]),
        ({"certificate": "-----BEGIN PRIVATE KEY-----\nSECRET"}, 400, "invalid", ["upstream.certificate: must be"]),
        ({"certificate": 7}, 400, "invalid", ["upstream.certificate: must be"]),
        ({"certificate": "/dev/null"}, 409, "unusable", ["upstream.certificate: /dev/null is not a file"]),
    ],
)
async def test_an_unusable_certificate_changes_nothing(
    admin: Administered, change: dict[str, Any], status: int, code: str, problems: list[str]
) -> None:
    before = await admin.ask("GET", "/api/config")
    got, answer = await admin.ask("PATCH", "/api/config", {"upstream": change})
    assert (got, answer["error"]["code"]) == (status, code)
    assert len(answer["error"]["problems"]) == len(problems)
    for problem, expected in zip(answer["error"]["problems"], problems, strict=True):
        assert problem.startswith(expected)
    assert "SECRET" not in str(answer)
    assert await admin.ask("GET", "/api/config") == before
