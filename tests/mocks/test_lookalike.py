"""Look-alikes have the same verification faults in the same order as their originals, for chains of all shapes."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from mralab.core.tls.verdict import CertificateFault
from mralab.mocks.lookalike import Lookalikes, mint_lookalikes
from mralab.tls.offline import verify
from mralab.tls.trust_store import TrustStore

from ..openssl_sets import GOOD, HOST, SETS, Made, Openssl, needs_openssl

pytestmark = needs_openssl

Certificates = list[x509.Certificate]
Sets = dict[str, tuple[Certificates, Certificates]]


def loaded(made: list[Made]) -> Certificates:
    return [x509.load_pem_x509_certificate(each.pem.read_bytes()) for each in made]


def faults(chain: Certificates, trusted: Certificates, name: str = HOST) -> list[CertificateFault]:
    ders = [each.public_bytes(Encoding.DER) for each in chain]
    return verify(ders, name, TrustStore(trusted), ip_san=True).faults


def copied(chain: Certificates, copies: Lookalikes) -> Certificates:
    presented = copies.presented(chain)
    assert presented.cert.public_key() == presented.key.public_key()
    return [presented.cert, *presented.chain]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    made = {}
    for number, (name, build) in enumerate(SETS.items()):
        chain, trusted = build(Openssl(tmp_path_factory.mktemp(f"set{number}")))
        made[name] = loaded(chain), loaded(trusted)
    return made


@pytest.mark.parametrize("name", SETS)
def test_a_lookalike_has_the_faults_of_its_original(name: str, sets: Sets) -> None:
    chain, trusted = sets[name]
    copies = mint_lookalikes([chain], trusted)
    expected = faults(chain, trusted)
    assert bool(expected) == (name not in GOOD)
    assert faults(copied(chain, copies), list(copies.trusted(trusted))) == expected


@pytest.mark.parametrize("name", SETS)
def test_everything_but_the_keys_is_the_same(name: str, sets: Sets) -> None:
    chain, trusted = sets[name]
    copies = mint_lookalikes([chain], trusted)
    for original in chain:
        copy = copies.certificates[original]
        assert copy.subject.public_bytes() == original.subject.public_bytes()
        assert copy.issuer.public_bytes() == original.issuer.public_bytes()
        assert copy.not_valid_before_utc == original.not_valid_before_utc
        assert copy.not_valid_after_utc == original.not_valid_after_utc
        assert copy.signature_algorithm_oid == original.signature_algorithm_oid
        assert copy.serial_number.bit_length() == original.serial_number.bit_length()
        assert copy.public_key() != original.public_key()
        assert kind(copy) == kind(original)
        assert len(copy.extensions) == len(original.extensions)
        for one, other in zip(copy.extensions, original.extensions, strict=True):
            assert (one.oid, one.critical) == (other.oid, other.critical)
            if not isinstance(one.value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier):
                assert one.value.public_bytes() == other.value.public_bytes()


def kind(certificate: x509.Certificate) -> object:
    match certificate.public_key():
        case rsa.RSAPublicKey() as key:
            return key.key_size, key.public_numbers().e
        case ec.EllipticCurvePublicKey() as key:
            return key.curve.name
        case key:
            return type(key)


def test_the_stand_in_of_a_missing_issuer_repairs_the_chain_once_it_is_trusted(sets: Sets) -> None:
    chain, trusted = sets["missing intermediate"]
    copies = mint_lookalikes([chain], trusted)
    (stand_in,) = copies.stand_ins
    assert stand_in.subject == chain[0].issuer
    assert copies.differences == (
        f"{HOST}: its issuer Example Issuing was not given, so a stand-in has signed the copy.",
    )
    assert faults(copied(chain, copies), [stand_in]) == []


def test_an_original_does_not_verify_the_copies_that_it_would_have_issued(sets: Sets) -> None:
    chain, trusted = sets["cross-signed"]
    copies = mint_lookalikes([chain], trusted)
    assert faults(copied(chain, copies), trusted) != []


def test_certificates_of_several_servers_share_their_issuers_copy(sets: Sets) -> None:
    chain, trusted = sets["expired CA"]
    other = [*reversed(chain)]
    copies = mint_lookalikes([chain, other], trusted)
    assert copies.presented(chain).chain[0] == copies.presented(other).cert
    assert copies.presented(chain).cert == copies.presented(other).chain[0]


def test_a_key_that_is_too_small_to_be_made_is_reported(tmp_path_factory: pytest.TempPathFactory) -> None:
    openssl = Openssl(tmp_path_factory.mktemp("small"))
    small = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:768")
    chain = loaded([openssl.leaf(None, key=small)])
    copies = mint_lookalikes([chain])
    assert copies.differences == (
        f"{HOST}: the copy has 1024 bits, not 768: shorter RSA keys cannot be generated here.",
    )
    assert kind(copies.presented(chain).cert) == (1024, 65537)


def test_a_servers_key_that_mocks_cannot_present_is_reported(tmp_path_factory: pytest.TempPathFactory) -> None:
    openssl = Openssl(tmp_path_factory.mktemp("ed25519"))
    chain = loaded([openssl.leaf(None, key=("-algorithm", "ED25519"), options=("-md", "null"))])
    copies = mint_lookalikes([chain])
    key, signed = copies.differences
    assert key == f"{HOST}: the copy has an EC P-256 key: the mocks present RSA and EC, not Ed25519."
    assert signed.startswith(f"{HOST}: the copy is signed with SHA-256: its own signature algorithm")
    assert faults(copied(chain, copies), []) == faults(chain, [])


@pytest.mark.parametrize(
    "key",
    [
        ("-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
        ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"),
    ],
)
def test_a_public_key_of_another_encoding_is_reported(
    key: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    chain = loaded([Openssl(tmp_path_factory.mktemp("encoding")).leaf(None, key=key)])
    copies = mint_lookalikes([chain])
    assert copies.differences == (
        f"{HOST}: the copy's public key is encoded as a named curve or as rsaEncryption, unlike its own.",
    )
    assert faults(copied(chain, copies), []) == faults(chain, [])


def test_timestamps_of_certificate_transparency_are_reported(tmp_path_factory: pytest.TempPathFactory) -> None:
    openssl = Openssl(tmp_path_factory.mktemp("sct"))
    extensions = f"subjectAltName = DNS:{HOST}\n1.3.6.1.4.1.11129.2.4.2 = DER:0402ABCD\ntlsfeature = status_request\n"
    copies = mint_lookalikes([loaded([openssl.leaf(None, extensions=extensions)])])
    assert copies.differences == (
        f"{HOST}: its signed certificate timestamps (SCT) are copied, but not valid for the copy.",
        f"{HOST}: it demands a stapled OCSP response, which no mock sends.",
    )


def test_a_stand_in_is_the_issuer_that_name_and_serial_number_refer_to(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    openssl = Openssl(tmp_path_factory.mktemp("serial"))
    root = openssl.certificate("/CN=Example Root", extensions="basicConstraints = critical, CA:TRUE\n")
    extensions = f"authorityKeyIdentifier = issuer:always\nsubjectAltName = DNS:{HOST}\n"
    chain = loaded([openssl.leaf(root, extensions=extensions)])
    copies = mint_lookalikes([chain])
    assert faults(copied(chain, copies), list(copies.stand_ins)) == []


def test_a_certificate_that_no_chain_leads_to_is_kept(sets: Sets) -> None:
    chain, trusted = sets["expired"]
    (other,) = sets["wildcard"][1]
    copies = mint_lookalikes([chain], [*trusted, other])
    assert copies.trusted([other]) != (other,)  # it has the same name as the chain's root
    copies = mint_lookalikes([sets["EC, self-signed"][0]], [other])
    assert copies.trusted([other]) == (other,)
