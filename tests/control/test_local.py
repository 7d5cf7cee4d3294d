"""Every query has a handler, and a name that is no query is refused."""

from __future__ import annotations

import pytest

from mralab.config import Config
from mralab.control.local import LocalControl
from mralab.control.queries import Query
from mralab.diagnose.event_buffer import Recent
from mralab.errors import MralabError
from mralab.net.traffic_server import TrafficServer


async def test_every_query_has_a_handler() -> None:
    params = {Query.TRANSACTIONS: 1, Query.LOG: 1, Query.LADDER: {"most": 1, "since": None}, Query.WATCH: False}
    async with TrafficServer(Config()) as proxy:
        control = LocalControl(lambda: proxy, lambda: Recent("vcsc", 1))
        for query in Query:
            if query is not Query.PUT:  # its parameter is a whole configuration; tests/control/test_workers.py sends it
                await control.answer(query, params.get(query))


async def test_a_name_that_is_no_query_is_refused() -> None:
    async with TrafficServer(Config()) as proxy:
        with pytest.raises(MralabError, match="explode: unknown query"):
            await LocalControl(lambda: proxy, lambda: Recent("vcsc", 1)).answer("explode", None)
