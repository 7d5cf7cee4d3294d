"""The product of a customer's server: by its ports, else by its name, else reported as unknown."""

from __future__ import annotations

import pytest

from mralab.core.mra.allowlist import Kind
from mralab.lab.like_kind import product_of


@pytest.mark.parametrize(
    ("host", "ports", "kind", "note"),
    [
        ("node1.example.test", {8443, 6972}, "cucm", ""),
        ("node1.example.test", {6971}, "cucm", ""),
        ("imp1.example.test", {8443, 9443}, "cucm", ""),  # a port counts more than a name
        ("node1.example.test", {8443, 5222}, "imp", ""),
        ("node1.example.test", {8443, 7443}, "unity", ""),
        ("node1.example.test", {7443}, "unity", ""),
        ("node1.example.test", {5222}, None, ""),
        ("node1.example.test", {9444}, None, ""),
        ("node1.example.test", {443}, None, ""),
        ("imp.example.test", {443}, None, ""),
        ("cucm-pub1.example.test", {8443}, "cucm", ""),
        ("imp-sub.example.test", {8443, 443}, "imp", "name"),
        ("lab-cups01.example.test", {8443}, "imp", "name"),
        ("cuc1.example.test", {8443}, "unity", "name"),
        ("node1.example.test", {8443}, "cucm", "may be"),
        ("cucm-imp.example.test", {8443}, "cucm", "may be"),
        ("simple.example.test", {8443}, "cucm", "may be"),
        ("node1.unity.test", {8443}, "cucm", "may be"),
        ("192.0.2.7", {8443}, "cucm", "may be"),
        ("node1.example.test", {8443, 5222, 6972}, "cucm", "may be"),
    ],
)
def test_the_product_of_a_server(host: str, ports: set[int], kind: Kind | None, note: str) -> None:
    product = product_of(host, ports)
    assert product.kind == kind
    assert note in product.note
    assert bool(note) == bool(product.note)
    assert host in product.note or not product.note
