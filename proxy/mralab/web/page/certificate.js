// A presented chain: a card for each certificate, with the requested name beside those that it has.

import { el } from "./dom.js";

/** Codes of findings that end when the right certificate is in the trust store. */
const IS_CURED_BY_TRUST = new Set(["self-signed", "unknown-ca", "issuer-missing", "partial-chain"]);

/**
 * Return the certificate to trust: the self-signed one, a root or the server's own; null if there is none. OpenSSL ends a
 * chain at a self-signed certificate only, so that to trust another one would not help.
 */
export function chosenToTrust(finding) {
  if (!IS_CURED_BY_TRUST.has(finding.code)) return null;
  return finding.presented.find((each) => each.self_signed && each.pem) ?? null;
}

/** Return the cards of the chain that a finding's server presented. ``trust(certificate)`` trusts one. */
export function chainCards(finding, trusted, trust) {
  const chosen = chosenToTrust(finding);
  return el("ol", { class: "chain" }, finding.presented.map((certificate, depth) =>
    card(certificate, depth, finding, certificate === chosen ? trustButton(certificate, trusted, trust) : null)));
}

function trustButton(certificate, trusted, trust) {
  if (trusted.has(certificate.fingerprint)) return el("p", { class: "trusted-now" }, "✓ Trusted now. Run the login again.");
  return el("button", { type: "button", class: "primary", id: "trust-this", on: { click: () => trust(certificate) } },
    "Trust this one");
}

function card(certificate, depth, finding, button) {
  const isSelfSigned = certificate.self_signed;
  const isAtFault = depth === finding.depth;
  return el(
    "li", { class: isAtFault ? "certificate at-fault" : "certificate" },
    el(
      "p", { class: "certificate-head" },
      el("b", {}, depth === 0 ? "Server certificate" : isSelfSigned ? "Root CA" : "Intermediate CA"),
      isAtFault ? el("span", { class: "tag bad" }, `✕ ${finding.error}`) : null,
    ),
    el(
      "dl", {},
      row("Subject", certificate.subject),
      row("Issuer", isSelfSigned ? "itself (self-signed)" : certificate.issuer),
      depth === 0 ? names(certificate, finding) : null,
      dates(certificate),
      row("Key", [certificate.key, certificate.signature].filter(Boolean).join(", ")),
      row("SHA-256", fingerprint(certificate.fingerprint), "mono"),
    ),
    button,
  );
}

const row = (term, value, style = "") => [el("dt", {}, term), el("dd", { class: style }, value)];

/** The requested name, and whether it is one of the certificate's. */
function names(certificate, finding) {
  const isMatched = certificate.matched === true;
  return [
    el("dt", {}, "Requested"),
    el("dd", { class: isMatched ? "match yes" : "match no" }, finding.server,
      el("span", { class: "match-word" }, isMatched ? " ✓ in the certificate" : " ✕ not in the certificate")),
    el("dt", {}, "Names"),
    el("dd", {}, certificate.names.length
      ? el("ul", { class: "names" }, certificate.names.slice(0, 20).map((name) => el("li", {}, name)),
        certificate.names.length > 20 ? el("li", {}, `… ${certificate.names.length - 20} more`) : null)
      : "none"),
  ];
}

function dates(certificate) {
  const [begin, end] = [certificate.not_before, certificate.not_after];
  const wrong = certificate.validity === "in date" ? "" : `✕ ${certificate.validity}`;
  return [
    el("dt", {}, "Valid"),
    el("dd", {}, `${begin.slice(0, 10)} to ${end.slice(0, 10)}`, wrong ? el("span", { class: "tag bad" }, wrong) : null),
  ];
}

/** A fingerprint in groups that may wrap. */
function fingerprint(text) {
  const pairs = text.replaceAll(":", "").match(/.{1,8}/g) ?? [];
  return pairs.map((each) => el("span", { class: "group" }, each.match(/../g).join(":")));
}
