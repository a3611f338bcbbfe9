"""The accuracy on the grid of batch sizes and rates; cost and sharpness along its diagonals."""

from typing import Any

import numpy as np

from experiments.common import plots

ON_THE_GRID = "Correct on the test images, %; along each line η/B is constant,\nthe star is where η = 2/sharpness"


def trainings(result: Any, lines: Any, settings: Any, headline: str, alike: float) -> plots.Figure:
    """Left the grid, its diagonals scaled together; then what happens along these."""
    figure, ((grid, cost, steepness),) = plots.new_figure(18, 6.5, columns=3, width_ratios=(1.25, 1, 1))
    accuracy_panel(grid, 100 * np.median(result.accuracy, axis=0), settings.learning_rates, settings.batch_sizes)
    sharpness, kept = np.median(result.sharpness, axis=1), lines.ratios <= alike
    for series, (rates, units, ratios) in enumerate(zip(lines.rates, lines.units, lines.ratios, strict=True)):
        colour, marker = plots.COLOURS[(series + 1) % len(plots.COLOURS)], plots.MARKERS[series % len(plots.MARKERS)]
        style: Any = {"color": colour, "linestyle": plots.LINES[series % len(plots.LINES)]}
        mark_diagonal(grid, rates, 2 / float(sharpness[series, 0]), settings.learning_rates, style)
        cost.plot(units, ratios, marker=marker, label=f"from η = {rates[0]:g},\nB = {settings.batch_sizes[0]}", **style)
        steepness.plot(rates, sharpness[series], linewidth=1, marker=marker, markersize=8, fillstyle="none", **style)
        near = kept[series]
        steepness.plot(rates[near], sharpness[series, near], color=colour, linestyle="", marker=marker, markersize=8)
    finish_cost(cost)
    finish_sharpness(steepness, np.unique(lines.rates), sharpness, sharpness[kept])
    epochs = f"{settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}"
    return plots.headline(figure, headline, f"medians; {epochs}")


def accuracy_panel(axis: plots.Axes, accuracy: np.ndarray, rates: tuple[float, ...], sizes: tuple[int, ...]) -> None:
    """The test accuracy, in %, of every training, rates to the right, batch sizes upwards."""
    axis.pcolormesh(np.ma.masked_invalid(accuracy), cmap="cividis", vmin=0, vmax=100, edgecolors="white")
    for (row, column), value in np.ndenumerate(accuracy):
        text = f"{value:.1f}" if np.isfinite(value) else "∞"
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=9, color="k" if value > 45 else "w")
    axis.set_xticks(np.arange(len(rates)) + 0.5, [f"{rate:g}" for rate in rates])
    axis.set_yticks(np.arange(len(sizes)) + 0.5, [f"{size:,}" for size in sizes])
    axis.grid(False)
    axis.set(xlabel="learning rate", ylabel="batch size", title=ON_THE_GRID)


def mark_diagonal(axis: plots.Axes, scaled: np.ndarray, limit: float, rates: tuple[float, ...], style: dict) -> None:
    """A line through the trainings of one diagonal, with a star where the rate is the limit."""
    columns, heights = np.arange(len(rates)), np.arange(len(scaled)) + 0.1
    places, at = (np.interp(np.log(value), np.log(rates), columns) for value in (scaled, limit))
    axis.plot(places + 0.5, heights, **style)
    star = {"color": style["color"], "markeredgecolor": "k", "markersize": 11, "zorder": 5}
    axis.plot(at + 0.5, np.interp(at, places, heights), "*", **star)


def finish_cost(axis: plots.Axes) -> None:
    """The axes of the cost on a diagonal over that of its smallest batch, and what theory says."""
    plots.plain_log_ticks(axis.yaxis, (0.5, 0.8, 1, 1.2, 1.5, 2, 3, 5, 10, 20))
    plots.plain_log_ticks(axis.xaxis, (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10))
    plots.reference_line(axis, 1, "the linear scaling rule")
    plots.limit_line(axis, 1, "k η = 2/sharpness")
    axis.set(xlabel="k η in units of 2/sharpness where the smallest batch ends", title="Cost along these lines",
             ylabel="cost after training with (k B, k η), over that with (B, η)")  # fmt: skip


def finish_sharpness(axis: plots.Axes, rates: np.ndarray, sharpness: np.ndarray, kept: np.ndarray) -> None:
    """The axes of the sharpness, framed about that of the trainings whose cost is `kept`, and the line 2/rate."""
    axis.plot(rates, 2 / rates, color="0.2", linewidth=1.2)
    low, high = kept.min() / 10, 3 * kept.max()
    outside = "\n(lines that leave the frame end on a plateau)" if sharpness.min() < low else ""
    axis.set(xscale="log", yscale="log", ylim=(low, high), xlabel="learning rate k η",
             ylabel="sharpness where the training ended", title=f"How steep it is where they end{outside}")  # fmt: skip
    plots.note(axis, "2/(k η)", (rates[-1], 2 / rates[-1]), (-10, 0), ha="right", color="0.2")
    plots.note(axis, "open: cost more than 10 % higher", (0.03, 0.03), unit=plots.IN_PANEL)
