"""What test authors use: the proxy alone, from asynchronous and synchronous tests."""
