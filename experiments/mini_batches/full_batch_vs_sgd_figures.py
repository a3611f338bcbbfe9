"""Cost and accuracy of every method on three clocks."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common import plots

CLOCKS = {
    "Step for step": "steps",
    "Example for example": "examples read",
    "Second for second": "seconds of one run, compilation apart",
}


def compare(result: Any, num_steps: int, headline: str, *, films_cost: bool) -> Figure:
    """Cost and accuracy of every method against steps, examples (and operations), and seconds."""
    figure, axes = plots.new_figure(15, 8.5, rows=2, columns=3, sharey="row")
    for series, curve in enumerate(result.curves):
        size, shown = result.batch_sizes[series], curve.steps <= num_steps
        label = f"{f'batches of {size:,}' if series else 'full batch'}, rate {result.rates[series]:g}"
        for column, scale in enumerate((1, size, result.seconds[series])):
            seen = shown if column == 0 else slice(None)
            for axis, values in zip(axes[:, column], (curve.cost, 100 * curve.accuracy), strict=True):
                plots.seed_band(axis, curve.steps[seen] * scale, values[:, seen], series, label)
    for (cost, accuracy), (title, unit) in zip(axes.T, CLOCKS.items(), strict=True):
        cost.set_title(title)
        accuracy.set_xlabel(unit)
        plots.plain_log_ticks(cost.yaxis, (0.05, 0.1, 0.2, 0.5, 1, 2))
        if films_cost:  # ten balanced classes, every output 1/10: (1 - 1/10)^2 + 9/100 = 0.9
            plots.reference_line(cost, 0.9, "every output 0.1: cost 0.9")
    for axis in axes[:, 1:].flat:
        axis.set_xscale("log")
    flops = result.flops_per_example
    of_flops = (lambda examples: np.asarray(examples) * flops, lambda operations: np.asarray(operations) / flops)
    operations = axes[0, 1].secondary_xaxis(-0.09, functions=of_flops)
    operations.set_xlabel("floating point operations (the same curves)", fontsize=9)
    axes[0, 0].set_ylabel("cost on the training images")
    axes[1, 0].set_ylabel("correct on the test images, %")
    axes[0, 0].legend(fontsize=9)
    return plots.headline(figure, headline, "median and range of the seeds")
