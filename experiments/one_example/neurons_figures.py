"""A network as the film draws it, and what each of its neurons wants."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.common import plots

MOST_LINES = 60  # between two layers


def triangles(axes: plots.Axes, x: Any, y: Any, values: np.ndarray, size: float, largest: float | None = None) -> None:
    """A triangle for every value: up (blue) what should rise, down (vermillion) what should fall. Its area is |value|:
    `size` points squared for a value of `largest`, by default the largest of them all."""
    x, y, values = np.broadcast_arrays(x, y, values)
    areas = size * np.abs(values) / (largest or np.abs(values).max() or 1)
    for marker, colour, chosen in (("^", plots.COLOURS[0], values > 0), ("v", plots.COLOURS[1], values < 0)):
        axes.scatter(x[chosen], y[chosen], s=areas[chosen], marker=marker, color=colour, linewidths=0, zorder=4)


def neurons(axes: plots.Axes, activations: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The film's picture: every layer a column of neurons, black at 0, white at 1; the strongest weights as lines, as
    thick as they are strong, positive ones solid, negative ones dashed.
    Layer l stands at x = l; its neurons, number 0 on top, between y = 0 and 1. Returns each layer's y."""
    heights = [(0.5 + np.arange(len(layer)))[::-1] / len(layer) for layer in activations]
    for layer, matrix in enumerate(weights):
        strongest = np.argsort(-np.abs(matrix), axis=None)[:MOST_LINES]
        for after, before in zip(*np.unravel_index(strongest, matrix.shape), strict=True):
            share = abs(matrix[after, before]) / (np.abs(matrix).max() or 1)
            colour, line = (plots.COLOURS[0], "-") if matrix[after, before] > 0 else (plots.COLOURS[1], (0, (3, 2)))
            axes.plot([layer, layer + 1], [heights[layer][before], heights[layer + 1][after]], color=colour,
                      linestyle=line, linewidth=2 * share, alpha=0.25 + 0.5 * share, zorder=1)  # fmt: skip
    for layer, (lit, y) in enumerate(zip(activations, heights, strict=True)):
        axes.scatter(np.full(len(lit), layer), y, s=min(130.0, 3200 / len(lit)), c=np.clip(lit, 0, 1), cmap="gray",
                     vmin=0, vmax=1, edgecolors="0.2", linewidths=0.8, zorder=3)  # fmt: skip
    axes.axis("off")
    return heights
