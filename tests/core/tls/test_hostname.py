"""Traffic Server's name rules: names, and certificates that are good, broken or hostile."""

from __future__ import annotations

import datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.tls import hostname
from mralab.core.tls.hostname import CertificateNames, match_name

SAN = ObjectIdentifier("2.5.29.17")


def names_of(certificate: x509.Certificate) -> CertificateNames:
    return hostname.names_of(certificate.public_bytes(Encoding.DER))


def dns_matches(pattern: str, name: str) -> bool:
    """Return whether a pattern matches; a dNSName and a CN must give the same result."""
    by_dns = match_name(CertificateNames(dns=(pattern,)), name, ip_san_accepted=False)
    by_cn = match_name(CertificateNames(cn=pattern), name, ip_san_accepted=True)
    assert by_dns in (None, f"dNSName {pattern}")
    assert by_cn in (None, f"CN {pattern}")
    assert (by_dns is None) == (by_cn is None)
    return by_dns is not None


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("cucm.steven.lab", "cucm.steven.lab"),
        ("CUCM.Steven.LAB", "cucm.steven.lab"),
        ("10.48.36.215", "10.48.36.215"),
        ("*.steven.lab", "cucm.steven.lab"),
        ("*.STEVEN.lab", "cucm.steven.LAB"),
        ("*.0.9.6", "127.0.9.6"),  # observed
        ("f*.partial.ats.test", "foo.partial.ats.test"),  # observed
        ("f*.partial.ats.test", "f.partial.ats.test"),  # a partial star may match nothing
        ("*o.partial.ats.test", "foo.partial.ats.test"),
        ("*o.partial.ats.test", "o.partial.ats.test"),
        ("*.idn.ats.test", "xn--bcher-kva.idn.ats.test"),  # observed
        ("*.a.bc", "*.a.bc"),
        ("*.a.bc", "x-9.a.bc"),
        ("*.a.b", "xy.a.b"),
        ("*.steven.lab.", "cucm.steven.lab."),
        ("a.*.lab", "a.*.lab"),  # literal
        ("*.test", "*.test"),
    ],
)
def test_matches(pattern: str, name: str) -> None:
    assert dns_matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("cucm.steven.lab.", "cucm.steven.lab"),  # observed: a trailing dot is a mismatch
        ("cucm.steven.lab", "cucm.steven.lab."),
        ("steven.lab", "cucm.steven.lab"),
        (".steven.lab", "cucm.steven.lab"),
        ("*.steven.lab", "steven.lab"),
        ("*.steven.lab", ".steven.lab"),
        ("*.steven.lab", "a.cucm.steven.lab"),
        ("*.steven.lab", "a_b.steven.lab"),  # 8.x; 9.x accepts the underscore
        ("*.steven.lab", "cucm.steven.lab."),
        ("*.test", "wildcardtoplevel.test"),  # observed
        ("*.*.dbl.ats.test", "a.b.dbl.ats.test"),  # observed
        ("**.steven.lab", "cucm.steven.lab"),
        ("*u*.steven.lab", "cucm.steven.lab"),
        ("c*m.steven.lab", "cucm.steven.lab"),
        ("cucm.*.lab", "cucm.steven.lab"),
        ("f*.partial.ats.test", "g.partial.ats.test"),
        ("x*.idn.ats.test", "xn--bcher-kva.idn.ats.test"),
        ("*a.idn.ats.test", "XN--bcher-kva.idn.ats.test"),
        ("*.a.b", "x.a.b"),  # a subject of five characters is too short for wildcards
        ("*", "cucm.steven.lab"),
        ("*.", "cucm.steven.lab"),
        ("*..", "cucm.."),
        ("*.lab.", "steven.lab."),
        ("", "cucm"),
        ("cucm.steven.lab\0.evil.test", "cucm.steven.lab"),
        ("cucm.steven.lab\0", "cucm.steven.lab"),
        ("*\0.steven.lab", "cucm.steven.lab"),
        ("cücm.steven.lab", "cucm.steven.lab"),
        ("*.steven.lab", "cücm.steven.lab"),
        (" cucm.steven.lab", "cucm.steven.lab"),
        ("http://cucm.steven.lab", "cucm.steven.lab"),
        ("cucm.steven.lab", ""),
    ],
)
def test_mismatches(pattern: str, name: str) -> None:
    assert not dns_matches(pattern, name)


label = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True)


