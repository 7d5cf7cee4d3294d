"""Keys and digests at security level 1 of OpenSSL 1.1.1: RSA-1024 and SHA-1 are accepted, MD5 and RSA-512 are not."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mralab.core.log.events import VerifyFailed

from .conftest import HOST, RunningProxy, Server

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates as weak as these need openssl")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def _mint(folder: Path, bits: str, digest: str) -> tuple[bytes, ssl.SSLContext]:
    """Mint a root with RSA-2048 and SHA-256, and a leaf of the given strength below it."""
    (folder / "ext").write_text(f"subjectAltName=DNS:{HOST}\n")
    new = ["req", "-newkey", "rsa:2048", "-nodes", "-x509", "-sha256", "-days", "9", "-subj", "/CN=Weak root"]
    _openssl(folder, *new, "-keyout", "root.key", "-out", "root.pem")
    _openssl(
        folder, "req", "-newkey", f"rsa:{bits}", "-nodes", "-sha1", "-subj", "/CN=x", "-keyout", "k", "-out", "csr"
    )
    sign = ["x509", "-req", "-in", "csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "9"]
    _openssl(folder, *sign, f"-{digest}", "-extfile", "ext", "-out", "leaf.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(folder / "leaf.pem", folder / "k")
    return (folder / "root.pem").read_bytes(), context


@pytest.mark.parametrize(
    ("bits", "digest", "fault"),
    [
        ("1024", "sha256", ""),
        ("2048", "sha1", ""),
        ("2048", "md5", "CA signature digest algorithm too weak"),
        ("768", "sha256", "EE certificate key too weak"),
    ],
)
@pytest.mark.parametrize("mode", ["on", "audit"])
async def test_weakness_is_judged_as_openssl_1_1_1_does(
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
    tmp_path: Path,
    bits: str,
    digest: str,
    fault: str,
    mode: str,
) -> None:
    trust, context = await asyncio.to_thread(_mint, tmp_path, bits, digest)
    server = serving(context)
    proxy: RunningProxy = await proxying(server, trust=trust, verify={"origin": mode}, upstream={"attempts": 1})
    answer = await proxy.get(server.port)
    assert await asyncio.to_thread(server.ended.acquire, timeout=5)
    refused = bool(fault) and mode == "on"
    assert answer.split()[1] == (b"502" if refused else b"200")
    found = [(event.error, event.depth) for event in await proxy.events() if isinstance(event, VerifyFailed)]
    assert found == ([(fault, 0)] if fault else [])
    assert server.alerts == (["SSLV3_ALERT_BAD_CERTIFICATE"] if refused else [])
