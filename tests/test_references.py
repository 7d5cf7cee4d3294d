"""Documents that are generated from the code are as the code is."""

from __future__ import annotations

import re

from mralab.diagnose.rules import CODES
from tests import commands_reference, findings_reference


def test_the_reference_of_findings_is_current_and_whole() -> None:
    text = findings_reference.document()
    assert set(re.findall("^### (.*)$", text, re.MULTILINE)) == set(CODES)
    assert "{" not in text
    assert findings_reference.FILE.read_text("utf-8") == text, "python -m tests.findings_reference"


def test_the_reference_of_commands_is_current() -> None:
    text = commands_reference.document()
    assert "## mralab trust add FILE...\n" in text
    assert commands_reference.FILE.read_text("utf-8") == text, "python -m tests.commands_reference"
