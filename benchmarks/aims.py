"""Performance aims of the project, and whether figures meet them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .figures import Figure, Figures, Ratio, ratio

CPU: Final = "µs CPU/request"
RATE: Final = "requests/s"
PEERS: Final = ("Traffic Server", "nginx", "HAProxy")
FLOOR: Final = "floor"
"""Not a peer: the cost of the platform without mralab."""
RULES: Final = (10, 1_000, 100_000)
CLIENTS: Final = (64, 512, 4096, 10_000)


@dataclass(frozen=True, slots=True)
class Aim:
    """An aim and its result. ``bound`` applies to the median, as an upper bound (``at_most``) or a lower one."""

    text: str
    value: Ratio
    bound: float
    at_most: bool
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether the median is within the bound."""
        return self.value.median <= self.bound if self.at_most else self.value.median >= self.bound


def aims(figures: Figures) -> list[Aim]:
    """Return every aim whose figures were measured, in the order of README."""
    return [*_against_peers(figures), *_latency(figures), *_memory(figures), *_workers(figures), *_costs(figures)]


def _against_peers(figures: Figures) -> Iterator[Aim]:
    ours = figures.find("cpu", "per-request, 1 KB", "mralab", CPU)
    peers = [found for peer in PEERS if (found := figures.find("cpu", "per-request, 1 KB", peer, CPU))]
    if ours and peers:
        best = min(peers, key=lambda peer: peer.median)
        yield Aim(f"per-request: CPU against the best of three ({best.proxy})", ratio(ours, best), 0.75, at_most=True)
    yield from _ratio(
        figures, "keep-alive: CPU against Traffic Server", "cpu", "keep-alive, 1 KB", "Traffic Server", CPU, 0.8
    )
    for mode, bound in (("keep-alive", 4.0), ("per-request", 2.0)):
        yield from _ratio(
            figures,
            f"{mode}: requests/s against aiohttp",
            "cpu",
            f"{mode}, 1 KB",
            "aiohttp",
            RATE,
            bound,
            at_most=False,
        )
    yield from _ratio(
        figures, "refused handshakes: CPU for each attempt against Traffic Server", "refused", "two attempts, 502",
        "Traffic Server", "µs CPU/attempt", 0.8,
    )  # fmt: skip


def _latency(figures: Figures) -> Iterator[Aim]:
    for mode in ("keep-alive", "per-request"):
        work = f"{mode}, 60 % of mralab's peak"
        yield from _ratio(
            figures, f"{mode}: p99 at 60 % of its peak against nginx", "latency", work, "nginx", "ms p99", 1.2
        )


def _memory(figures: Figures) -> Iterator[Aim]:
    idle = [row["mralab"] for row in figures.rows("KB/client").values() if "mralab" in row]
    if idle:  # the last one has 10 000 clients, or as many as the limit on descriptors allows
        yield Aim(f"memory for each of {idle[-1].work}", _alone(idle[-1]), 12.0, at_most=True, unit="KB")
    growth = figures.find("memory", "growth over a load run", "mralab", "% of resident")
    if growth:
        yield Aim("memory: growth over a load run once warm", _alone(growth), 1.0, at_most=True, unit="%")


def _workers(figures: Figures) -> Iterator[Aim]:
    for unit, text in (("cores used", "CPU used"), (RATE, "requests/s")):
        one = figures.find("workers", "refused by the allow list, each head new", "mralab, 1 worker", unit)
        two = figures.find("workers", "refused by the allow list, each head new", "mralab, 2 workers", unit)
        if one and two:
            yield Aim(f"2 workers against 1: {text}", ratio(two, one), 1.8, at_most=False)


def _costs(figures: Figures) -> Iterator[Aim]:
    few, many = (figures.find("rules", f"{count} rules", "mralab", "µs/decision") for count in (RULES[0], RULES[-1]))
    if few and many:
        yield Aim("decision at 100 000 rules against 10", ratio(many, few), 1.25, at_most=True)
    plain = figures.find("relay", "http, 10 MB", "mralab", "GB/s of CPU")
    if plain:
        yield Aim("relay of a body, http upstream", _alone(plain), 1.0, at_most=False, unit="GB/s")
    yield from _ratio(
        figures, "relay of a body, TLS upstream, against nginx", "relay", "https, 10 MB", "nginx", "GB/s of CPU", 0.8,
        at_most=False,
    )  # fmt: skip
    start = figures.find("start", "mralab --help", "mralab", "ms")
    if start:
        yield Aim("mralab --help", _alone(start), 120.0, at_most=True, unit="ms")


def _ratio(
    figures: Figures, text: str, part: str, work: str, peer: str, unit: str, bound: float, *, at_most: bool = True
) -> Iterator[Aim]:
    ours, theirs = figures.find(part, work, "mralab", unit), figures.find(part, work, peer, unit)
    if ours and theirs:
        yield Aim(text, ratio(ours, theirs), bound, at_most)


def _alone(figure: Figure) -> Ratio:
    return Ratio(figure.median, *figure.spread, len(figure.values))
