"""What was measured, as records: figures, their medians and ratios, and the file they are kept in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of one proxy at one kind of work: a value for each round, in the order of the rounds."""

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
    """One figure as a multiple of another, round by round: alternating runs share the machine's moods."""

    median: float
    low: float
    high: float


def ratio(ours: Figure, theirs: Figure) -> Ratio:
    """``ours`` divided by ``theirs`` in the rounds that both have; a run that failed may have cost one the last."""
    each = [one / other for one, other in zip(ours.values, theirs.values, strict=False)]
    return Ratio(median(each), min(each), max(each))


class Figures:
    """All figures of a run."""

    def __init__(self, figures: Iterable[Figure] = ()) -> None:
        self._figures = {(f.part, f.work, f.proxy, f.unit): f for f in figures}

    def __iter__(self) -> Any:
        return iter(self._figures.values())

    def add(self, part: str, work: str, proxy: str, unit: str, value: float) -> None:
        """One more round of a figure."""
        key = part, work, proxy, unit
        before = self._figures[key].values if key in self._figures else ()
        self._figures[key] = Figure(*key, (*before, value))

    def find(self, part: str, work: str, proxy: str, unit: str) -> Figure | None:
        """A figure, if it was measured."""
        return self._figures.get((part, work, proxy, unit))

    def rows(self, unit: str) -> dict[tuple[str, str], dict[str, Figure]]:
        """(part, work) -> proxy -> figure, of one unit, in the order of measuring."""
        rows: dict[tuple[str, str], dict[str, Figure]] = {}
        for figure in self._figures.values():
            if figure.unit == unit:
                rows.setdefault((figure.part, figure.work), {})[figure.proxy] = figure
        return rows

    @property
    def units(self) -> list[str]:
        """All units, in the order of measuring."""
        return list(dict.fromkeys(figure.unit for figure in self._figures.values()))


@dataclass(frozen=True, slots=True)
class Results:
    """A results file: when (ISO date and time, UTC), on what machine, how, what was proved first, and the figures."""

    taken: str
    machine: Mapping[str, str]
    settings: Mapping[str, Any]
    proved: tuple[str, ...]
    figures: Figures

    def write(self, file: Path) -> None:
        """As JSON, readable."""
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
        """What ``write`` wrote."""
        data = json.loads(file.read_text("utf-8"))
        figures = Figures(Figure(**{**entry, "values": tuple(entry["values"])}) for entry in data["figures"])
        return cls(data["taken"], data["machine"], data["settings"], tuple(data["proved"]), figures)


def latest(folder: Path) -> Results | None:
    """The results taken last, if there are any."""
    return max(map(Results.read, folder.glob("*.json")), key=lambda results: results.taken, default=None)


def _short(value: float) -> float:
    """Five digits: more would be noise that looks like knowledge."""
    return float(f"{value:.5g}")
