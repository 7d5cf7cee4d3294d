"""New private keys of the same kind as given public keys, and signatures of the same kind as given signatures.

Every kind that ``cryptography`` can make is made. A key or signature that it cannot make is replaced by the nearest
that it can, with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

AnyKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | dsa.DSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)

_LEAST_RSA: Final = 1024
"""Bits of the smallest RSA key that ``cryptography`` generates."""
_EXPONENTS: Final = (3, 65537)  # those that rsa.generate_private_key accepts
_CURVES: Final = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
# Contents of AlgorithmIdentifiers: RFC 4055 section 5, RFC 5758 sections 3.1 and 3.2, RFC 8410 section 3.
_RSA_SHA256: Final = bytes.fromhex("06092a864886f70d01010b0500")
_DSA_SHA256: Final = bytes.fromhex("0609608648016503040302")
_ECDSA_SHA256: Final = bytes.fromhex("06082a8648ce3d040302")
_ED25519: Final = bytes.fromhex("06032b6570")
_ED448: Final = bytes.fromhex("06032b6571")


_MD5_WITH_RSA: Final = x509.SignatureAlgorithmOID.RSA_WITH_MD5
"""Old CAs signed with it. ``cryptography`` knows its digest, but not its padding."""


class NewKey(NamedTuple):
    """A new key. ``difference`` says how its kind differs from the original's; empty if it does not."""

    key: AnyKey
    difference: str = ""


class Signer(NamedTuple):
    """How to sign: the content of the AlgorithmIdentifier, and the function. ``difference`` is as in ``NewKey``."""

    algorithm: bytes
    sign: Callable[[bytes], bytes]
    difference: str = ""


def new_key(certificate: x509.Certificate, *, for_server: bool) -> NewKey:
    """Return a new key like that of ``certificate``. The key of a TLS server is always RSA or EC."""
    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        kind = certificate.public_key_algorithm_oid.dotted_string
        return _other(f"has an EC P-256 key: its own kind ({kind}) cannot be generated here")
    if for_server and not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return _other(f"has an EC P-256 key: the mocks present RSA and EC, not {_kind(public)}")
    match public:
        case rsa.RSAPublicKey():
            return _new_rsa(public)
        case ec.EllipticCurvePublicKey():
            try:
                return NewKey(ec.generate_private_key(public.curve))
            except UnsupportedAlgorithm:
                return _other(f"has an EC P-256 key: the curve {public.curve.name} cannot be generated here")
        case dsa.DSAPublicKey():
            return NewKey(public.parameters().generate_private_key())
        case ed25519.Ed25519PublicKey():
            return NewKey(ed25519.Ed25519PrivateKey.generate())
        case ed448.Ed448PublicKey():
            return NewKey(ed448.Ed448PrivateKey.generate())
    return _other(f"has an EC P-256 key: its own kind ({_kind(public)}) cannot sign")


