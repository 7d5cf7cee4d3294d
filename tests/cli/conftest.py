"""A running proxy for the commands that use its control API. It does not trust the server behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trustme

from tests.net.conftest import HOST, Server, server_context
from tests.serving import Serving, config_for, serving


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(ca: trustme.CA) -> Iterator[Server]:
    yield from Server(server_context(ca.issue_cert(HOST))).run()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("serve")
    with serving(folder, config_for(server, trustme.CA(), folder)) as one:
        yield one
