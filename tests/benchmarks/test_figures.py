"""Figures: medians, ratios, aims, tables, the results file, and README's block."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.aims import CPU, RATE, aims
from benchmarks.figures import Figure, Figures, Results, latest, ratio
from benchmarks.readme import RESULTS, ROOT, current_block
from benchmarks.table import aim_lines, columns, figure_lines, number, ratio_lines, readme_block


@pytest.fixture
def figures() -> Figures:
    figures = Figures()
    for proxy, costs in (("mralab", (30, 66, 45)), ("Traffic Server", (30, 60, 50)), ("nginx", (20, 40, 30))):
        for cost in costs:
            figures.add("cpu", "keep-alive, 1 KB", proxy, CPU, cost)
            figures.add("cpu", "per-request, 1 KB", proxy, CPU, 10 * cost if proxy != "mralab" else 2 * cost)
            figures.add("cpu", "keep-alive, 1 KB", proxy, RATE, 1e6 / cost)
    return figures


@pytest.fixture
def results(figures: Figures) -> Results:
    machine = {"cores": "2", "processor": "AMD EPYC", "kernel": "6.1", "Python": "3.13.1"}
    return Results("2026-11-25T13:00:00Z", machine, {"seconds": 4, "rounds": 3, "clients": 64}, ("equal",), figures)


def figure(*values: float) -> Figure:
    return Figure("part", "work", "proxy", "unit", values)


def test_a_ratio_is_taken_round_by_round() -> None:
    found = ratio(figure(10, 20, 30), figure(10, 10, 10))
    assert (found.median, found.low, found.high) == (2, 1, 3)
    # The machine was half as fast in the second round: the ratio does not change.
    assert ratio(figure(10, 20), figure(5, 10)).high == 2


def test_a_round_without_a_value_for_both_is_left_out() -> None:
    assert ratio(figure(2, 100), figure(1)).high == 2


def test_the_median_decides_whether_an_aim_is_met(figures: Figures) -> None:
    by_text = {aim.text: aim for aim in aims(figures)}
    assert by_text["keep-alive: CPU against Traffic Server"].value.median == 1.0
    assert not by_text["keep-alive: CPU against Traffic Server"].met  # the bound is 0.8
    best = by_text["per-request: CPU against the best of three (nginx)"]
    assert best.met
    assert best.value.median == pytest.approx(0.3)
    assert not any("aiohttp" in text for text in by_text)  # not measured
    for _ in range(3):
        figures.add("cpu", "keep-alive, 1 KB", "aiohttp", RATE, 1e6 / 90)
    rate = next(aim for aim in aims(figures) if "aiohttp" in aim.text)
    assert (rate.met, rate.at_most) == (False, False)  # twice the rate; the bound is four times


def test_the_table_shows_median_spread_and_ratio(figures: Figures) -> None:
    shown = [line.split() for line in figure_lines(figures)]
    assert ["keep-alive,", "1", "KB", "mralab", "45", "30-66"] in shown
    assert ["keep-alive,", "1", "KB", "nginx", "30", "20-40", "1.50", "(1.50-1.65)"] in shown
    assert ["keep-alive,", "1", "KB", "Traffic", "Server", "50", "30-60", "1.00", "(0.90-1.10)"] in shown


def test_aims_that_are_not_met_stand_out() -> None:
    figures = Figures([Figure("start", "mralab --help", "mralab", "ms", (180.0, 150.0, 170.0))])
    assert aim_lines(aims(figures))[1].split() == [
        *("mralab", "--help", "170", "ms", "150", "to", "180", "at", "most", "120", "ms", "NOT", "MET")
    ]


def test_quick_ratios_are_empty_where_nothing_was_measured(figures: Figures) -> None:
    lines = ratio_lines(figures)
    assert lines[1].split() == ["Traffic", "Server", "1.00", "(0.90-1.10)", "0.20", "(0.18-0.22)"]
    assert lines[3] == "HAProxy"


def test_columns_are_aligned() -> None:
    assert columns([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc  d"]


@pytest.mark.parametrize(("value", "shown"), [(0.123456, "0.123"), (12.345, "12.3"), (12345.6, "12346"), (100, "100")])
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_results_are_read_back_and_the_latest_is_taken(results: Results, tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    results.write(tmp_path / "a.json")
    earlier = Results("2026-11-24T13:00:00Z", results.machine, results.settings, (), Figures())
    earlier.write(tmp_path / "b.json")
    found = latest(tmp_path)
    assert found is not None
    assert (found.taken, found.proved, readme_block(found)) == (results.taken, ("equal",), readme_block(results))


def test_readme_block_has_the_machine_the_costs_and_the_aims(results: Results) -> None:
    block = readme_block(results)
    assert "2 cores of AMD EPYC" in block
    assert "| nginx | 30 µs (20-40), 33333/s |" in block
    assert "| keep-alive: CPU against Traffic Server | 1x (0.9 to 1.1) | at most 0.8x | not met |" in block
    assert current_block(f"before\n{block}\nafter") == block


def test_readme_says_what_was_measured_in_fewer_rounds(results: Results) -> None:
    for proxy, value in (("mralab", 6.0), ("nginx", 5.0)):
        results.figures.add("latency", "per-request, 60 % of mralab's peak", proxy, "ms p99", value)
    settings = {**results.settings, "failed": ["latency: the rate was not reached"]}
    block = readme_block(Results(results.taken, results.machine, settings, (), results.figures))
    assert "| per-request: p99 at 60 % of its peak against nginx | 1.2x (one run) | at most 1.2x | met |" in block
    assert block.splitlines()[-2] == "Not measured in every round: latency: the rate was not reached."
    assert "Not measured" not in readme_block(results)


def test_readme_has_the_latest_figures() -> None:
    assert current_block((ROOT / "README.md").read_text("utf-8")) == readme_block(latest(RESULTS)), (
        "run: python -m benchmarks.readme"
    )
