"""A client of a running proxy's control API, for the commands. It ignores proxy settings of the environment."""

from __future__ import annotations

import http.client
import json
import os
import re
from typing import Any, Final, NamedTuple

from ..config import split_address
from ..core.hostport import authority_of_url
from ..errors import InputError, MralabError

_TIMEOUT: Final = 30.0
_TOKEN_VARIABLE: Final = "MRALAB_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with the running proxy's ``proxy.admin_token``: an option would be in the list of processes."""
_FILE_NAME: Final = re.compile(r'filename="([A-Za-z0-9._-]+)"')


def token_headers() -> dict[str, str]:
    """Return the header with the token of the environment, or none. Raises ``MralabError`` if it cannot be a token."""
    token = os.environ.get(_TOKEN_VARIABLE, "")
    if not re.fullmatch("[!-~]*", token):  # the HTTP clients' own errors show the value
        raise MralabError(
            f"{_TOKEN_VARIABLE}: has a blank, an end of line or another character that proxy.admin_token cannot have",
            "set it to the token alone; a file with Windows line ends leaves a carriage return",
        )
    return {"Authorization": f"Bearer {token}"} if token else {}


class RemoteError(InputError):
    """The running proxy refused a request. ``problems`` and ``hint`` are those of its answer."""


class Attachment(NamedTuple):
    """A file in an answer: its name and its bytes."""

    name: str
    data: bytes


class Admin:
    """A client of the control API at ``HOST:PORT``. Raises ``MralabError`` if that is not an address."""

    def __init__(self, address: str) -> None:
        if (authority := authority_of_url(address)) is not None:
            raise MralabError(f"admin: {address!r} is a URL, not HOST:PORT", f"write {authority or 'HOST:PORT'}")
        try:
            self.host, self.port = split_address(address)
        except ValueError as error:
            raise MralabError(f"admin: {error}", "pass the 'admin' of the line that serve prints") from None
        self._address = address
        self._headers = token_headers()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; return its answer as parsed JSON, or as an ``Attachment``.

        Raises ``RemoteError`` if the proxy refuses it, ``MralabError`` if no control API answers.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT)
        try:
            if body is None:
                connection.request(method, path, headers=self._headers)
            else:
                headers = {"Content-Type": "application/json", **self._headers}
                connection.request(method, path, json.dumps(body), headers)
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
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MralabError(f"{self._address} does not answer as a control API does (status {status})") from error
