"""HTTP/1.1 as decisions: framing, rewriting of heads, the pages of errors. Pure."""
