"""Figure of other_optimizers: on the full batch, begun later, and mini-batches by the clock."""

from typing import Any

import numpy as np

from experiments.common import plots
from experiments.common.optimizers import BEGUN_LATER, BFGS, CONJUGATE, PLAIN

FROM_THE_START = (*PLAIN, BFGS, CONJUGATE)  # on the full batch; those of BEGUN_LATER follow them
TICKS = [digit * 10.0**power for power in range(-6, 2) for digit in (1, 2, 5)]


def race(result: Any, settings: Any) -> plots.Figure:
    """A method has its colour in every panel; plain descent or L-BFGS is drawn once more for comparison."""
    names = [method.label for method in (*FROM_THE_START, *BEGUN_LATER)]
    begun, later, bfgs = result.full[: len(FROM_THE_START)], result.full[len(FROM_THE_START) :], len(PLAIN)
    figure, axes = plots.new_figure(17 if later else 12, 6, columns=3 if later else 2, sharey=True)
    left, *middle, right = axes[0]
    for series, (outcome, name) in enumerate(zip(begun, names, strict=False)):
        draw(left, outcome, series, name)
    for axis in middle:
        for series, (outcome, name) in enumerate(
            zip((begun[0], *later), (names[0], *names[len(begun) :]), strict=True)
        ):
            draw(axis, outcome, series, name)
        axis.set(title=f"Begun after {settings.head_start} plain steps", xlabel="gradients of the full batch")
    for series, outcome in (*enumerate(result.mini), (bfgs, begun[bfgs])):
        draw(right, outcome, series, outcome.label, outcome.seconds)
    right.set(title=f"Mini-batches, by the clock: {settings.num_evaluations} passes, beside L-BFGS",
              xlabel="seconds of one run, compilation apart")  # fmt: skip
    for axis in axes[0]:
        plots.panel(axis, log_y=TICKS, xscale="log")
    plots.panel(left, "On the full batch", "gradients of the full batch", "cost on the training images")
    full, mini = (min(part, key=lambda outcome: outcome.end) for part in (begun, result.mini))
    return plots.headline(
        figure,
        f"After {settings.num_evaluations} passes over the images the best on the full batch, {full.label}, is at cost "
        f"{full.end:.2g}, the best on mini-batches, {mini.label}, at {mini.end:.2g}",
        "median and range; each with the number of its grid that suits two other starts best\n"
        "silent: digits whose output stays below 1/2 on all their images; seconds: one timing",
    )


def draw(axis: plots.Axes, outcome: Any, series: int, name: str, unit: float = 1.0) -> None:
    """One method's cost after 1, 2, ... evaluations, each of them `unit` long, named by its end."""
    cost, silent = outcome.cost[:, 1:], float(np.median(outcome.silent))
    label = f"{name}: {outcome.end:.2g}" + (f" ({silent:g} silent)" if silent else "")
    plots.seed_band(axis, unit * np.arange(1, cost.shape[1] + 1), cost, series, label)
