"""EXPLAINS. Works on log lines, events, files and certificates; only ``preflight`` uses the network."""
