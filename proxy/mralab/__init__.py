"""mralab: a lab Expressway-C traffic server that verifies, refuses and logs like X14.2."""
