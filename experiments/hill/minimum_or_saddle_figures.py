"""The cost along two directions at the end of a long training, and the eigenvalues that belong to them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def the_end(result: Any, lengths: np.ndarray, tolerance: float) -> Figure:
    """The cost along the steepest and the most downward curved direction, and the smallest over the largest."""
    figure, axes = plots.new_figure(15, 5.4, columns=3)
    for index, name in enumerate(("largest", "smallest")):
        draw_slices(axes[0, index], lengths, result.along[:, index] - result.cost[:, None], name)
    axes[0, 0].legend(fontsize=9)
    draw_shares(axes[0, 2], result.shares, tolerance)
    plots.headline(figure, about_the_end(result, tolerance))
    norm, off = np.median(result.gradient_norm), np.max(result.residuals / result.largest[:, None])
    plots.note(figure, f"|G| there {norm:.2g}; the eigenvalues are off by {off:.1g} of the largest at most")
    return figure


def draw_slices(axis: Axes, lengths: np.ndarray, rises: np.ndarray, name: str) -> None:
    """How the cost (seeds, lengths) rises and falls along the direction of one curvature."""
    for seed, rise in enumerate(rises):
        colour, line = plots.COLOURS[seed % len(plots.COLOURS)], plots.LINES[seed % len(plots.LINES)]
        axis.plot(lengths, rise, color=colour, linestyle=line, linewidth=1.6, label=f"seed {seed}")
    axis.axhline(0, color="0.4", linewidth=1)
    axis.set_xticks([-1, -0.5, 0, 0.5, 1])
    axis.set_xlabel("distance from the end of the long training")
    axis.set_ylabel("cost, less that at the end")
    axis.set_title(f"Along the direction of the {name} curvature")
    if name == "smallest" and rises.min() < 0:  # what falls is a thousandth of what rises
        axis.set_ylim(1.5 * rises.min(), -4 * rises.min())
        axis.set_title("Along the direction of the smallest curvature, enlarged")


def draw_shares(axis: Axes, shares: np.ndarray, tolerance: float) -> None:
    """Smallest over largest eigenvalue of every seed."""
    seeds, limit = np.arange(len(shares)), 100 * tolerance
    axis.bar(seeds, 100 * shares, color=plots.COLOURS[0], width=0.6)
    axis.axhspan(-limit, limit, color="0.8", zorder=0, label=f"called flat: within {limit:g} %")
    axis.axhline(0, color="0.4", linewidth=1)
    axis.set_xticks(seeds)
    axis.set_xlabel("seed")
    axis.set_ylabel("smallest over largest eigenvalue of the Hessian, %")
    axis.set_title("The smallest curvature")
    axis.legend()


def about_the_end(result: Any, tolerance: float) -> str:
    """How many seeds end where the surface curves down, and how little; or that none was seen to."""
    saddles = result.shares < -tolerance
    if not saddles.any():
        return "Where a long training ends, no direction was found in which the surface clearly curves down"
    falls = result.cost - result.along[:, 1].min(axis=1)
    return (
        f"Where a long training ends, {saddles.sum()} of {len(saddles)} seeds stand on no minimum: the surface curves "
        f"down in a direction, but within a distance of 1 only by {np.median(falls[saddles]):.1g} from "
        f"{np.median(result.cost):.3f}"
    )
