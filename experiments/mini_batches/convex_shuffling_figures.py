"""How near each way of drawing comes to a known optimum."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common import plots

MARKERS = "os^Dv"
NAMES = ("shuffled anew", "shuffled once", "drawn by lot", "as stored", "sorted by label")


def distances(result: Any, rates: np.ndarray, headline: str, foot: str) -> Figure:
    """The mean squared distance to the optimum against the rate: markers measured, lines theory."""
    figure, axes = plots.new_figure(8, 6)
    axis = axes[0, 0]
    bias, variance = result.anew
    theories = (bias + variance, None, result.by_lot, *result.resting)
    for series, (name, theory) in enumerate(zip(NAMES, theories, strict=True)):
        colour = plots.COLOURS[series]
        axis.plot(
            rates, result.distance[series].mean(axis=0), MARKERS[series], color=colour, markersize=7,
            label=f"{name}: slope {result.slopes[series]:.2f}",
        )  # fmt: skip
        if theory is not None:
            axis.plot(rates, theory, color=colour, linestyle=plots.LINES[series], linewidth=1.4)
    axis.plot(rates, bias, color="0.4", linewidth=1, linestyle=(0, (1, 3)), label="the bias of reshuffling alone, η²")
    axis.plot([], [], color="0.3", linewidth=1.4, label="lines: theory, nothing fitted (shuffled anew: of small steps)")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("learning rate η")
    axis.set_ylabel("mean squared distance to the optimum, ends of epochs")
    axis.legend(fontsize=9, loc="lower right")
    plots.headline(figure, headline.removesuffix("."))
    plots.own_foot(figure, f"least squares with a ridge, one image a step; {foot}")
    return figure
