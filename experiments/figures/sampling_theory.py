"""The figure of sampling_theory: how mini-batches scatter, drawn in three ways, on theory's lines."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def sampling_figure(
    record: dict, arrays: dict[str, np.ndarray], schemes: tuple[str, ...], directions: tuple[int, int]
) -> Figure:
    """Every case for 8 images; the drawn variances and covariances for many, each on theory's lines;
    `directions`: in how many random ones, for the 8 and for the many."""
    figure, axes = plots.new_figure(16, 5.8, columns=3)
    left, middle, right = axes[0]
    num, num_seeds = record["settings"]["num_examples"], record["settings"]["num_seeds"]
    draw_enumerated(left, arrays["enumerated"], schemes)
    sizes, fine = arrays["sizes"], np.geomspace(1, num, 300)
    for series, theory in enumerate((np.ones(300), (num - fine) / (num - 1))):
        middle.plot(fine, theory, color=plots.COLOURS[series], linestyle=plots.LINES[series])
        plots.seed_points(middle, sizes, arrays["own"][series] * sizes, series)
    middle.set_ylabel("B tr cov g_B / tr Sigma")
    middle.set_title(f"N = {num:,}, epochs drawn: the scatter")
    draw_pairs(right, arrays, num)
    for axis in (middle, right):
        axis.set_xscale("log")
        plots.plain_log_ticks(axis.xaxis, [size for size in (1, 10, 100, 1000, 10_000) if size <= num])
        axis.set_xlabel("batch size B")
    network = "-".join(map(str, record["layer_sizes"]))
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=3,
        title=f"lines: theory; markers: measured, median and range of {num_seeds} seeds. Gradients of images of "
              f"{record['dataset']['name']}, network {network}, at the start,\nin {directions[0]} random directions on "
              f"the left, in {directions[1]} in the middle and on the right",
    )  # fmt: skip
    ratios = record["over_theory"]
    plots.headline(
        figure,
        f"Without replacement mini-batches scatter (N-B)/(N-1) times as much: measured {ratios[1]:.3f} times that; two "
        "of one shuffle lean apart, since all its batches average to G",
    )
    return figure


def draw_enumerated(axis: Axes, ratios: np.ndarray, schemes: tuple[str, ...]) -> None:
    """(seeds, schemes, sizes): the exact traces over tr Sigma, on theory's curves."""
    num = ratios.shape[-1]
    sizes, fine = np.arange(1, num + 1), np.linspace(1, num, 200)
    theories = (1 / fine, (num - fine) / (num - 1) / fine, np.full(200, -1 / (num - 1)))
    for series, theory in enumerate(theories):
        axis.plot(fine, theory, color=plots.COLOURS[series], linestyle=plots.LINES[series])
        plots.seed_points(axis, sizes, ratios[:, series], series, schemes[series])
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.set_xlabel("batch size B")
    axis.set_ylabel("tr cov / tr Sigma")
    axis.set_title(f"N = {num}: all {math.factorial(num):,} permutations, all draws")


def draw_pairs(axis: Axes, arrays: dict[str, np.ndarray], num: int) -> None:
    """The covariance of two batches of one epoch, in units of that of two of one shuffle, without its sign."""
    sizes, fine = arrays["sizes"], np.geomspace(1, num, 300)
    several = sizes <= num // 2
    for series, level in ((0, 0), (2, -1)):
        axis.plot(fine, np.full(300, level), color=plots.COLOURS[series], linestyle=plots.LINES[series])
        plots.seed_points(axis, sizes[several], arrays["both"][series // 2][:, several] * (num - 1), series)
    axis.set_ylim(-1.6, 0.6)
    axis.annotate("independent draws: 0", (1, 0), xytext=(0, 8), textcoords="offset points")
    axis.annotate("theory for one shuffle: -1", (1, -1), xytext=(0, 8), textcoords="offset points")
    axis.set_ylabel("(N - 1) tr cov(g, g') / tr Sigma")
    axis.set_title(f"N = {num:,}, epochs drawn: two batches of one epoch")
