"""SHOW results in a terminal, and the demo as a picture."""
