"""The command line: one module for each group of commands."""

from .root import main

__all__ = ["main"]
