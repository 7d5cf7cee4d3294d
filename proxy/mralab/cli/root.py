"""``mralab``: the group that every command registers itself at.

A command parses, calls and prints. It imports everything heavy inside its function, so that ``--help`` is fast.
"""

from __future__ import annotations

import click

from .group import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mralab", message="%(version)s")
def main() -> None:
    """A lab Expressway-C traffic server: verifies, refuses and logs like X14.2.

    \b
    Example:
      mralab demo
    """
