"""What a step of a login means for the user, in words; and the texts on Jabber's screen that Cisco publishes."""

from __future__ import annotations

from typing import Final

from .login_result import EDGE, PRESENCE, UDS, VOICEMAIL, Step

PRESENCE_LOGIN: Final = "EPASSoap login"
VOICEMAIL_INBOX: Final = "vmrest inbox"

WRONG_PASSWORD: Final = "Your username or password is not correct"  # noqa: S105 - a text
NO_COMMUNICATION: Final = "Cannot communicate with the server"
NO_SERVICES: Final = "Cannot find your services automatically"
"""Texts on the screen: Cisco 221845, for on-premises logins. No text for a 502 over MRA is public."""

_SERVERS: Final = {EDGE: "the edge configuration server", PRESENCE: "IM and Presence", VOICEMAIL: "Unity Connection"}
"""Who asks for a password; CUCM where it is not listed."""

_EFFECTS: Final = {
    "get_edge_config": "Jabber finds no services and cannot sign in",
    "version": "Jabber does not know the capabilities of this CUCM",
    "clusterUser": "Jabber cannot find the user's home cluster and cannot sign in",
    "servers": "Jabber knows no other server to use if this one fails",
    "user": "the user's settings cannot be loaded and Jabber cannot sign in",
    "devices": "Jabber cannot see which phones the user has",
    "devices?max=100": "Jabber cannot see which phones the user has",
    "SPDefault.cnf.xml": "the service profile cannot be loaded: voicemail and directory are missing",
    "jabber-config.xml": "Jabber runs without the administrator's settings",
    PRESENCE_LOGIN: "Jabber has no presence and no messages",
    VOICEMAIL_INBOX: "Jabber has no voicemail",
}
_SUCCESSES: Final = {
    "get_edge_config": "Jabber knows where its services are.",
    "version": "Jabber knows the capabilities of this CUCM.",
    "clusterUser": "The user's home cluster is found.",
    "servers": "Jabber knows the servers of the cluster.",
    "user": "The user is signed in, the settings are loaded.",
    "devices": "Jabber knows the user's phones.",
    "devices?max=100": "Jabber knows the user's phones.",
    "SPDefault.cnf.xml": "The service profile is loaded.",
    "jabber-config.xml": "The administrator's settings are loaded.",
    PRESENCE_LOGIN: "Presence and messages are there.",
    VOICEMAIL_INBOX: "Voicemail is there.",
}


def failure(step: Step, cause: str) -> str:
    """Return the meaning of a failed step."""
    effect = _EFFECTS.get(step.name, "the phone configuration cannot be loaded: Jabber shows no phone services")
    return f"{_sentence(cause)}, so {effect}."


def success(name: str) -> str:
    """Return the meaning of a step that succeeded."""
    return _SUCCESSES.get(name, "The phone configuration is loaded.")


def screen(step: Step, *, unknown_host: bool = False) -> str:
    """Return the text on the screen for a failed step; empty if none is public."""
    if step.status == 401 and step.service in (EDGE, UDS):
        return WRONG_PASSWORD
    if unknown_host or (step.status == 403 and step.name == "user"):  # UNRESOLVED_HOST_ERROR, HOME_UDS_QUERY_FAILED
        return NO_COMMUNICATION
    return ""


def cause(step: Step, *, base: str, domain: str, limit: float) -> str:
    """Return why a step failed. ``base`` is the URL that the client connects to, ``limit`` its time limit."""
    at_edge = step.service == EDGE
    match step.status:
        case None if step.reason == "timed out":
            return f"{base} did not answer within {limit:.0f} s"
        case None:
            return f"{base} cannot be reached ({step.reason})"
        case 401:
            return f"{_SERVERS.get(step.service, 'CUCM')} did not accept the user name and password"
        case 403 if at_edge:
            return f"the domain {domain} is not enabled for MRA"
        case 403:
            return f"Expressway-C does not allow this URL (its allow list), or {step.server} forbids it"
        case 404 | 400:
            return f"the resource is not there on {step.server}, or the request was not understood"
        case 429:
            return "the user signed in too often in a short time"
        case 502:
            return (
                f"Expressway-C could not connect to {step.server}, or did not accept its certificate"
                if not at_edge
                else "the edge could not reach Expressway-C"
            )
        case 504:
            return f"{step.server} did not answer in time"
        case other:
            return f"{step.server} answered {other} {step.reason}".rstrip()


def _sentence(cause: str) -> str:
    """Return the cause with a capital letter, unless it starts with a URL or a server's name."""
    first, _, _ = cause.partition(" ")
    return cause if "." in first or ":" in first else cause[0].upper() + cause[1:]
