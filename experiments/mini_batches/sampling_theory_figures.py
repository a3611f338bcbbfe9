"""The figure of sampling_theory: how mini-batches scatter, drawn in three ways, on theory's lines."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from research import sampling


def scatters(result: Any, num: int, schemes: tuple[str, ...], measured: float) -> Figure:
    """Every case for 8 images; the drawn variances and covariances for `num`, each on theory's lines. `measured`: the
    mean ratio to theory without replacement."""
    figure, axes = plots.new_figure(16, 5.8, columns=3)
    left, middle, right = axes[0]
    draw_enumerated(left, result.ratios, schemes)
    sizes, fine = result.sizes, np.geomspace(1, num, 300)
    own = [part.own.mean(axis=-1) for part in (result.with_replacement, result.shuffled)]
    for series, theory in enumerate((np.ones(300), sampling.finite_population(fine, num))):
        middle.plot(fine, theory, color=plots.COLOURS[series], linestyle=plots.LINES[series])
        plots.seed_points(middle, sizes, own[series] * sizes, series)
    middle.set_ylabel("B tr cov g_B / tr Sigma")
    middle.set_title(f"N = {num:,}, epochs drawn: the scatter")
    draw_pairs(right, result, num)
    for axis in (middle, right):
        axis.set_xscale("log")
        plots.plain_log_ticks(axis.xaxis, [size for size in (1, 10, 100, 1000, 10_000) if size <= num])
        axis.set_xlabel("batch size B")
    left.legend(fontsize=9)
    plots.headline(figure, f"Without replacement mini-batches scatter (N-B)/(N-1) times as much: measured "
                   f"{measured:.3f} times that; two of one shuffle lean apart, since all its batches average to "
                   "G")  # fmt: skip
    plots.note(figure, "gradients at the start in random directions; lines: theory; markers: median and range")
    return figure


def draw_enumerated(axis: Axes, ratios: np.ndarray, schemes: tuple[str, ...]) -> None:
    """(seeds, schemes, sizes): the exact traces over tr Sigma, on theory's curves."""
    num = ratios.shape[-1]
    sizes, fine = np.arange(1, num + 1), np.linspace(1, num, 200)
    theories = (1 / fine, sampling.finite_population(fine, num) / fine, np.full(200, -1 / (num - 1)))
    for series, theory in enumerate(theories):
        axis.plot(fine, theory, color=plots.COLOURS[series], linestyle=plots.LINES[series])
        plots.seed_points(axis, sizes, ratios[:, series], series, schemes[series])
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.set_xlabel("batch size B")
    axis.set_ylabel("tr cov / tr Sigma")
    axis.set_title(f"N = {num}: all {math.factorial(num):,} permutations, all draws")


def draw_pairs(axis: Axes, result: Any, num: int) -> None:
    """The covariance of two batches of one epoch, in units of that of two of one shuffle, without its sign."""
    sizes, fine = result.sizes, np.geomspace(1, num, 300)
    both = [part.both.mean(axis=-1) for part in (result.with_replacement, result.shuffled)]
    several = sizes <= num // 2
    for series, level in ((0, 0), (2, -1)):
        axis.plot(fine, np.full(300, level), color=plots.COLOURS[series], linestyle=plots.LINES[series])
        plots.seed_points(axis, sizes[several], both[series // 2][:, several] * (num - 1), series)
    axis.set_ylim(-1.6, 0.6)
    axis.annotate("independent draws: 0", (1, 0), xytext=(0, 8), textcoords="offset points")
    axis.annotate("theory for one shuffle: -1", (1, -1), xytext=(0, 8), textcoords="offset points")
    axis.set_ylabel("(N - 1) tr cov(g, g') / tr Sigma")
    axis.set_title(f"N = {num:,}, epochs drawn: two batches of one epoch")
