"""EXPLAINS. Works on log lines and files alone."""
