"""Cost and accuracy of every method on three clocks."""

from typing import Any

import numpy as np

from experiments.common import plots

CLOCKS = (
    ("Step for step", "steps", "linear"),
    ("Example for example", "examples read", "log"),
    ("Second for second", "seconds of one run, compilation apart", "log"),
)


def cost(result: Any, num_steps: int, times: list[str], headline: str, *, films_cost: bool) -> plots.Figure:
    """`times`: how many times fewer examples, and seconds, the film's batches need to come as far as the full batch."""
    figure, axes = on_three_clocks(result, num_steps, [curve.cost for curve in result.curves], headline, 5)
    plots.panel(axes[0], y="cost on the training images", log_y=(0.05, 0.1, 0.2, 0.5, 1, 2))
    if films_cost:  # ten balanced classes, every output 1/10: (1 - 1/10)^2 + 9/100 = 0.9
        plots.reference_line(axes[0], 0.9, "every output 0.1: cost 0.9")
    target, name = np.median(result.curves[0].cost[:, -1]), f"B={result.batch_sizes[result.reference]:,}"
    scales, words = (result.batch_sizes[0], result.seconds[0]), ("times fewer", "times less")
    for axis, fewer, scale, word in zip(axes[1:], times, scales, words, strict=True):
        plots.reference_line(axis, target, "")
        plots.note(axis, f"{num_steps} full-batch steps", (0.02, target), (0, -4), ("axes fraction", "data"))
        fewer = f"{name}: {fewer} {word}".replace(" (", "\n(").replace(") ", ")\n")
        plots.note(axis, fewer, (num_steps * scale, target), (0, -4), ha="right")
    return figure


def accuracy(result: Any, num_steps: int) -> plots.Figure:
    found = [100 * curve.accuracy for curve in result.curves]
    right = [np.median(each[:, -1]) for each in found]
    read = [curve.steps[-1] * size for curve, size in zip(result.curves, result.batch_sizes, strict=True)]
    film = result.reference
    headline = (f"Batches of {result.batch_sizes[film]:,} are right in {right[film]:.1f} % of the test images after "
                f"{read[film]:,} examples, the full batch in {right[0]:.1f} % after {read[0]:,}")  # fmt: skip
    figure, axes = on_three_clocks(result, num_steps, found, headline, -3)
    axes[0].set_ylabel("correct on the test images, %")
    return figure


def on_three_clocks(result: Any, num_steps: int, values: list, headline: str, above: int) -> tuple[plots.Figure, Any]:
    """The panels; on the right every line is named so many points `above` its beginning."""
    figure, axes = plots.new_figure(15, 5.6, columns=3, sharey=True)
    for series, (curve, value) in enumerate(zip(result.curves, values, strict=True)):
        size, shown = result.batch_sizes[series], curve.steps <= num_steps
        name = f"B={size:,}" if series else "full batch"
        label = f"{name},\nrate {result.rates[series]:g}"
        plots.seed_band(axes[0, 0], curve.steps[shown], value[:, shown], series, label)
        for axis, scale in zip(axes[0, 1:], (size, result.seconds[series]), strict=True):
            plots.seed_band(axis, curve.steps * scale, value, series, "", marker=".", markersize=4)
            plots.note(axis, name, (curve.steps[0] * scale, np.median(value[:, 0])), (0, above), series=series)
    for axis, (title, unit, scale) in zip(axes[0], CLOCKS, strict=True):
        axis.set(title=title, xlabel=unit, xscale=scale)
    flops = f"an example read takes {result.flops_per_example:,.0f} floating point operations"
    return plots.headline(figure, headline, f"median and range, a dot where one looked; {flops}"), axes[0]
