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
    figure.savefig(unfinished, format=path.suffix[1:])
    unfinished.replace(path)
    plt.close(figure)
