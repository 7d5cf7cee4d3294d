"""Speaks to the control API of a running proxy, for the commands. Plain ``http.client``, directly and at once."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any, Final, NamedTuple

from ..config import split_address
from ..errors import InputError, MralabError

_TIMEOUT: Final = 30.0
_FILE_NAME: Final = re.compile(r'filename="([A-Za-z0-9._-]+)"')


class RemoteError(InputError):
    """The running proxy refused what was asked, and its own words why."""


class Attachment(NamedTuple):
    """An answer that is a file."""

    name: str
    data: bytes


class Admin:
    """The control API at ``HOST:PORT``. Raises ``MralabError`` where that is none, or nobody is there."""

    def __init__(self, address: str) -> None:
        try:
            self._host, self._port = split_address(address)
        except ValueError as error:
            raise MralabError(f"admin: {error}", "it is the 'admin' of the line that serve prints") from None
        self._address = address

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request's answer: parsed JSON, or an ``Attachment``. Raises ``RemoteError``, ``MralabError``."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            if body is None:
                connection.request(method, path)
            else:
                connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise MralabError(f"no control API at {self._address}: {reason}", "is the proxy running?") from error
        finally:
            connection.close()
        disposition = _FILE_NAME.search(response.getheader("Content-Disposition", ""))
        if response.status == 200 and disposition:
            return Attachment(disposition[1], data)
        return self._read(response.status, data)

    def _read(self, status: int, data: bytes) -> Any:
        try:
            answer = json.loads(data)
            if status == 200:
                return answer
            error = answer["error"]
            raise RemoteError(error["problems"], error["hint"])
        except (ValueError, KeyError, TypeError) as error:
            raise MralabError(f"{self._address} does not answer as a control API does (status {status})") from error
