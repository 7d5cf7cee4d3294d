"""``upstream.prefer``: which certificate a server with both kinds presents, in TLS 1.2 and 1.3."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from mralab.core.release import signature_algorithms

from .conftest import HOST, RunningProxy, Server

VERSIONS = (["1.2"], ["1.3"], ["1.2", "1.3"], ["1.0", "1.1", "1.2", "1.3"])


def both(ca: trustme.CA, folder: Path, *, names_host: str) -> ssl.SSLContext:
    """Return a server with an RSA and an EC certificate that follows the client; one of them has the requested name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    for kind, key_type in (("rsa", trustme.KeyType.RSA), ("ecdsa", trustme.KeyType.ECDSA)):
        one = ca.issue_cert(HOST if kind == names_host else f"{kind}.steven.lab", key_type=key_type)
        file = folder / f"{kind}.pem"
        file.write_bytes(one.private_key_pem.bytes() + b"".join(blob.bytes() for blob in one.cert_chain_pems))
        context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("versions", VERSIONS, ids="+".join)
@pytest.mark.parametrize("prefer", ["rsa", "ecdsa"])
async def test_the_preferred_certificate_is_presented_in_every_version(
    prefer: str,
    versions: list[str],
    ca: trustme.CA,
    tmp_path: Path,
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
) -> None:
    server = serving(both(ca, tmp_path, names_host=prefer))
    proxy: RunningProxy = await proxying(server, upstream={"prefer": prefer, "tls": versions})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("release", "kind"), [("X14.0.7", "rsa"), ("X14.2", "ecdsa")])
async def test_the_release_decides_by_default(
    release: str,
    kind: str,
    ca: trustme.CA,
    tmp_path: Path,
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
) -> None:
    server = serving(both(ca, tmp_path, names_host=kind))
    proxy: RunningProxy = await proxying(server, release=release, verify={"origin": "on"}, upstream={"tls": ["1.3"]})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 ")


async def test_own_cipher_suites_do_not_choose_in_tls_1_3(
    ca: trustme.CA, tmp_path: Path, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(both(ca, tmp_path, names_host="rsa"))
    settings = {"prefer": "rsa", "tls": ["1.2", "1.3"], "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}
    proxy: RunningProxy = await proxying(server, upstream=settings)
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("kind", [trustme.KeyType.RSA, trustme.KeyType.ECDSA])
@pytest.mark.parametrize("prefer", ["rsa", "ecdsa"])
async def test_a_server_with_one_kind_is_served_whatever_is_preferred(
    prefer: str,
    kind: trustme.KeyType,
    ca: trustme.CA,
    tmp_path: Path,
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST, key_type=kind).configure_cert(context)
    server = serving(context)
    proxy: RunningProxy = await proxying(server, upstream={"prefer": prefer, "tls": ["1.3"]})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 ")


def test_both_orders_offer_the_same() -> None:
    rsa, ecdsa = (signature_algorithms(prefer).split(":") for prefer in ("rsa", "ecdsa"))
    assert sorted(rsa) == sorted(ecdsa)
    assert len(set(rsa)) == len(rsa)