@given(label.filter(lambda text: not text.startswith("xn--")), st.integers(0, 12))
def test_a_star_in_the_first_label_stands_for_letters_digits_and_hyphens(first: str, cut: int) -> None:
    name = f"{first}.steven.lab"
    assert dns_matches("*.steven.lab", name)
    assert dns_matches(f"{first[:cut]}*.steven.lab", name)
    assert dns_matches(f"*{first[cut:]}.steven.lab", name)


@given(st.text("ab*.-_", max_size=12), st.text("ab*.-_", max_size=12))
def test_only_a_pattern_with_a_star_in_its_first_label_matches_another_name(pattern: str, name: str) -> None:
    if pattern != name and dns_matches(pattern, name):
        first, _, rest = pattern.partition(".")
        assert first.count("*") == 1
        assert name.partition(".")[2] == rest
        assert "." in rest


def test_the_first_cn_is_compared_even_if_dns_names_are_present() -> None:
    names = CertificateNames(dns=("other.lab",), cn="*.steven.lab")
    assert match_name(names, "cucm.steven.lab", ip_san_accepted=True) == "CN *.steven.lab"
    assert match_name(names, "other.lab", ip_san_accepted=True) == "dNSName other.lab"


@pytest.mark.parametrize(
    ("entry", "name", "accepted"),
    [
        ("10.48.36.215", "10.48.36.215", True),
        ("10.48.36.215", "10.48.36.216", False),
        ("2001:db8::1", "2001:DB8:0::1", True),
        ("::ffff:10.48.36.215", "10.48.36.215", False),
        ("10.48.36.215", "cucm.steven.lab", False),
    ],
)
def test_an_ip_address_entry_counts_only_where_it_is_accepted(entry: str, name: str, accepted: bool) -> None:
    names = CertificateNames(ips=(entry,))
    assert match_name(names, name, ip_san_accepted=False) is None
    assert match_name(names, name, ip_san_accepted=True) == (f"iPAddress {entry}" if accepted else None)


# Whole certificates


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    cns: tuple[str, ...] = ("cucm.steven.lab",),
    san: list[x509.GeneralName] | bytes | None = None,
    extra: tuple[tuple[str, bytes], ...] = (),
) -> x509.Certificate:
    now = datetime.datetime(2026, 1, 1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn) for cn in cns])
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "lab")]),
        public_key=key().public_key(),
        serial_number=1,
        not_valid_before=now,
        not_valid_after=now + datetime.timedelta(days=1),
    )
    if isinstance(san, bytes):
        builder = builder.add_extension(x509.UnrecognizedExtension(SAN, san), critical=False)
    elif san is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=True)
    for oid, value in extra:
        builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(oid), value), critical=False)
    return builder.sign(key(), hashes.SHA256())


def patched(cert: x509.Certificate, old: bytes, new: bytes) -> x509.Certificate:
    """Return the certificate with some bytes replaced by others of the same length; its signature becomes invalid."""
    der = cert.public_bytes(Encoding.DER)
    assert der.count(old) == 1
    assert len(old) == len(new)
    return x509.load_der_x509_certificate(der.replace(old, new))


def entry(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


def san_der(*entries: bytes) -> bytes:
    return entry(0x30, b"".join(entries))


def test_names_of_an_ordinary_certificate() -> None:
    import ipaddress

    san: list[x509.GeneralName] = [
        x509.DNSName("cucm.steven.lab"),
        x509.RFC822Name("a@b"),
        x509.IPAddress(ipaddress.ip_address("10.48.36.215")),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "not this")])),
        x509.OtherName(ObjectIdentifier("1.2.3"), b"\x05\x00"),
        x509.RegisteredID(ObjectIdentifier("1.2.3")),
        x509.UniformResourceIdentifier("http://x"),
        x509.DNSName("*.steven.lab"),
    ]
    found = names_of(certificate(("first", "second"), san, (("2.5.29.99", b"\x05\x00"),)))
    assert found == CertificateNames(
        ("cucm.steven.lab", "*.steven.lab"), ("10.48.36.215", "2001:db8::1"), "first", False
    )


def test_names_of_certificates_that_have_none() -> None:
    assert names_of(certificate(())) == CertificateNames()
    assert names_of(certificate((), san_der())) == CertificateNames()
    assert names_of(certificate((), san_der(entry(0x82, b"")))) == CertificateNames()


