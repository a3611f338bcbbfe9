"""The figures of minibatch_quality: cosine and error against the batch size, and the noise scale along the training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from research import sampling, statistics


def quality_figure(record: dict, arrays: dict[str, np.ndarray], shown: list[int]) -> Figure:
    """Cosine and relative error of a mini-batch gradient against its size, at several times, on theory's lines."""
    num_examples, num_seeds = record["dataset"]["train"]["count"], record["settings"]["num_seeds"]
    figure, axes = plots.new_figure(14, 6, columns=2)
    left, right = axes[0]
    sizes, fine = arrays["sizes"], np.unique(np.geomspace(1, num_examples, 400).round())
    for series, index in enumerate(shown):
        scales = arrays["noise_scale"][:, index, None]
        cosine = np.median(statistics.expected_cosine(scales, fine[None], num_examples), axis=0)
        drawn = np.asarray(sampling.finite_population(fine, num_examples))
        error = np.median(np.sqrt(scales / fine[None] * drawn[None]), axis=0)
        label = label_of(arrays["epochs"][index], float(np.median(scales)))
        colour, line = plots.COLOURS[series], plots.LINES[series]
        left.plot(fine, cosine, color=colour, linestyle=line, linewidth=1.5)
        right.plot(fine[:-1], error[:-1], color=colour, linestyle=line, linewidth=1.5)
        plots.seed_points(left, sizes, arrays["cosine"][:, index], series, label)
        plots.seed_points(right, sizes, np.sqrt(arrays["squared_error"][:, index]), series, label)
    for axis in (left, right):
        axis.axvline(100, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
        axis.set_xscale("log")
        plots.plain_log_ticks(axis.xaxis, (1, 10, 100, 1000, 10_000, num_examples))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_xlabel("examples in the mini-batch, B")
    left.annotate("the film's 100", (100, 0.02), xytext=(4, 0), textcoords="offset points", fontsize=9, color="0.3")
    left.set_ylim(0, 1.03)
    left.set_ylabel("cosine with the full gradient G")
    left.set_title(f"Direction: 1 is the steepest way down{missed_by(record)}")
    right.set_yscale("log")
    plots.plain_log_ticks(right.yaxis, (0.001, 0.01, 0.1, 1, 10, 100))
    right.set_ylabel("|g_B - G| / |G|, root mean square")
    right.set_title("Error: at 1 the noise is as large as the gradient")
    network = "-".join(map(str, record["layer_sizes"]))
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=2,
        title=f"points: measured, mean over batches (median and range of {num_seeds} seeds); lines: theory, from the "
              f"single images' gradients.\n{network} on {num_examples:,} images of {record['dataset']['name']}",
    )  # fmt: skip
    plots.headline(figure, quality_title(arrays, shown))
    return figure


def label_of(epochs: float, scale: float) -> str:
    """When, and the noise scale then."""
    when = f"after {epochs:g} epoch{'s' if epochs != 1 else ''}" if epochs else "at the start"
    return f"{when}: B_simple {scale:,.2g}" if scale < 100 else f"{when}: B_simple {scale:,.0f}"


def missed_by(record: dict) -> str:
    """How far the worst seed is off theory where that is more than was claimed, in words."""
    for claim in record["claims"]:
        if "less theory's, worst seed" in claim["says"] and not claim["holds"]:
            most = f"at most {claim['high']:g}, for B of 10 or more"
            return f"; worst seed {claim['measured']:+.3f} off theory\n(claimed: {most})"
    return ""


def of_hundred(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """(seeds, checkpoints): the cosine of the film's batches of 100."""
    return arrays["cosine"][..., arrays["sizes"] == 100][..., 0]


def quality_title(arrays: dict[str, np.ndarray], shown: list[int]) -> str:
    """The finding in words; means of the seeds, as in the record."""
    first, last = np.mean(of_hundred(arrays)[:, [shown[0], shown[-1]]], axis=0)
    epochs = arrays["epochs"][shown[-1]]
    later = f", {last:.2f} after {epochs:g} epoch{'s' if epochs != 1 else ''} of training" if epochs else ""
    return f"A batch of 100: mean cosine {first:.3f} with the full gradient at the start{later}"


def noise_figure(record: dict, arrays: dict[str, np.ndarray], batch_size: int, pretty_good: float) -> Figure:
    """B_simple, and the cosine of the film's batches, along the training."""
    figure, axes = plots.new_figure(14, 5.5, columns=2)
    left, right = axes[0]
    epochs, scale = arrays["epochs"], arrays["noise_scale"]
    num_examples = record["dataset"]["train"]["count"]
    limit = float(batch_size * (1 / pretty_good**2 - 1) / sampling.finite_population(batch_size, num_examples))
    plots.seed_band(left, epochs, scale, 0, "B_simple = tr Sigma / |G|^2")
    left.plot(epochs, np.median(scale, axis=0), "o", color=plots.COLOURS[0])
    plots.reference_line(left, limit, f"cosine {pretty_good} for batches of {batch_size}: B_simple {limit:.0f}")
    for when, middle, cost in zip(epochs, np.median(scale, axis=0), np.median(arrays["cost"], axis=0), strict=True):
        left.annotate(f"{cost:.2g}", (when, middle), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=9)
    left.set_yscale("log")
    plots.plain_log_ticks(left.yaxis, (1, 10, 100, 1000))
    left.set_ylabel("noise scale B_simple, examples; numbers: the cost")
    times = np.median(scale[:, -1] / scale[:, 0])
    left.set_title(f"The noise scale {'grows' if times > 1 else 'changes'} {times:,.0f}-fold in {epochs[-1]:g} epochs")
    draw_cosine(right, record, arrays, batch_size, pretty_good)
    for axis in (left, right):
        axis.set_xscale("symlog", linthresh=0.01, linscale=0.4)
        plots.plain_log_ticks(axis.xaxis, [tick for tick in (0, 0.01, 0.1, 1, 5, 30) if tick <= epochs[-1]])
        axis.set_xlim(-0.0025, epochs[-1] * 1.15)
        axis.set_xlabel("epochs of training with batches of 100")
        axis.legend(loc="lower right" if axis is left else "lower left")
    costs = np.median(arrays["cost"], axis=0)
    plots.headline(
        figure,
        f"As the cost falls from {costs[0]:.2g} to {costs[-1]:.2g}, the examples agree less, and a batch says less "
        "about all",
    )
    plots.foot(figure, record, f"median and range of {len(scale)} seeds")
    return figure


def draw_cosine(axis: Axes, record: dict, arrays: dict[str, np.ndarray], batch_size: int, pretty_good: float) -> None:
    """The cosine of the film's batches along the training, on theory's marks."""
    epochs, num_examples = arrays["epochs"], record["dataset"]["train"]["count"]
    predicted = statistics.expected_cosine(arrays["noise_scale"], batch_size, num_examples)
    plots.seed_band(axis, epochs, of_hundred(arrays), 1, "measured")
    axis.plot(epochs, np.median(predicted, axis=0), "k+", markersize=10, label="theory, from B_simple alone")
    plots.reference_line(axis, pretty_good, f"'pretty good', fixed beforehand: {pretty_good}")
    over = record["over_at"]
    if over:
        axis.axvline(over, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    axis.set_ylim(0, 1.03)
    axis.set_ylabel(f"cosine of batches of {batch_size} with G")
    if over is None:
        axis.set_title("'Pretty good' to the end")
    else:
        axis.set_title(
            f"Below {pretty_good} from about step {over * (num_examples // batch_size):.0f} on (between two looks)"
        )
