"""How far apart k steps and one end, and the cost that they come to."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def steps(result: Any, x: np.ndarray, settings: Any, headline: str) -> Figure:
    """Left the distance between k steps and one, all on one line; right the cost that they come to."""
    figure, axes = plots.new_figure(15, 6, columns=3)
    draw_distance(axes[0, 0], result, x, settings.num_batches)
    largest = int(np.argmax(settings.num_batches))
    for axis, (place, locals_) in zip(axes[0, 1:], result.places.items(), strict=True):
        draw_cost(axis, locals_[largest], x, settings.num_batches[largest])
        axis.set_title(f"What they come to, {place}")
    for axis, where in zip(axes[0], ("upper left", "lower left", "upper left"), strict=True):
        plots.limit_line(axis, 2, "k η = 2/λ")
        axis.set(xscale="log", xlabel="k η λ")
        axis.legend(loc=where, fontsize=9)
    foot = f"medians and ranges; λ: sharpness of the cost of the k B examples, B = {settings.batch_size}"
    return plots.headline(figure, headline, foot)


def in_units_of_theory(local: Any, num_batches: int) -> np.ndarray:
    """The distance, median over seeds, in units in which the theory is x^2."""
    return np.median(local.distance * ((num_batches * local.sharpness) ** 2 / local.theory)[:, None], axis=0)


def off_theory(result: Any, x: np.ndarray, numbers: tuple[int, ...], near: float) -> tuple[float, float]:
    """(x, the largest share of all places and k by which the median distance is off the second order), at the x that is
    nearest to this."""
    at = int(np.abs(np.log(x / near)).argmin())
    pairs = [pair for locals_ in result.places.values() for pair in zip(locals_, numbers, strict=True)]
    return x[at], max(float(abs(in_units_of_theory(*pair)[at] / x[at] ** 2 - 1)) for pair in pairs)


def draw_distance(axis: Axes, result: Any, x: np.ndarray, numbers: tuple[int, ...]) -> None:
    axis.plot(x, x**2, color="0.2", linewidth=1.2, label="theory: η² |Σⱼ Hⱼ Σ$_{i<j}$ gᵢ|, slope 2")
    for row, (place, locals_) in enumerate(result.places.items()):
        for column, (number, local) in enumerate(zip(numbers, locals_, strict=True)):
            series = row * len(numbers) + column
            axis.plot(
                x, in_units_of_theory(local, number), plots.MARKERS[series % len(plots.MARKERS)],
                color=plots.COLOURS[series % len(plots.COLOURS)], fillstyle="none" if row else "full", markersize=6,
                label=f"k = {number}, {place}",
            )  # fmt: skip
    axis.set(yscale="log", title="How far apart they end")
    axis.set_ylabel("distance between the ends, in units of |Σⱼ Hⱼ Σ$_{i<j}$ gᵢ| / (k λ)²")


def draw_cost(axis: Axes, local: Any, x: np.ndarray, num_batches: int) -> None:
    shown = x >= 0.03
    costs = {f"after {num_batches} steps, η": local.after_many, f"after one, {num_batches} η": local.after_one}
    for series, (label, cost) in enumerate(costs.items()):
        plots.seed_band(axis, x[shown], (cost / local.start[:, None])[:, shown], series, label)
    plots.plain_log_ticks(axis.yaxis, (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10))
    axis.axhline(1, color="0.4", linewidth=1, linestyle=(0, (2, 2)), label="before")
    axis.set_ylabel("cost of the k B examples, over that before")
