"""``mralab scenarios``: the failures that ``mralab run`` knows by name."""

from __future__ import annotations

from .document import print_document
from .group import json_option
from .root import main


@main.command()
@json_option
def scenarios(as_json: bool) -> None:
    """List the failures that run knows by name.

    Prints name, title, and what X14.2 is expected to find. docs/scenarios.md describes files of your own.

    \b
    Example:
      mralab scenarios
    """
    from ..lab.run_report import scenario_list
    from ..lab.scenario import shipped_scenarios
    from ..show import screen, sheet, terminal

    found = shipped_scenarios()
    if as_json:
        print_document(scenario_list(found))
    else:
        sheet.show(terminal.scenario_sheet(found), screen.console())
