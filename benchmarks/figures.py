"""Figures that were measured, their medians and ratios, and the results file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of one proxy for one kind of work, with a value for each round, in the order of the rounds."""

    part: str
    work: str
    proxy: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.values), max(self.values)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure as a multiple of another, round by round: the runs of a round meet the machine in the same state."""

    median: float
    low: float
    high: float
    rounds: int


def ratio(ours: Figure, theirs: Figure) -> Ratio:
    """Divide ``ours`` by ``theirs`` in the rounds that both have; after a failed run one of them may lack the last."""
    each = [one / other for one, other in zip(ours.values, theirs.values, strict=False)]
    return Ratio(median(each), min(each), max(each), len(each))


class Figures:
    """All figures of a run."""

    def __init__(self, figures: Iterable[Figure] = ()) -> None:
        self._figures = {(f.part, f.work, f.proxy, f.unit): f for f in figures}

    def __iter__(self) -> Any:
        return iter(self._figures.values())

    def add(self, part: str, work: str, proxy: str, unit: str, value: float) -> None:
        """Add the value of one more round to a figure."""
        key = part, work, proxy, unit
        before = self._figures[key].values if key in self._figures else ()
        self._figures[key] = Figure(*key, (*before, value))

    def find(self, part: str, work: str, proxy: str, unit: str) -> Figure | None:
        """Return a figure, or None if it was not measured."""
        return self._figures.get((part, work, proxy, unit))

    def rows(self, unit: str) -> dict[tuple[str, str], dict[str, Figure]]:
        """Return the figures of one unit as (part, work) -> proxy -> figure, in the order of measurement."""
        rows: dict[tuple[str, str], dict[str, Figure]] = {}
        for figure in self._figures.values():
            if figure.unit == unit:
                rows.setdefault((figure.part, figure.work), {})[figure.proxy] = figure
        return rows

    @property
    def units(self) -> list[str]:
        """All units, in the order of measurement."""
        return list(dict.fromkeys(figure.unit for figure in self._figures.values()))


@dataclass(frozen=True, slots=True)
class Results:
    """Content of a results file. ``taken``: ISO date and time, UTC; ``proved``: what ``proof`` checked before."""

    taken: str
    machine: Mapping[str, str]
    settings: Mapping[str, Any]
    proved: tuple[str, ...]
    figures: Figures

    def write(self, file: Path) -> None:
        """Write indented JSON."""
        data = {
            "taken": self.taken,
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "proved": list(self.proved),
            "figures": [
                asdict(figure) | {"values": [_short(value) for value in figure.values]} for figure in self.figures
            ],
        }
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Results:
        """Read a file that ``write`` wrote."""
        data = json.loads(file.read_text("utf-8"))
        figures = Figures(Figure(**{**entry, "values": tuple(entry["values"])}) for entry in data["figures"])
        return cls(data["taken"], data["machine"], data["settings"], tuple(data["proved"]), figures)


def latest(folder: Path) -> Results | None:
    """Return the results that were taken last, or None if there are none."""
    return max(map(Results.read, folder.glob("*.json")), key=lambda results: results.taken, default=None)


def _short(value: float) -> float:
    """Round to five significant digits: the others are noise."""
    return float(f"{value:.5g}")
