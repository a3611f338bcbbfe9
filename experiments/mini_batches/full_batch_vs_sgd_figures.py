"""Cost and accuracy of every method on three clocks."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

TITLES = ("Step for step", "Example for example", "Second for second")
UNITS = ("steps", "examples read", "seconds of one run, compilation apart")


def compare(result: Any, num_steps: int, headline: str, *, films_cost: bool) -> Figure:
    """Cost and accuracy of every method against steps, examples (and operations), and seconds."""
    figure, axes = plots.new_figure(15, 8.5, rows=2, columns=3, sharey="row")
    for index, curve in enumerate(result.curves):
        together = curve.steps <= num_steps
        size, rate = result.batch_sizes[index], result.rates[index]
        label = f"{'full batch' if index == 0 else f'batches of {size:,}'}, rate {rate:g}"
        for column, scale in enumerate((1, size, result.seconds[index])):
            shown = together if column == 0 else slice(None)
            plots.seed_band(axes[0, column], curve.steps[shown] * scale, curve.cost[:, shown], index, label)
            plots.seed_band(axes[1, column], curve.steps[shown] * scale, 100 * curve.accuracy[:, shown], index, label)
    for row in axes:
        row[1].set_xscale("log")
        row[2].set_xscale("log")
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title)
        axis.set_yscale("log")
        plots.plain_log_ticks(axis.yaxis, (0.05, 0.1, 0.2, 0.5, 1, 2))
        if films_cost:  # ten balanced classes, every output 1/10: (1 - 1/10)^2 + 9/100 = 0.9
            plots.reference_line(axis, 0.9, "every output 0.1: cost 0.9")
    for axis, unit in zip(axes[1], UNITS, strict=True):
        axis.set_xlabel(unit)
    operations_below(axes[0, 1], result.flops_per_example)
    axes[0, 0].set_ylabel("cost on the training images")
    axes[1, 0].set_ylabel("correct on the test images, %")
    axes[0, 0].legend(fontsize=9)
    plots.headline(figure, headline.removesuffix("."))
    plots.note(figure, "median and range of the seeds")
    return figure


def operations_below(axis: Axes, per_example: float) -> None:
    """The same axis once more, in floating point operations."""
    operations = axis.secondary_xaxis(
        -0.09,
        functions=(lambda examples: np.asarray(examples) * per_example, lambda flops: np.asarray(flops) / per_example),
    )
    operations.set_xlabel("floating point operations (the same curves)", fontsize=9)
