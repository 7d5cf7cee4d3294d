"""PRETENDS. Everything that stands around a real Expressway-C."""
