"""Settings in a configuration dump."""

from __future__ import annotations

from mralab.diagnose.xconf import ExpresswaySettings, parse_settings

DUMP = b"""*c xConfiguration EdgeConfigServer CredentialTtl: "28800"\r
*c xConfiguration EdgeConfigServer VerifyOriginServer: "Off"\r
*c xConfiguration Ciphers UcClientTLSCiphers Value: "ECDHE-RSA-AES256-GCM-SHA384:EECDH:EDH:HIGH"
*c xConfiguration Ciphers UcClientTLSProtocol Value: "minTLSv1.2"
*c xConfiguration Zones Zone 6 DNS SIP TLS Verify Mode: "On"
OK
"""


def test_the_settings_of_verification() -> None:
    found = parse_settings(DUMP.split(b"\n"))
    assert found.verify == "off"
    assert found.ciphers == (("UcClientTLSCiphers", "ECDHE-RSA-AES256-GCM-SHA384:EECDH:EDH:HIGH"),)
    assert found.lines == 5


def test_a_dump_without_the_setting() -> None:
    assert parse_settings([b'*c xConfiguration SystemUnit Name: "vcsc"']) == ExpresswaySettings(lines=1)
    assert parse_settings([b'*c xConfiguration EdgeConfigServer VerifyOriginServer: "Perhaps"']).verify is None
    assert parse_settings([b"\xff\x00", b"", b"rubbish: 1"]) == ExpresswaySettings()
