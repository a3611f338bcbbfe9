"""Figure of other_optimizers: the cost against gradient evaluations, passes and seconds."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

SERIES = 6  # methods on the full batch that begin at the start; the others follow them
TICKS = [digit * 10.0**power for power in range(-6, 2) for digit in (1, 2, 5)]


def race(result: Any, num_evaluations: int) -> Figure:
    """Full-batch methods by evaluations; mini-batches, with two of those, by passes; the best of both by seconds."""
    figure, axes = plots.new_figure(17, 6.6, columns=3)
    left, middle, right = axes[0]
    for series, outcome in enumerate(result.full[:SERIES]):
        draw(left, outcome, series, label_of(outcome) + silence_of(outcome), 1.0)
    for series, outcome in enumerate(result.full[SERIES:], 1):  # in the colour of the same that begins at the start
        cost = np.median(outcome.cost[:, 1:], axis=0)
        left.plot(np.arange(1, len(cost) + 1), cost, color=plots.COLOURS[series], linestyle=(0, (6, 1)), linewidth=1,
                  label=label_of(outcome) + silence_of(outcome), marker="o", markevery=0.1, markersize=4)  # fmt: skip
    shown = [each for each in enumerate(result.full) if each[1].label in ("plain descent", "L-BFGS")]
    shown += [(index or SERIES, outcome) for index, outcome in enumerate(result.mini)]  # momentum as on the left
    for series, outcome in shown:
        draw(middle, outcome, series, label_of(outcome), 1.0)
        draw(right, outcome, series, label_of(outcome), outcome.seconds)
    left.set(title="Full batch: who gets lowest with as many gradients", xlabel="gradients of the full batch")
    middle.set(title="Mini-batches: as many passes over the images", xlabel="passes over the training images")
    right.set(title="The same, by the clock", xlabel="seconds of one run, compilation apart")
    for axis in axes[0]:
        axis.set(xscale="log", yscale="log", ylabel="cost on the training images")
        plots.plain_log_ticks(axis.yaxis, TICKS)
        axis.legend(fontsize=9, loc="lower left")
    full, mini = (min(part, key=lambda outcome: outcome.end) for part in result)
    says = (f"After {num_evaluations} passes over the images the best on the full batch, {full.label}, is at cost "
            f"{full.end:.2g}, the best on mini-batches, {mini.label.removesuffix(', mini-batches')}, at "
            f"{mini.end:.2g}")  # fmt: skip
    foot = ("median and range; in brackets the number that suits two other starts best: learning rate, or c2 of the "
            "line search.\nA digit is never said if its output stays below 1/2 on all its images")  # fmt: skip
    return plots.headline(figure, says, foot)


def silence_of(outcome: Any) -> str:
    """How many digits the network never says at the end."""
    count = float(np.median(outcome.silent))
    return f": {count:g} digit{'' if count == 1 else 's'} never said" if count else ""


def label_of(outcome: Any) -> str:
    """Name, and the number that suited best."""
    return f"{outcome.label} ({outcome.tuned.best:g})"


def draw(axis: Axes, outcome: Any, series: int, label: str, unit: float) -> None:
    """One method's cost after 1, 2, ... evaluations, each of them `unit` long."""
    cost = outcome.cost[:, 1:]
    plots.seed_band(axis, unit * np.arange(1, cost.shape[1] + 1), cost, series, label)