def key_of_signer(certificate: x509.Certificate) -> AnyKey:
    """Return a new key that can have signed ``certificate``, of the size that the signature's length shows."""
    size = len(certificate.signature)
    match _parameters(certificate):
        case ec.ECDSA():  # a SEQUENCE of two integers, each up to the size of the curve
            curve = next((curve for curve in _CURVES if size <= 2 * ((curve.key_size + 7) // 8 + 3) + 3), _CURVES[-1])
            return ec.generate_private_key(curve)
        case padding.PKCS1v15() | padding.PSS():
            return rsa.generate_private_key(65537, max(_LEAST_RSA, size * 8))
    match certificate.signature_algorithm_oid:
        case x509.SignatureAlgorithmOID.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case x509.SignatureAlgorithmOID.ED448:
            return ed448.Ed448PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool | None:
    """Return whether ``issuer`` has signed ``certificate``; None if ``cryptography`` cannot verify the signature."""
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    parameters, digest = _parameters(certificate), _digest(certificate)
    try:
        public = issuer.public_key()
        match public, parameters:
            case rsa.RSAPublicKey(), padding.PKCS1v15() | padding.PSS() if digest is not None:
                public.verify(signature, signed, parameters, digest)
            case ec.EllipticCurvePublicKey(), ec.ECDSA():
                public.verify(signature, signed, parameters)
            case dsa.DSAPublicKey(), None if digest is not None:
                public.verify(signature, signed, digest)
            case ((ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey()), None) if digest is None:
                public.verify(signature, signed)
            case _:
                return None if parameters is None else False  # None: an algorithm that cryptography does not know
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError):
        return None
    return True


def signer(key: AnyKey, original: x509.Certificate, algorithm: bytes) -> Signer:
    """Return how ``key`` signs as ``original`` is signed, whose AlgorithmIdentifier has the content ``algorithm``."""
    parameters, digest = _parameters(original), _digest(original)

    def sign(data: bytes) -> bytes:
        match key, parameters:
            case rsa.RSAPrivateKey(), padding.PKCS1v15() | padding.PSS() if digest is not None:
                return key.sign(data, parameters, digest)
            case ec.EllipticCurvePrivateKey(), ec.ECDSA():
                return key.sign(data, parameters)
            case dsa.DSAPrivateKey(), None if digest is not None:
                return key.sign(data, digest)
            case ((ed25519.Ed25519PrivateKey() | ed448.Ed448PrivateKey()), None) if digest is None:
                return key.sign(data)
        raise ValueError("the key is of another kind than the signature")

    try:
        sign(b"")
    except (UnsupportedAlgorithm, ValueError):  # such as MD2, or a digest that is too long for the key
        return _sha256_signer(key, original)
    return Signer(algorithm, sign)


def _sha256_signer(key: AnyKey, original: x509.Certificate) -> Signer:
    oid = original.signature_algorithm_oid
    difference = f"is signed with SHA-256: its own signature algorithm ({oid.dotted_string}) is not possible here"
    match key:
        case rsa.RSAPrivateKey():
            return Signer(_RSA_SHA256, lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()), difference)
        case ec.EllipticCurvePrivateKey():
            return Signer(_ECDSA_SHA256, lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())), difference)
        case dsa.DSAPrivateKey():
            return Signer(_DSA_SHA256, lambda data: key.sign(data, hashes.SHA256()), difference)
        case ed25519.Ed25519PrivateKey():
            return Signer(_ED25519, key.sign, difference)
        case ed448.Ed448PrivateKey():
            return Signer(_ED448, key.sign, difference)


def _new_rsa(public: rsa.RSAPublicKey) -> NewKey:
    bits, exponent = public.key_size, public.public_numbers().e
    differences = []
    if bits < _LEAST_RSA:
        differences.append(f"has {_LEAST_RSA} bits, not {bits}: shorter RSA keys cannot be generated here")
    if exponent not in _EXPONENTS:
        differences.append("has the public exponent 65537: its own cannot be generated here")
    key = rsa.generate_private_key(exponent if exponent in _EXPONENTS else 65537, max(bits, _LEAST_RSA))
    return NewKey(key, " and ".join(differences))


def _other(difference: str) -> NewKey:
    return NewKey(ec.generate_private_key(ec.SECP256R1()), difference)


def _kind(public: object) -> str:
    return type(public).__name__.lstrip("_").removesuffix("PublicKey")


def _parameters(certificate: x509.Certificate) -> padding.PKCS1v15 | padding.PSS | ec.ECDSA | None:
    if certificate.signature_algorithm_oid == _MD5_WITH_RSA:
        return padding.PKCS1v15()
    try:
        return certificate.signature_algorithm_parameters
    except (UnsupportedAlgorithm, ValueError):
        return None


def _digest(certificate: x509.Certificate) -> hashes.HashAlgorithm | None:
    try:
        return certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return None
