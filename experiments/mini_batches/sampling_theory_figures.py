"""How mini-batches scatter, drawn in three ways, on theory's lines."""

import math
from typing import Any

import numpy as np

from experiments.common import plots
from research import sampling


def scatters(result: Any, schemes: tuple[str, ...], measured: float) -> plots.Figure:
    """Every case for few images; variances and covariances drawn among many. `measured`: the mean ratio to theory
    without replacement."""
    figure, ((left, middle, right),) = plots.new_figure(16, 5.8, columns=3)
    sizes, num, few = result.sizes, int(result.sizes[-1]), result.ratios.shape[-1]
    fine_few, fine = np.linspace(1, few, 200), np.geomspace(1, num, 300)
    own = [part.own.mean(axis=-1) * sizes for part in (result.with_replacement, result.shuffled)]
    both = [part.both.mean(axis=-1) * (num - 1) for part in (result.with_replacement, result.shuffled)]
    several = sizes <= num // 2
    pairs = [values[:, several] for values in both]
    panels = (  # axis, fine, series, theory, places, measured
        *((left, fine_few, series, theory, np.arange(1, few + 1), result.ratios[:, series])
          for series, theory in enumerate(sampling.covariances(fine_few, few))),
        (middle, fine, 0, np.ones(300), sizes, own[0]),
        (middle, fine, 1, sampling.finite_population(fine, num), sizes, own[1]),
        (right, fine, 0, np.zeros(300), sizes[several], pairs[0]),
        (right, fine, 2, np.full(300, -1), sizes[several], pairs[1]),
    )  # fmt: skip
    for axis, x, series, theory, places, values in panels:
        axis.plot(x, theory, color=plots.COLOURS[series], linestyle=plots.LINES[series])
        plots.seed_points(axis, places, values, series)
    left.axhline(0, color="0.6", linewidth=0.8)
    spots = ((0.35, 0.52, 0), (0.02, 0.25, 1), (0.02, 0.12, 2))  # above, below and above the line that is named
    for x, y, series in spots:
        left.text(x, y, schemes[series], transform=left.transAxes, fontsize=9, color=plots.COLOURS[series])
    left.set(ylabel="tr cov / tr Sigma", title=f"N = {few}: all {math.factorial(few):,} permutations, all draws")
    middle.set(ylabel="B tr cov g_B / tr Sigma", title=f"N = {num:,}, epochs drawn: the scatter")
    right.set(ylabel="(N - 1) tr cov(g, g') / tr Sigma", title=f"N = {num:,}, epochs drawn: two batches of one epoch")
    right.set_ylim(-1.6, 0.6)
    for level, text in ((0, "independent draws: 0"), (-1, "theory for one shuffle: -1")):
        plots.note(right, text, (1, level), (0, 8))
    for axis in (middle, right):
        plots.plain_log_ticks(axis.xaxis, [size for size in (1, 10, 100, 1000, 10_000) if size <= num])
    for axis in (left, middle, right):
        axis.set_xlabel("batch size B")
    headline = (f"Without replacement mini-batches scatter (N-B)/(N-1) times as much: measured {measured:.3f} times "
                "that; two of one shuffle lean apart, since all its batches average to G")  # fmt: skip
    foot = "gradients at the start in random directions; lines: theory; markers: median and range"
    return plots.headline(figure, headline, foot)
