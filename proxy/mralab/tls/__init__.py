"""Verify servers: OpenSSL, the verify callback, certificates, the trust store."""
