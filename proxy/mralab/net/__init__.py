"""CARRY requests: the data plane, with sockets, TLS and files; everything on the hot path."""
