"""Mocks of the servers around an Expressway-C (CUCM, TFTP, the edge), which fail on demand."""
