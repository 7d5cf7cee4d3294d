"""For test authors: the proxy or a fault point alone, in asynchronous and synchronous tests."""
