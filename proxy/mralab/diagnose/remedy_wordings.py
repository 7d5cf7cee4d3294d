"""Alternative wordings of remedies, for servers with several faults."""

from __future__ import annotations

from typing import Final

from .remedies import REMEDIES
from .sentence import Wordings, say

ALTERNATIVES: Final[dict[str, Wordings]] = {
    "trust-itself": (
        say(REMEDIES["trust-itself"].text, "certificate-stays"),
        say(
            "The {certificate} of {server} has to be replaced in any case. If the new one is self-signed too, add that "
            "one to the trusted CA list, on every peer of the cluster: the list is not replicated."
        ),
    ),
    "trust-chain": (
        say(REMEDIES["trust-chain"].text, "ca-signed", "cas-stay"),
        say(
            "Once {place} presents a certificate without the other faults, add the root and all intermediate CAs above "
            "that one to the trusted CA list, on every peer of the cluster: the list is not replicated."
        ),
    ),
    "trust-root": (
        say(REMEDIES["trust-root"].text, "ca-signed", "cas-stay"),
        say(
            "Once {place} presents a certificate without the other faults, make sure that all CAs above that one, up "
            "to and including the root, are in the trusted CA list, on every peer of the cluster."
        ),
    ),
    "trust-again": (
        say(REMEDIES["trust-again"].text, "ca-signed", "cas-stay"),
        say(
            "Once {place} presents a certificate without the other faults, add the CAs that signed that one to the "
            "trusted CA list, on every peer of the cluster, and remove outdated ones of the same name."
        ),
    ),
    "trust-version": (
        say(REMEDIES["trust-version"].text, "ca-signed", "certificate-stays", "cas-stay"),
        say(
            "Once {place} presents a certificate without the other faults, add the CAs that signed that one to the "
            "trusted CA list, on every peer of the cluster, and remove outdated ones of the same name."
        ),
    ),
    "remove-namesake": (say(REMEDIES["remove-namesake"].text, "certificate-stays", "cas-stay"),),
    "send-chain": (
        say(REMEDIES["send-chain"].text, "ca-signed", "certificate-stays", "cas-stay"),
        say(
            "When the {certificate} of {server} is replaced, upload its intermediate CAs as trust certificates first: "
            "the server then sends them too."
        ),
    ),
    "send-intermediate": (
        say(REMEDIES["send-intermediate"].text, "ca-signed", "certificate-stays", "cas-stay"),
        say(
            "When the {certificate} of {server} is replaced, upload the intermediate CAs of the new one as trust "
            "certificates first: the server then sends them too."
        ),
    ),
    "trust-intermediate": (say(REMEDIES["trust-intermediate"].text, "ca-signed", "certificate-stays", "cas-stay"),),
    "change-server-name": (
        say(REMEDIES["change-server-name"].text, "certificate-stays"),
        say(
            "If the new certificate is not to contain {server}, change the entry of {server} to a name that the new "
            "certificate contains, then refresh the servers on Expressway-C."
        ),
    ),
    "check-port": (
        say(REMEDIES["check-port"].text, "never-tls"),
        say("Look at {place} with openssl s_client, several times: does each node behind it answer with TLS?"),
    ),
}
"""Alternative wordings, for remedies that other faults affect. A remedy without a true wording is left out."""
