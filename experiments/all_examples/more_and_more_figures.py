"""How the network gets better the more examples are asked."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def more(result: Any, num_steps: int, batch_size: int) -> Figure:
    """Right answers against how many examples are listened to; below, what every digit is then called."""
    sizes, right, classes = result.sizes.tolist(), result.right, list(result.classes)
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
    top.set_xticks(places, listened_names(sizes, classes))
    top.set_ylabel("correct on the test images, %")
    top.legend(loc="upper left", title=f"{num_steps:,} steps of {batch_size} examples each")
    for axis, matrices in zip(axes[1], result.confusion, strict=True):
        draw_confusion(axis, matrices.mean(axis=0))
    axes[1, 0].set_ylabel("a test image of this digit ...", fontsize=9)
    plots.headline(figure, more_title(right, classes))
    plots.note(figure, "squares: black where all images of a digit are called the same, mean of the seeds")
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
