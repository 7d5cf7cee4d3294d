"""``python -m mralab``."""

from .cli import main

main()
