"""The control API as commands use it: as a client of a running proxy, and as a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import MralabError

if TYPE_CHECKING:
    from ..control.serve import ServeApi
    from ..web.client import Admin

admin_option = click.option(
    "--admin",
    envvar="MRALAB_ADMIN",
    metavar="HOST:PORT",
    help="The running proxy's control API: 'admin' in the line that serve or lab prints [default: $MRALAB_ADMIN].",
)


def connect(admin: str | None) -> Admin:
    """Return a client of the control API at ``HOST:PORT``. Raises ``MralabError`` if no address is given."""
    from ..web.client import Admin

    if not admin:
        raise MralabError(
            "no running proxy given: pass --admin HOST:PORT or set MRALAB_ADMIN",
            "it is 'admin' in the line that mralab serve or lab prints",
        )
    return Admin(admin)


def load_api() -> ServeApi:
    """Import the control API, which a proxy needs at its first connection only."""
    from ..web.api import serve_admin

    return serve_admin
