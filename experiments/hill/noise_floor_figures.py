"""Constant and falling rates, and the floor and the gradient against eta/B."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

RATIOS = [digit * 10.0**power for power in range(-6, 2) for digit in (1, 3)]  # ticks of eta/B


class Grid(NamedTuple):
    """What was tried."""

    sizes: tuple[int, ...]
    rates: np.ndarray
    ratios: np.ndarray  # sizes, rates: eta/B


def new(headline: str) -> Figure:
    """The figure, with three axes."""
    figure, _ = plots.new_figure(16, 6.8, columns=3)
    plots.headline(figure, headline.removesuffix("."))
    plots.note(figure, "all after a long training")
    return figure


def curves(axis: Axes, result: Any, grid: Grid, num_epochs: int) -> None:
    """Cost of the smallest batches, every rate: constant, and from halfway falling to 0."""
    floor, row = result.shuffled, int(np.argmin(grid.sizes))
    half = floor.falling_cost.shape[-1]  # looks
    epochs = num_epochs * np.arange(2 * half + 1) / half
    for column, rate in enumerate(grid.rates):
        cost = np.concatenate([result.cost[:, None], floor.cost[:, row, column]], axis=1)
        fall = np.concatenate([cost[:, half][:, None], floor.falling_cost[:, row, column]], axis=1)
        colour = plots.COLOURS[column % len(plots.COLOURS)]
        axis.fill_between(epochs, cost.min(axis=0), cost.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        axis.plot(epochs, np.median(cost, axis=0), color=colour, label=f"η = {rate:g}")
        axis.plot(epochs[half:], np.median(fall, axis=0), color=colour, linestyle=(0, (3, 1.5)))
    axis.plot([], [], color="0.3", linestyle=(0, (3, 1.5)), label="falling to 0")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1))
    axis.set_xlabel("epochs after the long training")
    axis.set_ylabel("cost on the training set, median and range")
    axis.set_title(f"Batches of {grid.sizes[row]}: constant rates, and falling ones")
    axis.legend(loc="best")


def style(row: int) -> tuple[str, str]:
    """(marker, colour) of a batch size."""
    return plots.MARKERS[row % len(plots.MARKERS)], plots.COLOURS[row % len(plots.COLOURS)]


def against_ratio(axis: Axes) -> None:
    """Both axes logarithmic, eta/B to the right."""
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.xaxis, RATIOS)
    axis.set_xlabel("η/B")


def heights(axis: Axes, result: Any, grid: Grid, least_settled: float) -> None:
    """The floor against eta/B, both ways of sampling, with the theory's line; shaded where runs were too short."""
    ways = ((result.shuffled, "shuffled", "full"), (result.drawn, "with replacement", "none"))
    for row, size in enumerate(grid.sizes):
        marker, colour = style(row)
        for floor, name, fill in ways:
            axis.plot(
                grid.ratios[row], np.median(floor.heights[:, row], axis=0), marker, color=colour,
                fillstyle=fill, markersize=8, label=f"B = {size}, {name}",
            )  # fmt: skip
    order, theory = np.argsort(grid.ratios, axis=None), grid.ratios * np.median(result.drawn.scatter, axis=0) / 4
    axis.plot(
        grid.ratios.ravel()[order], theory.ravel()[order], color="0.2", linewidth=1.2, label="theory: (η/B) tr Σ / 4"
    )
    against_ratio(axis)
    low, high = axis.get_xlim()
    if low < least_settled:
        axis.axvspan(low, min(least_settled, high), color="0.9", zorder=0, label="too short a run to settle")
    axis.set_xlim(low, high)
    axis.set_ylabel("floor: cost above the end of the falling rate, median")
    factor = spread(np.median(result.shuffled.heights, axis=0), grid.ratios)
    title = f"The same η/B, the same height (within a factor of {factor:.2f})"
    axis.set_title(title if 1 < factor < 1.5 else "The floor against η/B")
    axis.legend(fontsize=9, loc="lower right")


def spread(floors: np.ndarray, ratios: np.ndarray) -> float:
    """The largest quotient of two floors with the same eta/B; infinite where a floor is not above 0, 1 where no two
    have the same."""
    if not (floors > 0).all():
        return float("inf")
    return max(float(floors[ratios == ratio].max() / floors[ratios == ratio].min()) for ratio in np.unique(ratios))


def norms(axis: Axes, result: Any, grid: Grid, settled: np.ndarray, *, failed: bool) -> None:
    """|G| on the floor, `settled` (seeds, sizes, rates), and at the end of the falling rate; shuffled batches."""
    for row, size in enumerate(grid.sizes):
        marker, colour = style(row)
        falling = result.shuffled.falling_norm[:, row, :, -1]
        for values, shape, name in ((settled[:, row], marker, "constant"), (falling, "x+"[row % 2], "after falling")):
            axis.plot(
                grid.ratios[row], np.median(values, axis=0), shape, color=colour, markersize=8,
                label=f"B = {size}, {name}",
            )  # fmt: skip
    plots.reference_line(axis, float(np.median(result.gradient_norm)), "end of the long training")
    against_ratio(axis)
    axis.set_ylabel("|G|, the full gradient, median")
    axis.set_title("The full gradient" + (" does not grow\nwith η/B all the way, against the claim" if failed else ""))
    axis.legend(fontsize=9)
