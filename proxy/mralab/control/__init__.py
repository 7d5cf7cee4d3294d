"""OPERATE running proxies: one in this process, or several workers as one."""
