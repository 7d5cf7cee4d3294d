"""Pretends to be what stands around an Expressway: CUCM, TFTP, the edge; and fails on demand."""
