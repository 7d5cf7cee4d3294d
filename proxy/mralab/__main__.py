"""Entry point of ``mralab`` and ``python -m mralab``."""

from __future__ import annotations

import sys

from .collection import rarely


def main() -> None:
    """Run the command line. Ctrl-C during the imports also ends it with exit code 130."""
    rarely()
    try:
        from .cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
