"""One TLS connection on OpenSSL: an SSL object between two memory BIOs.

pyOpenSSL makes the contexts and reads certificates. The calls for each connection and each record are in this module,
on the functions that ``cryptography`` binds: without pyOpenSSL's Python code in between, a request of 300 bytes and its
response of 1200 cost 2.3 instead of 6.6 microseconds. No other module uses private names of pyOpenSSL.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

_lib: Final[Any] = Binding.lib
_ffi: Final[Any] = Binding.ffi

_PIECE: Final = 65536  # bytes read at once; a record has at most 16384 bytes of plaintext
_LARGEST_WRITE: Final = 1 << 20  # bytes of plaintext that are encrypted before their ciphertext is read
_CONNECTION: Final = _lib.SSL_get_ex_data_X509_STORE_CTX_idx()
_NULL: Final = _ffi.NULL
_MEMORY: Final = _lib.BIO_s_mem()
_WANT_READ, _ZERO_RETURN = _lib.SSL_ERROR_WANT_READ, _lib.SSL_ERROR_ZERO_RETURN
_read, _write, _bio_read, _bio_write = _lib.SSL_read, _lib.SSL_write, _lib.BIO_read, _lib.BIO_write  # per record
_pending = _lib.BIO_get_mem_data

Inspect = Callable[[bytes, int, int, bool], bool]
"""``inspect(der, error, depth, ok)`` returns whether the handshake continues; ``error`` is OpenSSL's number."""


