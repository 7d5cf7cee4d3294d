"""CARRIES. The data plane: sockets, TLS, files; everything hot."""
