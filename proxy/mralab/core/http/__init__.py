"""DECIDE about HTTP/1.1: framing, rewriting of heads, error pages. Pure."""
