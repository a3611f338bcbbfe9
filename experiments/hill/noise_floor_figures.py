"""Constant and falling rates, and the floor and the gradient against eta/B."""

from typing import Any

import numpy as np

from experiments.common import plots
from experiments.common.floors import settled

RATIOS = [digit * 10.0**power for power in range(-6, 2) for digit in (1, 3)]  # ticks of eta/B
LEVELS = [digit * 10.0**power for power in range(-6, 2) for digit in (1, 2, 5)]  # ticks of floors and gradients
COSTS = (0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
DASHED = (0, (3, 1.5))


def curves(axis: plots.Axes, result: Any, settings: Any) -> None:
    floor, row = result.shuffled, int(np.argmin(settings.batch_sizes))
    half = settings.num_looks
    epochs = settings.num_epochs * np.arange(2 * half + 1) / half
    for column, rate in enumerate(settings.learning_rates):
        cost = np.concatenate([result.cost[:, None], floor.cost[:, row, column]], axis=1)
        fall = np.concatenate([cost[:, half][:, None], floor.falling_cost[:, row, column]], axis=1)
        colour = plots.COLOURS[column % len(plots.COLOURS)]
        axis.fill_between(epochs, cost.min(axis=0), cost.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        axis.plot(epochs, np.median(cost, axis=0), color=colour, label=f"η = {rate:g}")
        axis.plot(epochs[half:], np.median(fall, axis=0), color=colour, linestyle=DASHED)
    axis.set(yscale="log", xlabel="epochs after the long training", ylabel="cost on the training set, median and range",
             title=f"Batches of {settings.batch_sizes[row]}: constant rates; dashed: falling to 0")  # fmt: skip
    plots.plain_log_ticks(axis.yaxis, COSTS)


def shown(floor: Any) -> np.ndarray:
    """(sizes, rates): the cases that are drawn, those at rest, or all where none is."""
    return floor.at_rest if floor.at_rest.any() else np.full(floor.at_rest.shape, True)


def points(axis: plots.Axes, row: int, ratios: np.ndarray, values: np.ndarray, **options: Any) -> None:
    """The medians over seeds of `values` (seeds, rates) of one batch size against eta/B, both axes logarithmic."""
    options = {"marker": plots.MARKERS[row % len(plots.MARKERS)], "markersize": 8, **options}
    colour = plots.COLOURS[row % len(plots.COLOURS)]
    axis.plot(ratios, np.median(values, axis=0), linestyle="", color=colour, **options)
    plots.panel(axis, x="η/B", log_x=RATIOS, log_y=LEVELS)


def heights(axis: plots.Axes, result: Any, settings: Any, ratios: np.ndarray) -> None:
    """The floor against eta/B, both ways of sampling, where it is at rest, with what theory says."""
    for row, size in enumerate(settings.batch_sizes):
        for floor, style in ((result.shuffled, "full"), (result.drawn, "none")):
            rest = shown(floor)[row]
            points(axis, row, ratios[row, rest], floor.heights[:, row, rest], fillstyle=style)
        colour = plots.COLOURS[row % len(plots.COLOURS)]
        plots.note(axis, f"{plots.SIGNS[row % 6]} B = {size}", (0.98, 0.18 + 0.05 * row), unit=plots.IN_PANEL,
                   ha="right", color=colour)  # fmt: skip
    drawn = shown(result.shuffled) | shown(result.drawn)
    at, theory = ratios[drawn], (ratios * np.median(result.drawn.scatter, axis=0) / 4)[drawn]
    axis.plot(at, theory, "_", color="0.2", markersize=20, markeredgewidth=1.5)
    floors = np.median(result.shuffled.heights, axis=0)
    pairs = [floors[result.shuffled.at_rest & (ratios == ratio)] for ratio in np.unique(ratios)]
    factor = max((pair.max() / pair.min() for pair in pairs if len(pair) > 1), default=np.inf)
    same = f"The same η/B, the same height (within a factor of {factor:.2f})"
    axis.set(ylabel="floor: cost above the end of the falling rate, median",
             title=same if 1 < factor < 1.5 else "The floor against η/B")  # fmt: skip
    says = "dashes: theory, (η/B) tr Σ / 4\nfilled: shuffled\nopen: with replacement"
    plots.note(axis, says, (0.98, 0.03), unit=plots.IN_PANEL, ha="right")


def norms(axis: plots.Axes, result: Any, settings: Any, ratios: np.ndarray) -> None:
    constant, falling = settled(result.shuffled.gradient_norm), result.shuffled.falling_norm[..., -1]
    for row in range(len(settings.batch_sizes)):
        rest = shown(result.shuffled)[row]
        points(axis, row, ratios[row, rest], constant[:, row, rest])
        points(axis, row, ratios[row, rest], falling[:, row, rest], marker="x+"[row % 2])
    plots.reference_line(axis, float(np.median(result.gradient_norm)), "end of the long training")
    axis.set(ylabel="|G|, the full gradient, median", title="The full gradient")
    last = np.unravel_index(np.where(shown(result.shuffled), ratios, 0).argmax(), ratios.shape)
    for norms_of, name, above in ((constant, "constant rate", 12), (falling, "after falling to 0", -18)):
        plots.note(axis, name, (ratios[last], np.median(norms_of[(slice(None), *last)])), (8, above), ha="right")
