"""The fixtures of the mocks' tests."""

from tests.mocks.conftest import pki

__all__ = ["pki"]
