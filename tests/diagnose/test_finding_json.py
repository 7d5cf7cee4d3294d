"""Findings have one JSON form in the control API, in ``preflight --json`` and in ``demo --json``."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mralab.diagnose.finding_json import finding_json
from mralab.diagnose.finding_report import Finding as ReportedFinding
from mralab.diagnose.finding_report import Remedy as ReportedRemedy
from mralab.diagnose.findings import Finding
from mralab.diagnose.remedies import Remedy

FINDING = Finding(
    code="expired",
    server="cucm.example.test",
    ip="192.0.2.1",
    port=8443,
    error="certificate has expired",
    depth=0,
    action="Terminate",
    count=2,
    first=1.0,
    last=2.0,
    evidence=("WARNING: a line", "ERROR: another"),
    cause="It expired.",
    remedies=(Remedy("renew", "Renew it.", "CUCM"),),
    reference="https://example.test/",
)


def test_every_field_of_a_finding_is_in_its_json() -> None:
    document = json.loads(json.dumps(finding_json(FINDING)))
    assert list(document) == [field.name for field in fields(Finding)]
    assert document["evidence"] == list(FINDING.evidence)
    assert document["remedies"] == [{"code": "renew", "text": "Renew it.", "where": "CUCM"}]


def test_presented_certificates_have_a_description_and_pem() -> None:
    ca = trustme.CA()
    leaf = ca.issue_cert("cucm.example.test")
    chain = [pem.bytes() for pem in (*leaf.cert_chain_pems, ca.cert_pem)]
    sent = tuple(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) for pem in chain)
    document = json.loads(json.dumps(finding_json(replace(FINDING, presented=sent))))
    assert [certificate["pem"].encode() for certificate in document["presented"]] == chain
    server, root = document["presented"]
    assert (server["matched"], server["names"], server["self_signed"]) == (True, ["cucm.example.test"], False)
    assert (root["matched"], root["self_signed"], root["validity"]) == (None, True, "not yet valid")
    assert len(ReportedFinding.model_validate(document).presented) == 2


def test_documents_and_the_control_api_describe_the_same_fields() -> None:
    assert list(ReportedFinding.model_fields) == list(finding_json(FINDING))
    assert ReportedFinding.model_validate(finding_json(FINDING)).remedies[0] == ReportedRemedy(
        code="renew", text="Renew it.", where="CUCM"
    )
