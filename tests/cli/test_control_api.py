"""Commands for a running proxy if there is none: the error says what to do."""

from __future__ import annotations

import pytest

from tests.serving import Serving

from .command import mralab


@pytest.mark.parametrize(
    ("admin", "message"),
    [
        ("", "no running proxy given: pass --admin HOST:PORT or set MRALAB_ADMIN"),
        ("127.0.0.1:1", "no control API at 127.0.0.1:1: Connection refused"),
        ("cucm", "admin: 'cucm' is not 'host:port'"),
        ("http://127.0.0.1:1/", "admin: 'http://127.0.0.1:1/' is a URL, not HOST:PORT\n  hint: write 127.0.0.1:1"),
    ],
)
def test_the_error_without_a_control_api_says_why(admin: str, message: str) -> None:
    result = mralab("trust", "list", admin=admin)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_another_server_is_not_taken_for_a_control_api(running: Serving) -> None:
    result = mralab("trust", "list", admin=f"127.0.0.1:{running.port}")
    assert result.returncode == 2
    assert "does not answer as a control API does (status 404)" in result.stderr
