"""Settings for all tests."""

from __future__ import annotations

from hypothesis import settings

# No deadline: how long an example takes depends on the machine's other work, and a test must not fail because of it.
settings.register_profile("mralab", deadline=None)
settings.load_profile("mralab")
