"""What several figures share: numpy arrays in, matplotlib axes drawn on. Imports nothing else of research.

Colours are Okabe and Ito's, which colour-blind readers tell apart; every series has a line style of its own as well,
so that a figure survives a grey printer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (3, 3)), "-")

STYLE: Any = {
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
}


def new_figure(
    width: float | int, height: float | int, rows: int = 1, columns: int = 1, **options
) -> tuple[Figure, np.ndarray]:
    """A figure of width x height inches in the house style, with a (rows, columns) array of axes.

    >>> figure, axes = new_figure(4, 3, columns=2)
    >>> axes.shape
    (1, 2)
    >>> plt.close(figure)
    """
    with mpl.rc_context(STYLE):
        return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False, **options)


def seed_band(axes: Axes, x: np.ndarray, y: np.ndarray, series: int, label: str) -> None:
    """The median over seeds as a line, and all of them as a band: x is (points,), y is (seeds, points).

    `series` chooses colour and line style; the same number means the same method in every panel.

    >>> figure, axes = new_figure(4, 3)
    >>> seed_band(axes[0, 0], np.arange(3.0), np.ones((2, 3)), 0, "flat")
    >>> plt.close(figure)
    """
    colour, line = COLOURS[series % len(COLOURS)], LINES[series % len(LINES)]
    axes.fill_between(x, y.min(axis=0), y.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, np.median(y, axis=0), color=colour, linestyle=line, label=label)


def reference_line(axes: Axes, y: float | int, text: str) -> None:
    """A thin horizontal line at a known value, named at its right end inside the axes.

    >>> figure, axes = new_figure(4, 3)
    >>> reference_line(axes[0, 0], 0.9, "every output 0.1")
    >>> plt.close(figure)
    """
    axes.axhline(y, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(
        text, (1, y), xycoords=("axes fraction", "data"), xytext=(-2, 3), textcoords="offset points",
        ha="right", va="bottom", fontsize=9, color="0.3",
    )  # fmt: skip


def plain_log_ticks(axis: Axis, ticks: Sequence[float | int]) -> None:
    """Labels a logarithmic axis with these plain numbers instead of powers of ten.

    >>> figure, axes = new_figure(4, 3)
    >>> axes[0, 0].set_yscale("log")
    >>> plain_log_ticks(axes[0, 0].yaxis, (0.1, 0.5, 1))
    >>> plt.close(figure)
    """
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def save(figure: Figure, path: Path) -> None:
    """Writes the figure beside its place, moves it there when it is complete, and closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    try:
        figure.savefig(unfinished, format=path.suffix[1:])
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
        plt.close(figure)


Numbers = np.ndarray | float | int


def wishes(
    axes: Axes, x: Numbers, y: Numbers, values: np.ndarray, *, largest: float | None = None, size: float | int = 120
) -> None:
    """A triangle for every value: up (blue) what should rise, down (vermillion) what should fall; its area is |value|.

    The direction carries the sign, so that the picture survives grey print. A value of `largest` (default: the
    largest of them all) gets an area of `size` points squared.

    >>> figure, axes = new_figure(4, 3)
    >>> wishes(axes[0, 0], np.arange(3), 0, np.array([1.0, -0.5, 0.0]))
    >>> plt.close(figure)
    """
    x, y, values = np.broadcast_arrays(x, y, values)
    areas = size * np.abs(values) / (largest or np.abs(values).max() or 1)
    for marker, colour, chosen in (("^", COLOURS[0], values > 0), ("v", COLOURS[1], values < 0)):
        axes.scatter(x[chosen], y[chosen], s=areas[chosen], marker=marker, color=colour, linewidths=0, zorder=4)


def network(
    axes: Axes, activations: Sequence[np.ndarray], weights: Sequence[np.ndarray], *, max_edges: int = 60
) -> list[np.ndarray]:
    """The film's picture: every layer a column of neurons, black at 0, white at 1; the strongest weights as lines.

    Layer l stands at x = l; its neurons, number 0 on top, between y = 0 and 1. At most `max_edges` lines a layer, as
    thick as the weight is strong; positive ones solid, negative ones dashed. Returns each layer's y.

    >>> figure, axes = new_figure(4, 3)
    >>> heights = network(axes[0, 0], [np.ones(3), np.zeros(2)], [np.ones((2, 3))])
    >>> [len(height) for height in heights]
    [3, 2]
    >>> plt.close(figure)
    """
    heights = [(0.5 + np.arange(len(layer)))[::-1] / len(layer) for layer in activations]
    for layer, matrix in enumerate(weights):
        _edges(axes, layer, heights[layer], heights[layer + 1], matrix, max_edges)
    for layer, (lit, y) in enumerate(zip(activations, heights, strict=True)):
        size = min(130.0, 3200 / len(lit))
        axes.scatter(
            np.full(len(lit), layer), y, s=size, c=np.clip(lit, 0, 1), cmap="gray", vmin=0, vmax=1,
            edgecolors="0.2", linewidths=0.8, zorder=3,
        )  # fmt: skip
    axes.axis("off")
    return heights


def _edges(axes: Axes, x: int, left: np.ndarray, right: np.ndarray, matrix: np.ndarray, max_edges: int) -> None:
    strongest = np.argsort(-np.abs(matrix), axis=None)[:max_edges]
    for after, before in zip(*np.unravel_index(strongest, matrix.shape), strict=True):
        weight, share = matrix[after, before], abs(matrix[after, before]) / (np.abs(matrix).max() or 1)
        colour, line = (COLOURS[0], "-") if weight > 0 else (COLOURS[1], (0, (3, 2)))
        axes.plot(
            [x, x + 1], [left[before], right[after]], color=colour, linestyle=line, linewidth=2 * share,
            alpha=0.25 + 0.5 * share, zorder=1,
        )  # fmt: skip
