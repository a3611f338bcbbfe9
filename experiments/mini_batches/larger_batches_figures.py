"""The accuracy on the grid of batch sizes and rates; cost and sharpness along its diagonals."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

Sizes = tuple[int, ...]


def trainings(result: Any, lines: Any, settings: Any, headline: str) -> Figure:
    """Left the grid, its diagonals scaled together; then what happens along these."""
    figure, axes = plots.new_figure(18, 6.5, columns=3, width_ratios=(1.25, 1, 1))
    grid, cost, steepness = axes[0]
    accuracy_panel(grid, np.median(result.accuracy, axis=0), settings.learning_rates, settings.batch_sizes)
    sharpness = np.median(result.sharpness, axis=1)
    for series, (rates, steepest) in enumerate(zip(lines.rates, sharpness, strict=True)):
        mark_diagonal(grid, series, rates, 2 / float(steepest[0]), settings.learning_rates)
    ratio_panel(cost, lines, settings.batch_sizes[0])
    sharpness_panel(steepness, lines, sharpness, settings.batch_sizes[0])
    plots.headline(figure, headline.removesuffix("."))
    plots.note(figure, f"medians; {settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}")
    return figure


def accuracy_panel(axis: Axes, accuracy: np.ndarray, rates: tuple[float, ...], sizes: Sizes) -> None:
    """The test accuracy of every training, rates to the right, batch sizes upwards."""
    axis.pcolormesh(100 * np.ma.masked_invalid(accuracy), cmap="cividis", vmin=0, vmax=100, edgecolors="white")
    for (row, column), value in np.ndenumerate(100 * accuracy):
        text = f"{value:.1f}" if np.isfinite(value) else "∞"
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=9, color="k" if value > 45 else "w")
    axis.set_xticks(np.arange(len(rates)) + 0.5, [f"{rate:g}" for rate in rates])
    axis.set_yticks(np.arange(len(sizes)) + 0.5, [f"{size:,}" for size in sizes])
    axis.grid(False)
    axis.set_xlabel("learning rate")
    axis.set_ylabel("batch size")
    axis.set_title("Correct on the test images, %; along each line η/B is constant,\nthe star is where η = 2/sharpness")


def mark_diagonal(axis: Axes, series: int, scaled: np.ndarray, limit: float, rates: tuple[float, ...]) -> None:
    """A line through the trainings of one diagonal, with a star where the rate is the limit."""
    places, heights = np.interp(np.log(scaled), np.log(rates), np.arange(len(rates))), np.arange(len(scaled)) + 0.2
    colour = plots.COLOURS[(series + 1) % len(plots.COLOURS)]
    axis.plot(places + 0.5, heights, color=colour, linestyle=plots.LINES[series % len(plots.LINES)])
    at = np.interp(np.log(limit), np.log(rates), np.arange(len(rates)))
    axis.plot(at + 0.5, np.interp(at, places, heights), "*", color=colour, markeredgecolor="k", markersize=15, zorder=5)


def style(series: int) -> dict[str, Any]:
    """Colour and line of a diagonal."""
    return {
        "color": plots.COLOURS[(series + 1) % len(plots.COLOURS)],
        "linestyle": plots.LINES[series % len(plots.LINES)],
    }


def ratio_panel(axis: Axes, lines: Any, size: int) -> None:
    """The cost of every training on a diagonal over that of its smallest batch, against k eta over 2/sharpness."""
    for series, (rates, units, ratios) in enumerate(zip(lines.rates, lines.units, lines.ratios, strict=True)):
        marker = plots.MARKERS[series % len(plots.MARKERS)]
        axis.plot(units, ratios, marker=marker, label=f"from B = {size}, η = {rates[0]:g}", **style(series))
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.5, 0.8, 1, 1.2, 1.5, 2, 3, 5, 10, 20))
    plots.plain_log_ticks(axis.xaxis, (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10))
    plots.reference_line(axis, 1, "the linear scaling rule")
    plots.limit_line(axis, 1, "k η = 2/sharpness")
    axis.set_xlabel("k η in units of 2/sharpness where the smallest batch ends")
    axis.set_ylabel("cost after training with (k B, k η), over that with (B, η)")
    axis.set_title("Cost along these lines")
    axis.legend(loc="upper left")


def sharpness_panel(axis: Axes, lines: Any, sharpness: np.ndarray, size: int) -> None:
    """The sharpness (diagonals, sizes) where every training ended, against its rate, with the line 2/rate."""
    for series, (rates, steepest, kept) in enumerate(zip(lines.rates, sharpness, lines.alike, strict=True)):
        colour, marker = style(series)["color"], plots.MARKERS[series % len(plots.MARKERS)]
        axis.plot(rates, steepest, linewidth=1, **style(series))
        label = f"from B = {size}, η = {rates[0]:g}"
        axis.plot(rates[kept], steepest[kept], marker, color=colour, markersize=8, label=label)
        axis.plot(rates[~kept], steepest[~kept], marker, color=colour, markersize=8, fillstyle="none")
    axis.plot([], [], "o", color="0.4", fillstyle="none", label="cost more than 10 % higher")
    everywhere = np.unique(lines.rates)
    axis.plot(everywhere, 2 / everywhere, color="0.2", linewidth=1.2, label="2/(k η)")
    axis.set_xscale("log")
    axis.set_yscale("log")
    seen = sharpness[lines.alike & (sharpness > 0)]
    below = ""
    if seen.size:
        axis.set_ylim(seen.min() / 10, 3 * seen.max())
        below = "\n(lines that leave the frame end on a plateau)" if sharpness.min() < seen.min() / 10 else ""
    axis.set_xlabel("learning rate k η")
    axis.set_ylabel("sharpness where the training ended")
    axis.set_title(f"How steep it is where they ended{below}")
    axis.legend(loc="lower left", fontsize=9)
