"""Generated documents are up to date."""

from __future__ import annotations

import re

from mralab.diagnose.rules import CODES
from mralab.web.operations import OPERATIONS
from tests import commands_reference, control_api_reference, findings_reference


def test_the_reference_of_findings_is_current_and_complete() -> None:
    text = findings_reference.document()
    assert set(re.findall("^### (.*)$", text, re.MULTILINE)) == set(CODES)
    assert "{" not in text
    assert findings_reference.FILE.read_text("utf-8") == text, "python -m tests.findings_reference"


def test_the_reference_of_commands_is_current() -> None:
    text = commands_reference.document()
    assert "## mralab trust add FILE...\n" in text
    assert commands_reference.FILE.read_text("utf-8") == text, "python -m tests.commands_reference"


def test_the_reference_of_the_control_api_is_current_and_has_every_route() -> None:
    text = control_api_reference.document()
    routes = [f"{operation.method} {operation.path}" for operation in OPERATIONS]
    assert sorted(re.findall("^### (.*)$", text, re.MULTILINE)) == sorted(routes)
    assert [route for route in routes if f"[`{route}`](#" not in text] == []
    assert control_api_reference.FILE.read_text("utf-8") == text, "python -m tests.control_api_reference"
