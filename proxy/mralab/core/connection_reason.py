"""Why a connection failed, as text for users: without the address that asyncio puts into the text of an exception."""

from __future__ import annotations

import os
from socket import gaierror


def connection_reason(error: OSError) -> str:
    """Return the text of the error's errno; of one that has none, or is the resolver's, the exception's own text.

    The numbers of ``gaierror`` are getaddrinfo's: ``os.strerror`` does not know them, or takes them for others.
    """
    if not error.errno or isinstance(error, gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)
