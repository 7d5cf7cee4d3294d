"""Figures as text: tables for a terminal, and the block in README. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .aims import CPU, FLOOR, PEERS, RATE, Aim, aims
from .figures import Figure, Figures, Results, ratio

BEGIN: Final = "<!-- figures: begin (python -m benchmarks.readme writes this) -->"
END: Final = "<!-- figures: end -->"
_NONE: Final = "No figures yet: run `make bench`."


def number(value: float) -> str:
    """Format a number with three digits, or without a fraction from 100 on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def figure_lines(figures: Figures) -> list[str]:
    """Return a table for each unit: median and spread of each proxy, and mralab's value as a multiple of it."""
    lines: list[str] = []
    for unit in figures.units:
        lines += ["", unit]
        rows = [["work", "proxy", "median", "spread", "mralab/it"]]
        for (_, work), row in figures.rows(unit).items():
            ours = row.get("mralab")
            rows += [_row(work, figure, ours) for figure in row.values()]
        lines += ["  " + line for line in columns(rows)]
    return lines


def _row(work: str, figure: Figure, ours: Figure | None) -> list[str]:
    low, high = figure.spread
    spread = f"{number(low)}-{number(high)}" if len(figure.values) > 1 else "one run"
    compared = ""
    if ours is not None and ours is not figure and all(figure.values):
        found = ratio(ours, figure)
        compared = f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"
    return [work, figure.proxy, number(figure.median), spread, compared]


def aim_lines(reached: Sequence[Aim]) -> list[str]:
    """Return a table of aims: the value reached, its spread, the bound, and whether it is met."""
    rows = [["aim", "reached", "spread", "bound", ""]]
    rows += [[aim.text, *_reached(aim), "met" if aim.met else "NOT MET"] for aim in reached]
    return columns(rows)


def ratio_lines(figures: Figures) -> list[str]:
    """Return a table with the CPU of mralab as a multiple of each peer's and the floor's, for `make bench-quick`."""
    rows = [["CPU of mralab against", "keep-alive", "per-request"]]
    for peer in (*PEERS, FLOOR):
        cells = [peer]
        for mode in ("keep-alive", "per-request"):
            ours, theirs = (figures.find("cpu", f"{mode}, 1 KB", name, CPU) for name in ("mralab", peer))
            found = ratio(ours, theirs) if ours and theirs else None
            cells.append(f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})" if found else "")
        rows.append(cells)
    return columns(rows)


def _reached(aim: Aim) -> tuple[str, str, str]:
    unit = aim.unit if aim.unit == "x" else f" {aim.unit}"
    found = aim.value
    bound = f"{'at most' if aim.at_most else 'at least'} {number(aim.bound)}{unit}"
    spread = f"{number(found.low)} to {number(found.high)}" if found.rounds > 1 else "one run"
    return f"{number(found.median)}{unit}", spread, bound


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the cells of each column to the same width."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def readme_block(results: Results | None) -> str:
    """Return the block of README, markers included."""
    if results is None:
        return f"{BEGIN}\n{_NONE}\n{END}"
    machine, settings = results.machine, results.settings
    rounds = settings["rounds"]
    lines = [
        BEGIN,
        f"Taken {results.taken[:10]} on {machine['cores']} cores of {machine['processor']}, Linux {machine['kernel']}, "
        f"Python {machine['Python']}.",
        f"One worker or thread each; {rounds} alternating runs of {settings['seconds']} s: median (least-greatest).",
        "Every handshake is a full one, TLS 1.2 with RSA-2048; every proxy verifies chain and name; mralab writes five",
        "log lines for each request.",
        "",
        "| CPU for a request, requests/s | keep-alive | per-request |",
        "|---|---|---|",
        *_readme_rows(results.figures),
        "",
        "| aim | reached | bound | |",
        "|---|---|---|---|",
    ]
    for aim in aims(results.figures):
        reached, spread, bound = _reached(aim)
        lines.append(f"| {aim.text} | {reached} ({spread}) | {bound} | {'met' if aim.met else 'not met'} |")
    if failed := settings.get("failed"):
        lines += ["", *(f"Not measured in every round: {problem}." for problem in failed)]
    return "\n".join([*lines, END])


def _readme_rows(figures: Figures) -> list[str]:
    rows = []
    for proxy in dict.fromkeys(figure.proxy for figure in figures if figure.part == "cpu"):
        cells = []
        for mode in ("keep-alive", "per-request"):
            cost, rate = (figures.find("cpu", f"{mode}, 1 KB", proxy, unit) for unit in (CPU, RATE))
            if cost and rate:
                low, high = map(number, cost.spread)
                cells.append(f"{number(cost.median)} µs ({low}-{high}), {number(rate.median)}/s")
            else:
                cells.append("")
        rows.append(f"| {proxy} | {' | '.join(cells)} |")
    return rows