class TlsError(Exception):
    """TLS failed.

    ``reason`` is OpenSSL's reason text (``certificate verify failed``) or ours, never empty. ``printed`` is the whole
    text of the OpenSSL in use (``error:0A000086:SSL routines::..``), empty if OpenSSL reports no error.
    """

    def __init__(self, reason: str, printed: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.printed = printed


class _Calls:
    """What OpenSSL's calls in one thread need: buffers for their results, and the endpoint that makes them.

    One per thread, because the calls release the GIL.
    """

    __slots__ = ("der", "endpoint", "exception", "memory", "pointer", "text")

    def __init__(self) -> None:
        self.memory = _ffi.new("char[]", _PIECE)
        self.text = _ffi.buffer(self.memory, _PIECE)
        self.pointer = _ffi.new("char *[1]")
        self.der = _ffi.gc(_lib.BIO_new(_MEMORY), _lib.BIO_free)
        self.endpoint: Endpoint | None = None
        self.exception: BaseException | None = None


class _Thread(threading.local):
    def __init__(self) -> None:
        self.calls = _Calls()


_thread: Final = _Thread()


class Endpoint:
    """The client end of one TLS connection: ``put`` takes the server's bytes, ``take`` returns those to send.

    ``name`` is the SNI; empty: no SNI. ``inspect`` is called at each step of OpenSSL's verification, if the context
    verifies (``prepare``). An endpoint must only be used in the thread that made it.
    """

    __slots__ = (
        "_calls",
        "_from_ssl",
        "_into_ssl",
        "_memory",
        "_pointer",
        "_ssl",
        "_text",
        "closed",
        "inspect",
        "on_secret",
        "requested",
    )

    def __init__(self, context: SSL.Context, name: bytes, inspect: Inspect) -> None:
        self._ssl = _ffi.gc(_lib.SSL_new(context._context), _lib.SSL_free)
        self._into_ssl = _lib.BIO_new(_MEMORY)
        self._from_ssl = _lib.BIO_new(_MEMORY)
        _lib.SSL_set_bio(self._ssl, self._into_ssl, self._from_ssl)  # the SSL object frees them
        _lib.SSL_set_connect_state(self._ssl)
        if name:
            _lib.SSL_set_tlsext_host_name(self._ssl, name)
        self.inspect = inspect
        self._calls = calls = _thread.calls
        self._memory, self._text, self._pointer = calls.memory, calls.text, calls.pointer
        self.closed = False
        """The server sent close_notify."""
        self.requested = False
        """The server requested the client's certificate."""

    def log_secrets(self, context: SSL.Context, on_secret: Callable[[bytes], None]) -> None:
        """Call ``on_secret`` with each line of an NSS key log for this connection. ``context`` is its own.

        pyOpenSSL's ``set_keylog_callback`` knows only connections that it has made. The slot stays empty without this:
        an endpoint whose secrets are not logged costs nothing more.
        """
        self.on_secret = on_secret
        _lib.SSL_CTX_set_keylog_callback(context._context, _secret)

    def put(self, data: bytes) -> None:
        """Pass ciphertext from the server to OpenSSL."""
        _bio_write(self._into_ssl, data, len(data))

    def take(self) -> bytes:
        """Return the ciphertext to send, if any."""
        size = _lib.BIO_read(self._from_ssl, self._memory, _PIECE)
        if size < _PIECE:
            return self._text[:size] if size > 0 else b""
        pieces = [self._text[:size]]
        while (size := _lib.BIO_read(self._from_ssl, self._memory, _PIECE)) > 0:
            pieces.append(self._text[:size])
        return b"".join(pieces)

    def handshake(self) -> bool:
        """Continue the handshake. Return whether it is complete. Raises ``TlsError``."""
        self._calls.endpoint = self
        result = _lib.SSL_do_handshake(self._ssl)
        if result > 0:
            return True
        if self._is_closed(result):
            raise TlsError("the server ended TLS during the handshake")
        return False

    def read(self) -> bytes:
        """Return the plaintext of all complete records; empty if none yet, or ``closed``. Raises ``TlsError``."""
        self._calls.endpoint = self
        pieces: list[bytes] = []
        while True:
            size = _read(self._ssl, self._memory, _PIECE)
            if size > 0:
                pieces.append(self._text[:size])
            elif self._is_closed(size):
                break
            if not self.waiting():
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def receive(self, data: bytes) -> bytes:
        """Do ``put`` and ``read`` in one call: most often the data are one whole record. Raises ``TlsError``."""
        self._calls.endpoint = self
        _bio_write(self._into_ssl, data, len(data))
        size = _read(self._ssl, self._memory, _PIECE)
        if size <= 0:
            return b"" if self._is_closed(size) or not self.waiting() else self.read()
        plain: bytes = self._text[:size]
        return plain if _pending(self._into_ssl, self._pointer) <= 0 else plain + self.read()

    def waiting(self) -> bool:
        """Return whether there is ciphertext that OpenSSL has not read; it reads exactly one record at a time."""
        size: int = _pending(self._into_ssl, self._pointer)
        return size > 0

    def send(self, data: bytes) -> bytes:
        """Encrypt plaintext, which must not be empty. Return the ciphertext. Raises ``TlsError``."""
        if len(data) > _LARGEST_WRITE:
            starts = range(0, len(data), _LARGEST_WRITE)
            return b"".join([self.send(data[start : start + _LARGEST_WRITE]) for start in starts])
        self._calls.endpoint = self
        result = _write(self._ssl, data, len(data))
        if result <= 0:
            self._is_closed(result)
            raise TlsError("the server ended TLS, or asks for another handshake, in the middle of a request")
        size = _bio_read(self._from_ssl, self._memory, _PIECE)
        if size < _PIECE:
            sent: bytes = self._text[:size]
            return sent
        return bytes(self._text[:size]) + self.take()

    def shut(self) -> None:
        """Prepare close_notify for ``take``, if it can still be sent."""
        if _lib.SSL_shutdown(self._ssl) < 0:
            _drain()

    def presented(self) -> list[bytes]:
        """Return the certificates that the server sent, in DER, leaf first; empty until it sent them."""
        chain = _lib.SSL_get_peer_cert_chain(self._ssl)
        return [] if chain == _NULL else [_der(_lib.sk_X509_value(chain, at)) for at in range(_lib.sk_X509_num(chain))]

    def acceptable_issuers(self) -> list[str]:
        """Return the CAs that the server named in its certificate request, in the form of RFC 4514."""
        names = _lib.SSL_get_client_CA_list(self._ssl)
        if names == _NULL:
            return []
        return [_name(_lib.sk_X509_NAME_value(names, at)) for at in range(_lib.sk_X509_NAME_num(names))]

    def version(self) -> str:
        """Return the negotiated TLS version, as ``1.2``."""
        version = _text(_lib.SSL_get_version(self._ssl)).removeprefix("TLSv")
        return "1.0" if version == "1" else version

    def leaf(self) -> bytes:
        """Return the server's own certificate in DER, the first of ``presented``; empty until it sent one."""
        chain = _lib.SSL_get_peer_cert_chain(self._ssl)
        return b"" if chain == _NULL or not _lib.sk_X509_num(chain) else _der(_lib.sk_X509_value(chain, 0))

    def free(self) -> None:
        """Free OpenSSL's memory and drop the callback. No other method may be called afterwards."""
        if self._calls.endpoint is self:
            self._calls.endpoint = None
        _ffi.release(self._ssl)
        # Later use raises AttributeError instead of crashing the process.
        del self._ssl, self._into_ssl, self._from_ssl, self.inspect

    def _is_closed(self, result: int) -> bool:
        """Return whether an unsuccessful call means that the server closed TLS cleanly. Raises ``TlsError``."""
        exception = self._calls.exception
        if exception is not None:
            self._calls.exception = None
            _drain()
            raise exception
        error = _lib.SSL_get_error(self._ssl, result)
        if error == _WANT_READ:
            return False
        if error == _ZERO_RETURN:
            self.closed = True
            return True
        raise TlsError(*_drain())


def prepare(context: SSL.Context, *, verify: bool, signatures: str = "") -> None:
    """Make a context ready for ``Endpoint``.

    ``verify``: call the endpoint's ``inspect`` at each step of the verification. ``signatures``: the algorithms to
    offer, in OpenSSL's form; empty: its default.
    """
    # pyOpenSSL's contexts allow a call to write one record only; an endpoint needs all data written.
    _lib.SSL_CTX_clear_mode(context._context, _lib.SSL_MODE_ENABLE_PARTIAL_WRITE)
    mode, callback = (_lib.SSL_VERIFY_PEER, _verify) if verify else (_lib.SSL_VERIFY_NONE, _NULL)
    _lib.SSL_CTX_set_verify(context._context, mode, callback)
    _lib.SSL_CTX_set_cert_cb(context._context, _certificate_requested, _NULL)
    if signatures and _lib.SSL_CTX_set1_sigalgs_list(context._context, signatures.encode("ascii")) != 1:
        raise ValueError(f"OpenSSL cannot offer these signature algorithms: {signatures} ({_drain()[0]})")


def _store_exception(_: object, exception: BaseException | None, __: object) -> None:
    """Store an exception of ``inspect``. OpenSSL gets a refusal; ``_is_closed`` raises the exception."""
    _thread.calls.exception = exception


@_ffi.callback("int(int, X509_STORE_CTX *)", error=0, onerror=_store_exception)  # type: ignore[untyped-decorator]
def _verify(content: int, store: Any) -> int:
    endpoint = _thread.calls.endpoint
    if endpoint is None or endpoint._ssl != _lib.X509_STORE_CTX_get_ex_data(store, _CONNECTION):
        return 0  # impossible: only an endpoint's calls shake hands
    der = _der(_lib.X509_STORE_CTX_get_current_cert(store))
    number, depth = _lib.X509_STORE_CTX_get_error(store), _lib.X509_STORE_CTX_get_error_depth(store)
    if not endpoint.inspect(der, number, depth, bool(content)):
        return 0
    _lib.X509_STORE_CTX_set_error(store, _lib.X509_V_OK)
    return 1


@_ffi.callback("void (*)(const SSL *, const char *)")  # type: ignore[untyped-decorator]
def _secret(ssl: Any, line: Any) -> None:
    """Pass on a line of the key log, for an endpoint that logs its secrets."""
    endpoint = _thread.calls.endpoint
    on_secret = getattr(endpoint, "on_secret", None)
    if on_secret is not None and endpoint is not None and endpoint._ssl == ssl:
        on_secret(_ffi.string(line))


@_ffi.callback("int(SSL *, void *)", error=0)  # type: ignore[untyped-decorator]
def _certificate_requested(ssl: Any, _: Any) -> int:
    """Note a server's CertificateRequest: a client gets this call for no other reason. Continue the handshake."""
    endpoint = _thread.calls.endpoint
    if endpoint is not None and endpoint._ssl == ssl:
        endpoint.requested = True
    return 1


def _name(name: Any) -> str:
    """Return a distinguished name in the form of RFC 4514."""
    parts = []
    for at in range(_lib.X509_NAME_entry_count(name)):
        entry = _lib.X509_NAME_get_entry(name, at)
        kind = _text(_lib.OBJ_nid2sn(_lib.OBJ_obj2nid(_lib.X509_NAME_ENTRY_get_object(entry))))
        utf8 = _ffi.new("unsigned char *[1]")
        size = _lib.ASN1_STRING_to_UTF8(utf8, _lib.X509_NAME_ENTRY_get_data(entry))
        if size < 0:
            _drain()
            value = "?"  # not text in its own encoding
        else:
            value = _ffi.buffer(_ffi.gc(utf8[0], _lib.OPENSSL_free), size)[:].decode("utf-8", "replace")
        parts.append(f"{kind}={_SPECIAL.sub(_escaped, value)}")
    return ",".join(reversed(parts))


_SPECIAL: Final = re.compile(r'[,+"\\<>;\0]|^[ #]| $')


def _escaped(match: re.Match[str]) -> str:
    return "\\00" if match[0] == "\0" else f"\\{match[0]}"


def _der(certificate: Any) -> bytes:
    """Return a certificate's DER."""
    calls = _thread.calls
    _lib.i2d_X509_bio(calls.der, certificate)
    size = _lib.BIO_read(calls.der, calls.memory, _PIECE)
    der: bytes = calls.text[: max(0, size)]
    while size == _PIECE:  # there is more
        size = _lib.BIO_read(calls.der, calls.memory, _PIECE)
        der += calls.text[: max(0, size)]
    return der


def _drain() -> tuple[str, str]:
    """Empty OpenSSL's error queue. Return reason and whole text of its last error.

    SSLNetVConnection.cc prints the last one (``ERR_peek_last_error``): libssl's, after those of libcrypto. The text is
    that of ``ERR_error_string_n``, which ``cryptography`` does not bind.
    """
    last = _lib.ERR_get_error()
    if not last:
        return "no reason given by OpenSSL", ""
    while code := _lib.ERR_get_error():
        last = code
    library, text = _lib.ERR_lib_error_string(last), _lib.ERR_reason_error_string(last)
    reason = _text(text) if text else f"reason({_lib.ERR_GET_REASON(last)})"
    return reason, f"error:{last:08X}:{_text(library) if library else ''}::{reason}"


def _text(string: Any) -> str:
    return _ffi.string(string).decode("utf-8", "replace")  # type: ignore[no-any-return]  # cffi has no types
