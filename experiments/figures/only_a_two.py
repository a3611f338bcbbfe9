"""What the network calls everything, taught by one image; and how it gets better the more examples are asked."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def alone_figure(record: dict, steps: np.ndarray, named: np.ndarray, starts: tuple[str, str]) -> Figure:
    """For each digit, the percentage of the test images called by its name, against steps on one image of it;
    `named` is (kinds of start, seeds, digits, steps)."""
    digits, num_test = named.shape[2], record["dataset"]["test"]["count"]
    num_rows = math.ceil(digits / 5)
    figure, axes = plots.new_figure(15, 1.5 + 3 * num_rows, rows=num_rows, columns=5, sharex=True, sharey=True)
    for digit, axis in enumerate(axes.flat[:digits]):
        for kind, label in enumerate(starts):
            every_seed(axis, steps, named[kind, :, digit], kind, label)
        axis.set_title(f"one {digit}")
    for axis in axes.flat[digits:]:
        axis.set_axis_off()
    axes[0, 0].set_xscale("symlog", linthresh=1)
    axes[0, 0].set_ylim(-3, 103)
    plots.plain_log_ticks(axes[0, 0].xaxis, [0, *(10**power for power in range(len(str(steps[-1]))))])
    for axis in axes[-1]:
        axis.set_xlabel("steps, all on that image")
        axis.tick_params(axis="x", labelsize=9)
    for axis in axes[:, 0]:
        axis.set_ylabel(f"called by its name,\n% of {num_test:,} test images")
    title = f"{record['dataset']['name']}; start of the network (bold: median of {named.shape[1]} seeds, thin: each)"
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, title=title)
    plots.headline(figure, alone_title(steps, named))
    return figure


def every_seed(axis: Axes, x: np.ndarray, y: np.ndarray, series: int, label: str) -> None:
    """Each seed's curve, thin, and their median, bold: where some jump late, a band would hide how many."""
    colour, line = plots.COLOURS[series], plots.LINES[series]
    axis.plot(x, y.T, color=colour, linestyle=line, linewidth=0.8, alpha=0.6)
    axis.plot(x, np.median(y, axis=0), color=colour, linestyle=line, linewidth=2.5, label=label)


def alone_title(steps: np.ndarray, named: np.ndarray) -> str:
    """The finding in words: in how many runs of each kind nearly all is called by the name of the one image."""
    at = np.flatnonzero(steps <= 100)[-1]
    small, large = (f"{(shares >= 99).sum()} of {shares.size}" for shares in named[..., at])
    return (
        f"Taught by one image alone, the network calls everything by its name: after {steps[at]} steps in {small} "
        f"runs from small weights, in {large} from N(0, 1), where outputs that are wrong but saturated move slowly"
    )


def more_figure(record: dict, confusion: np.ndarray, right: np.ndarray, batch_size: int) -> Figure:
    """Right answers against how many examples are listened to; below, what every digit is then called.

    `confusion` is (sizes, seeds, true, called), `right` (sizes, seeds) in per cent.
    """
    sizes = record["sizes"]
    figure, axes = plots.new_figure(14, 7.5, rows=2, columns=len(sizes), height_ratios=(1.5, 1))
    grid = axes[0, 0].get_gridspec()
    for axis in axes[0]:
        axis.remove()
    top = figure.add_subplot(grid[0, :])
    places = np.arange(len(sizes))
    plots.seed_band(top, places, right.T, 0, f"median and range of {right.shape[1]} seeds")
    for place, percents in zip(places, right, strict=True):
        top.plot(np.full(len(percents), place), percents, "o", color=plots.COLOURS[0], alpha=0.4, markersize=4)
        top.annotate(f"{np.median(percents):.0f} %", (place, np.median(percents)), xytext=(-22, 8),
                     textcoords="offset points", ha="center", fontweight="bold")  # fmt: skip
    top.set_xlim(-0.5, len(sizes) - 0.5)
    top.set_ylim(0, 105)
    top.set_xticks(places, listened_names(sizes, record["classes"]))
    top.set_ylabel(f"correct on the {record['dataset']['test']['count']:,} test images, %")
    top.legend(loc="upper left", title=f"{record['settings']['num_steps']:,} steps of {batch_size} examples each")
    for axis, matrices in zip(axes[1], confusion, strict=True):
        draw_confusion(axis, matrices.mean(axis=0))
    axes[1, 0].set_ylabel("a test image of this digit ...", fontsize=9)
    plots.headline(figure, more_title(right, record["classes"]))
    figure.supxlabel(
        f"{record['dataset']['name']}; squares: black where all images of a digit are called the same, mean of "
        f"{right.shape[1]} seeds", fontsize=10,
    )  # fmt: skip
    return figure


def listened_names(sizes: list[int], classes: list[int]) -> list[str]:
    """What the network listened to, in words."""
    first, second, *_ = classes
    words = {
        1: f"one {first}",
        2: f"a {first} and a {second}",
        len(classes): "one of each",
        sizes[-1]: f"all {sizes[-1]:,}",
    }
    return [words.get(size, f"{size:,} examples") for size in sizes]


def draw_confusion(axis: Axes, matrix: np.ndarray) -> None:
    """Each true class's answers as a row of grey levels: black where all of its images get that answer."""
    axis.imshow(matrix / matrix.sum(axis=1, keepdims=True), cmap="Greys", vmin=0, vmax=1)
    ticks = range(0, len(matrix), math.ceil(len(matrix) / 10))
    names = [str(tick) for tick in ticks]
    axis.set_xticks(ticks, names, fontsize=8)
    axis.set_yticks(ticks, names, fontsize=8)
    axis.grid(False)
    axis.tick_params(length=0)
    axis.set_xlabel("... is called", fontsize=9)


def more_title(right: np.ndarray, classes: list[int]) -> str:
    """The finding in words."""
    one, all_of_them = np.median(right[0]), np.median(right[-1])
    return (
        f"All must be asked: taught by one {classes[0]} alone the network calls everything a {classes[0]} and is right "
        f"{one:.0f} % of the time, taught by everyone {all_of_them:.0f} %"
    )
