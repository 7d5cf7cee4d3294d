from collections.abc import AsyncIterator

import pytest

from mralab.mocks.cucm import Cucm
from mralab.mocks.pki import Pki, mint

from .relay import USERS


@pytest.fixture(scope="session")
def pki() -> Pki:
    return mint()


@pytest.fixture
async def cucm(pki: Pki) -> AsyncIterator[Cucm]:
    async with Cucm(pki, USERS) as running:
        yield running
