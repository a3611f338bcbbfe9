"""Where blame and repair lie after one layer was damaged, and how far the last layer comes alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from experiments.one_example.avenues_figures import draw_costs

WAYS = ("all layers at once", "the last layer alone")


def blame(result: Any, settings: Any, cases: Sequence[float], wish: float | None) -> Figure:
    """Where the gradient grows, which layer repairs, and how far the last layer comes alone.

    `cases`: % of seeds and layers in which the damaged layer's share of the gradient rises, rises the most of all, and
    in which it is its own best repair; `wish` is the share that was hoped for, where it was missed.
    """
    rising, most, best = cases
    figure, axes = plots.new_figure(16, 5.5, columns=3)
    left, middle, right = axes[0]
    grown, mended = np.median(result.blame, axis=0), 100 * np.median(result.repaired, axis=0)
    draw_matrix(left, grown, "{:+.1f}", "doublings of its share of |G|$^2$ by the damage", "layer that is looked at")
    left.set_title(f"Where the gradient grows (the most: bold):\nin the damaged layer in {most:.0f} % of cases")
    undone = f"damage undone in {settings.repair_steps} steps"
    draw_matrix(middle, mended, "{:.0f} %", undone, "the one layer that may learn")
    middle.set_title("One layer alone may learn:\nthe best repairer is bold")
    draw_costs(right, result.costs, settings, WAYS)
    together, alone = np.median(result.costs[:, :, -1], axis=0)
    right.set_title(f"The last layer alone ends at {alone:.2f},\nall at {together:.2f}")
    plots.headline(
        figure,
        f"Does the gradient show which layer was shuffled? Its share grows in {rising:.0f} % of cases; training "
        f"that layer alone is the best repair in {best:.0f} %" + (f" ({wish:.0f} % was hoped for)" if wish else ""),
    )
    plots.note(figure, f"costs and gradients on {settings.num_looked_at:,} of the images; median and range")
    return figure


def draw_matrix(axis: Axes, matrix: np.ndarray, form: str, numbers: str, columns: str) -> None:
    """A square of numbers (damaged layer, layer); the largest of every row is bold."""
    largest = np.abs(matrix).max()
    axis.imshow(matrix, cmap="PuOr_r", vmin=-largest, vmax=largest)
    axis.grid(visible=False)
    for (row, column), value in np.ndenumerate(matrix):
        strong = abs(value) > 0.6 * largest
        axis.annotate(form.format(value), (column, row), ha="center", va="center", fontsize=13,
                      fontweight="bold" if column == matrix[row].argmax() else "normal",
                      color="white" if strong else "black")  # fmt: skip
    names = [str(layer + 1) for layer in range(len(matrix))]
    axis.set_xticks(range(len(matrix)), names)
    axis.set_yticks(range(len(matrix)), names)
    axis.set_xlabel(f"{columns}\n({numbers}; median of seeds)")
    axis.set_ylabel("layer whose weights were shuffled")
