"""The fixtures of the mocks' tests."""

from tests.mocks.conftest import cucm, pki

__all__ = ["cucm", "pki"]
