"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# No deadline: how long an example takes depends on what else the machine does, and a test must not.
settings.register_profile("mralab", deadline=None)
settings.load_profile("mralab")
