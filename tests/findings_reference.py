"""docs/findings.md, generated from the rules: ``python -m tests.findings_reference`` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mralab.diagnose.comparisons import COMPARED_CODES
from mralab.diagnose.occurrence import FindingRule, Kind
from mralab.diagnose.remedies import REMEDIES
from mralab.diagnose.rules import CODES, RULES

FILE: Final = Path(__file__).parents[1] / "docs" / "findings.md"
_HEAD: Final = f"""# Findings

Each finding has a stable code, for `mra_proxy.refused(..., because="self-signed")`,
`mralab diagnose --code` and the documents of `--json`. Each remedy has a code, too. Written by
`python -m tests.findings_reference` from the rules in `proxy/mralab/diagnose`; edit these.

If a code has several causes, the first that applies is given. Words in `<..>` come from the log or from the running
proxy. If the same server has other findings, sentences that contradict them are left out, and the order of repair is
added. `mralab diagnose` compares ports, peers and times as well:
{" and ".join(f"`{code}`" for code in COMPARED_CODES)}.
"""
_TITLES: Final[dict[Kind, str]] = {
    "chain": "The certificates that a server presents",
    "name": "The name in the certificate",
    "handshake": "The TLS handshake",
    "answer": "The proxy's own responses",
    "refusal": "Requests that are refused",
    "edge": "In the log of an Expressway-E",
    "login": "Lines of the login service",
}
_EXAMPLE: Final = {
    "server": "cucm.example.com",
    "place": "cucm.example.com:8443",
    "certificate": "tomcat certificate",
    "which": "The certificate",
    "which_small": "the certificate",
    "clock": "Expressway-C's clock",
    "stop": ".",
}


def document() -> str:
    """Return the document."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    first: dict[str, Kind] = {}
    for rule in RULES:
        first.setdefault(rule.code, rule.kind)
    for kind, title in _TITLES.items():
        codes = [code for code in CODES if first[code] == kind]
        if codes:
            yield f"\n## {title}\n"
        for code in codes:
            yield _section(code, [rule for rule in RULES if rule.code == code])


def _section(code: str, rules: list[FindingRule]) -> str:
    causes = dict.fromkeys(" ".join(wordings[0].text for wordings in rule.sentences()) for rule in rules)
    names = dict.fromkeys(name for rule in rules for name in rule.remedies)
    references = dict.fromkeys(rule.reference for rule in rules if rule.reference)
    text = f"\n### {code}\n"
    text += "".join(f"\n{_filled(cause)}\n" for cause in causes)
    if names:
        text += "\n| remedy | | where |\n|---|---|---|\n"
    for remedy in map(REMEDIES.__getitem__, names):
        text += f"| `{remedy.code}` | {_filled(remedy.text)} | {_filled(remedy.where)} |\n"
    return text + "".join(f"\nSource: {reference}.\n" for reference in references)


def _filled(text: str) -> str:
    """Return a text with its placeholders filled in, as Markdown."""
    filled = re.sub(r"\{(\w+)\}", lambda found: _EXAMPLE.get(found[1], f"`<{found[1]}>`"), text)
    return filled.replace("|", r"\|").replace("*", r"\*")


if __name__ == "__main__":
    FILE.write_text(document(), "utf-8")
