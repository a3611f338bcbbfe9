"""The figures of minibatch_quality: cosine and error against the batch size, and the noise scale along the training."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from research import sampling, statistics


def quality(result: Any, shown: list[int]) -> Figure:
    """Cosine and relative error of a mini-batch gradient against its size, at several times, on theory's lines."""
    num_examples, batches = result.num_examples, result.quality.batches
    figure, axes = plots.new_figure(14, 6, columns=2)
    left, right = axes[0]
    sizes, fine = result.sizes, np.unique(np.geomspace(1, num_examples, 400).round())
    for series, index in enumerate(shown):
        scales = result.noise_scale[:, index, None]
        cosine = np.median(statistics.expected_cosine(scales, fine[None], num_examples), axis=0)
        drawn = np.asarray(sampling.finite_population(fine, num_examples))
        error = np.median(np.sqrt(scales / fine[None] * drawn[None]), axis=0)
        label = label_of(result.epochs[index], float(np.median(scales)))
        colour, line = plots.COLOURS[series], plots.LINES[series]
        left.plot(fine, cosine, color=colour, linestyle=line, linewidth=1.5)
        right.plot(fine[:-1], error[:-1], color=colour, linestyle=line, linewidth=1.5)
        plots.seed_points(left, sizes, batches.cosine[:, index], series, label)
        plots.seed_points(right, sizes, np.sqrt(batches.squared_error[:, index]), series, label)
    for axis in (left, right):
        axis.axvline(100, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
        axis.set_xscale("log")
        plots.plain_log_ticks(axis.xaxis, (1, 10, 100, 1000, 10_000, num_examples))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_xlabel("examples in the mini-batch, B")
    left.annotate("the film's 100", (100, 0.02), xytext=(4, 0), textcoords="offset points", fontsize=9, color="0.3")
    left.set_ylim(0, 1.03)
    left.set_ylabel("cosine with the full gradient G")
    left.set_title("Direction: 1 is the steepest way down")
    right.set_yscale("log")
    plots.plain_log_ticks(right.yaxis, (0.001, 0.01, 0.1, 1, 10, 100))
    right.set_ylabel("|g_B - G| / |G|, root mean square")
    right.set_title("Error: at 1 the noise is as large as the gradient")
    left.legend(fontsize=9, loc="lower right")
    plots.headline(figure, quality_title(result, shown))
    plots.note(figure, "points: measured, mean over batches (median and range); lines: theory, from single gradients")
    return figure


def when(epochs: float) -> str:
    """In words."""
    return f"after {epochs:g} epoch{'' if epochs == 1 else 's'}" if epochs else "at the start"


def label_of(epochs: float, scale: float) -> str:
    """When, and the noise scale then."""
    return f"{when(epochs)}: B_simple " + (f"{scale:,.2g}" if scale < 100 else f"{scale:,.0f}")


def quality_title(result: Any, shown: list[int]) -> str:
    """The finding in words; means of the seeds, as in the record."""
    first, last = np.mean(result.films_cosine[:, [shown[0], shown[-1]]], axis=0)
    epochs = result.epochs[shown[-1]]
    later = f", {last:.2f} after {epochs:g} epoch{'s' if epochs != 1 else ''} of training" if epochs else ""
    return f"A batch of 100: mean cosine {first:.3f} with the full gradient at the start{later}"


def noise(result: Any, batch_size: int, pretty_good: float, over: float) -> Figure:
    """B_simple, and the cosine of the film's batches, along the training."""
    figure, axes = plots.new_figure(14, 5.5, columns=2)
    left, right = axes[0]
    epochs, scale, num_examples = result.epochs, result.noise_scale, result.num_examples
    limit = float(batch_size * (1 / pretty_good**2 - 1) / sampling.finite_population(batch_size, num_examples))
    plots.seed_band(left, epochs, scale, 0, "B_simple = tr Sigma / |G|^2")
    left.plot(epochs, np.median(scale, axis=0), "o", color=plots.COLOURS[0])
    plots.reference_line(left, limit, f"cosine {pretty_good} for batches of {batch_size}: B_simple {limit:.0f}")
    for when, middle, cost in zip(
        epochs, np.median(scale, axis=0), np.median(result.quality.cost, axis=0), strict=True
    ):
        left.annotate(f"{cost:.2g}", (when, middle), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=9)
    left.set_yscale("log")
    plots.plain_log_ticks(left.yaxis, (1, 10, 100, 1000))
    left.set_ylabel("noise scale B_simple, examples; numbers: the cost")
    times = np.median(scale[:, -1] / scale[:, 0])
    left.set_title(f"The noise scale {'grows' if times > 1 else 'changes'} {times:,.0f}-fold in {epochs[-1]:g} epochs")
    draw_cosine(right, result, batch_size, pretty_good, over)
    for axis in (left, right):
        axis.set_xscale("symlog", linthresh=0.01, linscale=0.4)
        plots.plain_log_ticks(axis.xaxis, [tick for tick in (0, 0.01, 0.1, 1, 5, 30) if tick <= epochs[-1]])
        axis.set_xlim(-0.0025, epochs[-1] * 1.15)
        axis.set_xlabel("epochs of training with batches of 100")
        axis.legend(loc="lower right" if axis is left else "lower left")
    costs = np.median(result.quality.cost, axis=0)
    plots.headline(
        figure,
        f"As the cost falls from {costs[0]:.2g} to {costs[-1]:.2g}, the examples agree less, and a batch says less "
        "about all",
    )
    plots.note(figure, "median and range")
    return figure


def draw_cosine(axis: Axes, result: Any, batch_size: int, pretty_good: float, over: float) -> None:
    """The cosine of the film's batches along the training, on theory's marks."""
    epochs, num_examples = result.epochs, result.num_examples
    predicted = statistics.expected_cosine(result.noise_scale, batch_size, num_examples)
    plots.seed_band(axis, epochs, result.films_cosine, 1, "measured")
    axis.plot(epochs, np.median(predicted, axis=0), "k+", markersize=10, label="theory, from B_simple alone")
    plots.reference_line(axis, pretty_good, f"'pretty good', fixed beforehand: {pretty_good}")
    if 0 < over < np.inf:
        axis.axvline(over, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    axis.set_ylim(0, 1.03)
    axis.set_ylabel(f"cosine of batches of {batch_size} with G")
    if not np.isfinite(over):
        axis.set_title("'Pretty good' to the end")
    else:
        axis.set_title(
            f"Below {pretty_good} from about step {over * (num_examples // batch_size):.0f} on (between two looks)"
        )
