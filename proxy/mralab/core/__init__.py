"""DECIDES. Pure: no asyncio, socket, TLS, file or clock in here."""
