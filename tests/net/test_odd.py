"""Malformed certificates: the verdict is OpenSSL's, and none causes an error in the proxy itself.

tests/oracle compares more of them with a real Traffic Server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest

from mralab.core.log.events import NameMismatch, VerifyFailed

from ..oracle.pki import Minted, altered, mint, printable_subject, rsa_key, serial, validity, version
from .conftest import HOST, RunningProxy, Server
from .scenarios import context_of

BEFORE = "format error in certificate's notBefore field"
AFTER = "format error in certificate's notAfter field"
WEAK = "CA signature digest algorithm too weak"
NAME = "name"
BAD, EXPIRED, UNKNOWN = "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_EXPIRED", "TLSV1_ALERT_UNKNOWN_CA"


class Case(NamedTuple):
    """``faults`` as logged in mode ``audit``; mode ``on`` logs the first only and sends ``alert``."""

    make: Callable[[Minted], Minted | tuple[Minted, ...]]
    faults: tuple[str, ...] = ()
    alert: str = ""


def _odd(change: Any, root: Minted, *, cn: str = "x", dns: tuple[str, ...] = (HOST,), **options: Any) -> Minted:
    return altered(mint(cn, issuer=root, dns=dns, **options), root, change)


def _md5(root: Minted, *, dns: tuple[str, ...] = (HOST,), **options: Any) -> Minted:
    return altered(mint("x", issuer=root, dns=dns, **options), root, lambda _: None, md5=True)


def _md5_of_nobody(_: Minted) -> Minted:
    return _md5(mint("Nobody", ca=True, key=rsa_key(2048)))


def _md5_of_an_expired_intermediate(root: Minted) -> tuple[Minted, ...]:
    old = mint("Old", issuer=root, ca=True, key=rsa_key(2048), days=(-10, -2))
    return _md5(old), old


def _bit_string(fields: list[tuple[int, bytes]]) -> None:
    fields[5] = (0x30, fields[5][1].replace(b"\x0c\x03odd", b"\x03\x03\x00dd"))


CASES = {
    "a star in a PrintableString": Case(partial(_odd, printable_subject, cn="*.steven.lab", dns=())),
    "another name in a PrintableString": Case(
        partial(_odd, printable_subject, cn="*.other.lab", dns=()), (NAME,), "TLSV1_ALERT_INTERNAL_ERROR"
    ),
    "a CN that is a BIT STRING matches all": Case(partial(_odd, _bit_string, cn="odd", dns=())),
    "dates with an offset": Case(
        partial(_odd, validity(b"200101000000+0100", b"490101000000+0100")), (BEFORE, AFTER), BAD
    ),
    "a date that is none": Case(partial(_odd, validity(b"xx0101000000Z", b"490101000000Z")), (BEFORE,), BAD),
    "an end that is none": Case(partial(_odd, validity(b"200101000000Z", b"xx0101000000Z")), (AFTER,), BAD),
    "a date that is none, and another name": Case(
        partial(_odd, validity(b"xx0101000000Z", b"490101000000Z"), dns=("no.lab",)), (BEFORE, NAME), BAD
    ),
    "version 1": Case(partial(_odd, version(1), cn=HOST, dns=())),
    "version 4": Case(partial(_odd, version(4), cn=HOST, dns=())),
    "a negative serial number": Case(partial(_odd, serial(b"\x80"))),
    "MD5": Case(_md5, (WEAK,), BAD),
    "MD5 and another name": Case(partial(_md5, dns=("no.lab",)), (WEAK, NAME), BAD),
    "MD5 and expired": Case(partial(_md5, days=(-10, -2)), (WEAK, "certificate has expired"), BAD),
    "MD5 of an expired intermediate": Case(_md5_of_an_expired_intermediate, (WEAK, "certificate has expired"), BAD),
    # the leaf is the whole chain, and the signature of the last certificate is not checked
    "MD5 of an unknown CA": Case(
        _md5_of_nobody, ("unable to get local issuer certificate", "unable to verify the first certificate"), UNKNOWN
    ),
}


@pytest.fixture(scope="module")
def root() -> Minted:
    return mint("Root", ca=True, key=rsa_key(2048))


@pytest.mark.parametrize("mode", ["on", "audit"])
@pytest.mark.parametrize("name", CASES)
async def test_an_odd_certificate_is_judged_as_openssl_judges_it(
    serving: Callable[..., Server], proxying: Callable[..., Any], root: Minted, name: str, mode: str
) -> None:
    case = CASES[name]
    made = case.make(root)
    server = serving(context_of(made if isinstance(made, tuple) else (made,), None))
    proxy: RunningProxy = await proxying(server, trust=root.pem, verify={"origin": mode}, upstream={"attempts": 1})
    answer = await proxy.get(server.port)
    assert await asyncio.to_thread(server.ended.acquire, timeout=5)
    events = await proxy.events()
    found = [
        event.error if isinstance(event, VerifyFailed) else NAME
        for event in events
        if isinstance(event, VerifyFailed | NameMismatch)
    ]
    refused = mode == "on" and bool(case.faults)
    assert found == list(case.faults[: 1 if mode == "on" else None])
    assert answer.split(b" ")[1] == (b"502" if refused else b"200")
    assert server.alerts == ([case.alert] if refused else [])
