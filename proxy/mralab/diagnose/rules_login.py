"""Rules for lines of the login service and of other modules that report a refused login.

Expressway-C's login service (``edgeconfigprovisioning``) asks CUCM on behalf of a user before traffic_server forwards
anything. It reports a failure in words that look like a wrong password, whatever the reason was. Sources: Cisco 211304
(the lines, 401 of CUCM and of Expressway-C), Cisco 117811 (Expressway-E's error responses), MRA guide (429).
"""

from __future__ import annotations

from typing import Final

from .occurrence import FindingRule
from .sentence import Sentence, Wordings, say

CISCO_211304: Final = "Cisco 211304 (Expressway MRA, TC-based endpoints)"


def _login(code: str, pattern: str, cause: str | tuple[Sentence | Wordings, ...], remedies: str) -> FindingRule:
    """Return a rule. ``remedies`` are keys of ``REMEDIES``, separated by spaces."""
    return FindingRule(code, "login", pattern, cause, tuple(remedies.split()), CISCO_211304)


_REPAIR_CERTIFICATE_FIRST = (
    say("No line blames a certificate of {server}.", "log-read", "no-certificate-blamed"),
    say("No line that was read blames a certificate of {server}.", "no-certificate-blamed"),
    say(
        "The certificate of {place} is refused as well: repair that first. No login succeeds before, whatever the "
        "password."
    ),
)

LOGIN_RULES: Final[tuple[FindingRule, ...]] = (
    _login(
        "login-rejected",
        "^401",
        (
            say(
                "{place} answered {error} to Expressway-C's login service ({url}): the server was reached, and it did "
                "not accept the user name or the password."
            ),
            _REPAIR_CERTIFICATE_FIRST,
        ),
        "check-password",
    ),
    _login(
        "login-rejected",
        "^4",
        "{place} answered {error} to Expressway-C's login service ({url}): the server was reached, and it did "
        "not return the data that a login needs.",
        "check-server check-password",
    ),
    _login(
        "login-rejected",
        "^5",
        "{place} answered {error} to Expressway-C's login service ({url}): the server was reached, and a service on it "
        "failed. The line says nothing about the password.",
        "check-server",
    ),
    _login(
        "login-not-completed",
        "^Failed to authenticate",
        (
            say(
                "Expressway-C's login service could not authenticate the user {user} against {place} (reason: "
                "{reason}). This line appears for a wrong password and also when the server could not be reached."
            ),
            _REPAIR_CERTIFICATE_FIRST,
        ),
        "check-password read-provisioning",
    ),
    _login(
        "login-not-completed",
        "",
        "A login of the user {user} was refused ({reason}). The line does not say whether the password was wrong "
        "or a server could not be reached.",
        "check-password read-provisioning",
    ),
)