def test_a_dns_name_keeps_its_nul_and_never_matches() -> None:
    found = names_of(certificate(("x",), san_der(entry(0x82, b"cucm.steven.lab\0.evil.test"))))
    assert found.dns == ("cucm.steven.lab\0.evil.test",)
    assert match_name(found, "cucm.steven.lab", ip_san_accepted=True) is None


def test_odd_entries_do_not_hide_the_good_ones() -> None:
    found = names_of(
        certificate(
            ("x",),
            san_der(
                entry(0x82, b"c\xfccm.lab"),
                entry(0x87, b"\x0a\x00\x00\x01\xff"),
                entry(0x87, b""),
                entry(0x87, bytes(10) + b"\xff\xff\x0a\x00\x00\x01"),
                entry(0x82, b"cucm.steven.lab"),
            ),
        )
    )
    assert found.dns == ("cücm.lab", "cucm.steven.lab")
    assert len(found.ips) == 1
    assert match_name(found, "10.0.0.1", ip_san_accepted=True) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x30",
        b"\x30\x80\x82\x01a\x00\x00",  # indefinite length
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x89" + bytes(9),
        b"\x04\x03\x82\x01a",
        san_der(b"\x82\x7fcucm.steven.lab"),
        san_der(entry(0x82, b"cucm.steven.lab"), b"\x9f\x22\x00"),
        san_der(entry(0x82, b"cucm.steven.lab"), entry(0x89, b"")),
    ],
)
def test_a_broken_san_is_ignored_and_the_cn_is_compared(value: bytes) -> None:
    found = names_of(certificate(san=value))
    assert found == CertificateNames(cn="cucm.steven.lab")


def test_two_san_extensions_are_ignored() -> None:
    other = "2.5.29.99"
    cert = certificate(("x",), [x509.DNSName("cucm.steven.lab")], ((other, san_der(entry(0x82, b"b.lab"))),))
    twice = patched(cert, bytes.fromhex("0603551d63"), bytes.fromhex("0603551d11"))
    assert names_of(twice) == CertificateNames(cn="x")


def test_another_broken_extension_does_not_hide_the_san() -> None:
    found = names_of(certificate(("x",), [x509.DNSName("cucm.steven.lab")], (("2.5.29.15", b"junk"),)))
    assert found.dns == ("cucm.steven.lab",)


@pytest.mark.parametrize(
    ("tag", "content", "cn"),
    [
        (0x0C, b"cucm", "cucm"),
        (0x13, b"cucm", "cucm"),
        (0x14, b"c\xfccm", "cücm"),  # T61String, as OpenSSL reads it
        (0x1E, b"\0c\0u", "cu"),
        (0x1C, b"\0\0\0c", "c"),
        (0x0C, b"c\xfccm", None),
        (0x0C, b"cu\0m", "cu\0m"),
        (0x04, b"cucm", None),
        (0x1A, b"cucm", None),
    ],
)
def test_the_cn_is_read_in_its_own_encoding(tag: int, content: bytes, cn: str | None) -> None:
    cert = patched(certificate(("!@#$",)), b"\x0c\x04!@#$", entry(tag, content))
    assert names_of(cert) == CertificateNames(cn=cn)


@pytest.mark.parametrize("tag", [0x03, 0x30])
def test_a_cn_that_is_not_a_string_matches_everything_as_in_traffic_server(tag: int) -> None:
    found = names_of(patched(certificate(("!@#$",)), b"\x0c\x04!@#$", bytes((tag, 4)) + b"\5\0\5\0"))
    assert found == CertificateNames(cn_not_a_string=True)
    assert match_name(found, "cucm.steven.lab", ip_san_accepted=False) == "CN that is not a string"


@given(st.binary(max_size=40))
def test_no_san_content_raises(value: bytes) -> None:
    for each in (value, san_der(value)):
        found = names_of(certificate(("cn",), each))
        assert found.cn == "cn"
        match_name(found, "10.0.0.1", ip_san_accepted=True)


SOUND = certificate(("cucm.steven.lab", "b"), [x509.DNSName("a.lab")]).public_bytes(Encoding.DER)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # odd serials
@given(st.data())
def test_no_certificate_that_loads_raises(data: st.DataObject) -> None:
    der = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(4, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        cert = x509.load_der_x509_certificate(bytes(der))
    except (ValueError, x509.InvalidVersion):
        return
    match_name(names_of(cert), "cucm.steven.lab", ip_san_accepted=True)
