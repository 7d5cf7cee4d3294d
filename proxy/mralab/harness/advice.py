"""Remedies in a test: what to change in the test about a finding, before what to do about it on an Expressway. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from ..core.log.escape import escape
from ..diagnose.findings import Finding, Remedy

CODE: Final = "in-this-test"
"""The code of these remedies."""
_UNREACHED: Final = frozenset(("check-network", "check-port", "check-dns"))
_REISSUE: Final = "reissue"


def advised(finding: Finding, proxy: str) -> Finding:
    """Return ``finding`` with the remedy for a test, if there is one, first. ``proxy`` is its name in the test."""
    text = _advice(finding, proxy)
    if not text:
        return finding
    return replace(finding, remedies=(Remedy(CODE, text, "this test"), *finding.remedies))


def _advice(finding: Finding, proxy: str) -> str:
    """Return what to change in the test, as a sentence; empty if only the request or the mock itself can be changed."""
    codes = [remedy.code for remedy in finding.remedies]
    server = escape(finding.server)
    add_host = f"{proxy}.add_host({json.dumps(server)}, (address, port))"
    if not server:
        return ""
    if "add-host" in codes:
        return f"In this test: {add_host}, with the address of your mock."
    if finding.code == "self-signed":
        return f"In this test: {proxy}.trust(certificate), with the certificate of {server} itself."
    if "trust-certificate" in codes:
        return f"In this test: {proxy}.trust(ca), with the CA that signed the certificate of {server}."
    if _REISSUE in codes:
        return (
            f"In this test: give your mock a certificate for {server}, such as ca.issue_cert({json.dumps(server)}) of a"
            " trustme CA."
        )
    if _UNREACHED & set(codes):
        dialled = f"{escape(finding.dial)} was dialled; start your mock there, or " if finding.dial else ""
        return f"In this test: {dialled}{add_host} with its address."
    return ""
