"""``mralab xconfiguration`` sets and reads verification of a running proxy."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.web.xconfiguration import SpellingError, parse, read_back
from tests.net.conftest import Server
from tests.serving import Serving, get

from .command import mralab


def test_switching_verification_off_and_on(running: Serving, server: Server) -> None:
    words = ("EdgeConfigServer", "VerifyOriginServer:")
    off = mralab("xConfiguration", *words, "Off", admin=running.admin)
    assert off.stdout == '*c xConfiguration EdgeConfigServer VerifyOriginServer: "Off"\n'
    assert get(running, server) == 200
    read = mralab("xconfiguration", "EdgeConfigServer", "VerifyOriginServer", "--json", admin=running.admin)
    assert json.loads(read.stdout)["verify"] == {"origin": "off"}
    mralab("xconfiguration", *words, "On", admin=running.admin)
    assert get(running, server) == 502
    wrong = mralab("xconfiguration", "EdgeConfServer", "VerifyOriginServr:", "Of", admin=running.admin)
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[:3] == [
        "'EdgeConfServer': no such setting; did you mean 'EdgeConfigServer'?",
        "'VerifyOriginServr': no such setting; did you mean 'VerifyOriginServer'?",
        "'Of': must be On or Off; did you mean 'Off'?",
    ]


@given(
    st.sampled_from(["On", "Off", "on", "OFF", '"Off"', "'On'"]),
    st.sampled_from(["EdgeConfigServer VerifyOriginServer:{}", "edgeconfigserver verifyoriginserver: {}"]),
    st.booleans(),
)
def test_spellings_that_the_expressway_accepts(value: str, text: str, split: bool) -> None:
    line = text.format(value)
    assert parse(line.split() if split else [line]) == value.strip("\"'").capitalize()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("EdgeConfigServer VerifyOriginServer off", "did you mean 'VerifyOriginServer: Off'?"),
        ("EdgeConfigServer VerifyOriginServer:", "'': must be On or Off"),
        ("EdgeConfigServer: Off", "a word is missing; did you mean 'VerifyOriginServer'?"),
        ("Zones", "'Zones': no such setting; did you mean 'EdgeConfigServer'?"),
    ],
)
def test_spellings_that_it_refuses(line: str, problem: str) -> None:
    with pytest.raises(SpellingError) as error:
        parse(line.split())
    assert problem in error.value.message


def test_a_line_without_a_value_reads_the_setting() -> None:
    assert parse(["EdgeConfigServer", "VerifyOriginServer"]) is None


def test_every_word_of_a_verify_mode_is_accepted() -> None:
    words = ("ON", "enforced", "Disabled", "PERMISSIVE")
    assert [parse(["EdgeConfigServer", "VerifyOriginServer:", word]) for word in words] == ["On", "On", "Off", "audit"]
    assert read_back("on").endswith('VerifyOriginServer: "On"')
    assert read_back("audit").endswith('VerifyOriginServer: "Off"')
