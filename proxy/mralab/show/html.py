"""Write a report as one HTML file that loads nothing: styles are inline, drawings are SVG, and there is no script.

Every text passes ``_shown`` on its way into the template: what a browser would act on or hide is written as an escape,
and a text of a megabyte is cut. Jinja2 then escapes it for HTML.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape
from markupsafe import Markup

from ..core.counting import counted
from ..core.log.escape import visible
from .ladder_drawing import state_of
from .report_model import ReportPage

_TEMPLATES: Final = ("report.html.j2", "ladder.svg.j2", "parts.html.j2")
_LONGEST: Final = 4000


def report_html(page: ReportPage) -> str:
    """Return the report as an HTML document. The same page always gives the same document."""
    style = _source("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = _environment().get_template("report.html.j2")
    return template.render(page=page, style=Markup(style), digest=digest)  # noqa: S704 - our own style sheet


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader({name: _source(name) for name in _TEMPLATES}),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.globals["state_of"] = state_of
    return environment


@cache
def _source(name: str) -> str:
    return (files("mralab.show") / "templates" / name).read_text("utf-8")


def _shown(value: object) -> object:
    """Return a text with escapes for characters that a browser would act on or hide, and without its excess."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    more = len(value) - _LONGEST
    return visible(value) if more <= 0 else f"{visible(value[:_LONGEST])} \u2026 and {counted(more, 'character')} more"
