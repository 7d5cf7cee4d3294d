"""PRETENDS. The lab around a real Expressway-C's data plane: nodes, edge, login client, scenarios, remedies."""
