"""The figures of minibatch_quality: cosine and error against the batch size, and the noise scale along the training."""

from typing import Any

import numpy as np

from experiments.common import plots
from research import sampling, statistics


def quality(result: Any, shown: list[int]) -> plots.Figure:
    """Cosine and relative error of a mini-batch gradient against its size, at several times, on theory's lines."""
    figure, ((left, right),) = plots.new_figure(14, 6, columns=2)
    num_examples, batches = result.num_examples, result.quality.batches
    fine = np.unique(np.geomspace(1, num_examples, 400).round())
    drawn = np.asarray(sampling.finite_population(fine, num_examples))
    for series, index in enumerate(shown):
        scales = result.noise_scale[:, index, None]
        middle = float(np.median(scales))
        scale = f"{middle:,.2g}" if middle < 100 else f"{middle:,.0f}"
        label = f"{plots.when(result.epochs[index])}:\nB_simple {scale}"
        style: Any = {"color": plots.COLOURS[series], "linestyle": plots.LINES[series], "linewidth": 1.5}
        left.plot(fine, np.median(statistics.expected_cosine(scales, fine[None], num_examples), axis=0), **style)
        right.plot(fine[:-1], np.median(np.sqrt(scales / fine * drawn), axis=0)[:-1], label=label, **style)
        plots.seed_points(left, result.sizes, batches.cosine[:, index], series)
        plots.seed_points(right, result.sizes, np.sqrt(batches.squared_error[:, index]), series)
    for axis in (left, right):
        axis.axvline(100, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
        plots.plain_log_ticks(axis.xaxis, (1, 10, 100, 1000, 10_000, num_examples))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_xlabel("examples in the mini-batch, B")
    plots.note(left, "the film's 100", (100, 0.02), (4, 0))
    plots.panel(left, "Direction: 1 is the steepest way down\n(colours as on the right)",
                y="cosine with the full gradient G", ylim=(0, 1.03))  # fmt: skip
    plots.plain_log_ticks(right.yaxis, (0.001, 0.01, 0.1, 1, 10, 100))
    right.set(ylabel="|g_B - G| / |G|, root mean square", title="Error: at 1 the noise is as large as the gradient")
    first, last = result.films_cosine[:, [shown[0], shown[-1]]].mean(axis=0)
    later = f", {last:.2f} {plots.when(result.epochs[shown[-1]])} of training" if len(shown) > 1 else ""
    headline = f"A batch of 100: mean cosine {first:.3f} with the full gradient at the start{later}"
    foot = (
        "points: measured, mean over batches (median and range of the seeds; headline: their mean); "
        "lines: theory, from single gradients"
    )
    return plots.headline(figure, headline, foot)


def noise(result: Any, batch_size: int, pretty_good: float, looks: tuple[float, float], between: str) -> plots.Figure:
    """B_simple, and the cosine of the film's batches, along the training; 'pretty good' ends between the `looks`."""
    figure, ((left, right),) = plots.new_figure(14, 5.5, columns=2)
    draw_scale(left, result, batch_size, pretty_good)
    predicted = statistics.expected_cosine(result.noise_scale, batch_size, result.num_examples)
    plots.seed_band(right, result.epochs, result.films_cosine, 1, "")
    right.plot(result.epochs, np.median(predicted, axis=0), "k+", markersize=10)
    plots.reference_line(right, pretty_good, f"'pretty good', fixed beforehand: {pretty_good}")
    if between:
        right.axvspan(*looks, color="0.85", linewidth=0, zorder=0)
    right.set(ylim=(0, 1.03), ylabel=f"cosine of batches of {batch_size} with G",
              title=f"'Pretty good' is over {between}" if between else "'Pretty good' to the end")  # fmt: skip
    plots.note(right, "line: measured\ncrosses: theory, from B_simple alone", (0.14, 0.03), unit=plots.IN_PANEL)
    last, ends = result.epochs[-1], [0, -1]
    costs, scales = (np.median(each, axis=0)[ends] for each in (result.quality.cost, result.noise_scale))
    for axis in (left, right):
        axis.set_xscale("symlog", linthresh=0.01, linscale=0.4)
        plots.plain_log_ticks(axis.xaxis, [tick for tick in (0, 0.01, 0.1, 1, 5, 30) if tick <= last])
        axis.set(xlim=(-0.0025, last * 1.15), xlabel="epochs of training with batches of 100")
    headline = (
        f"As the cost goes from {costs[0]:.2g} to {costs[1]:.2g}, the noise scale goes from {scales[0]:.2g} to "
        f"{scales[1]:,.0f} examples, and a batch of {batch_size} says less about all"
    )
    return plots.headline(figure, headline, "median and range")


def draw_scale(axis: plots.Axes, result: Any, batch_size: int, pretty_good: float) -> None:
    """B_simple with the cost beside it, and where it would be too large for a pretty good cosine."""
    limit = float(batch_size * (1 / pretty_good**2 - 1) / sampling.finite_population(batch_size, result.num_examples))
    plots.seed_band(axis, result.epochs, result.noise_scale, 0, "", marker="o")
    plots.reference_line(axis, limit, f"cosine {pretty_good} for batches of {batch_size}: B_simple {limit:.0f}")
    for at, cost in zip(result.epochs, np.median(result.quality.cost, axis=0), strict=True):
        plots.note(axis, f"{cost:.2g}", (at, 1), (0, -2), ("data", "axes fraction"), rotation=90, ha="center", va="top")
    plots.panel(axis, title="The noise scale B_simple = tr Sigma / |G|^2", y="B_simple, examples; numbers on top: the "
                "cost", log_y=(1, 10, 100, 1000), ylim=(None, 6 * result.noise_scale.max()))  # fmt: skip
