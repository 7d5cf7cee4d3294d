"""Verification as decisions: host names, DER, verdicts, OpenSSL's error texts. Pure."""
