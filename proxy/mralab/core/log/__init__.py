"""The traffic_server log: events, the grammar of their lines, writer and reader. Pure."""
