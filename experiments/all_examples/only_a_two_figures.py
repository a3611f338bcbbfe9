"""What the network calls everything, taught by one image."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def alone(result: Any, starts: tuple[str, str]) -> Figure:
    """For each digit, the percentage of the test images called by its name, against steps on one image of it."""
    steps, named = result.steps, 100 * result.named
    digits = named.shape[2]
    num_rows = math.ceil(digits / 5)
    figure, axes = plots.new_figure(15, 1.5 + 3 * num_rows, rows=num_rows, columns=5, sharex=True, sharey=True)
    for digit, axis in enumerate(axes.flat[:digits]):
        for kind, label in enumerate(starts):
            every_seed(axis, steps, named[kind, :, digit], kind, label)
        axis.set_title(f"one {result.digits[digit]}")
    for axis in axes.flat[digits:]:
        axis.set_axis_off()
    axes[0, 0].set_xscale("symlog", linthresh=1)
    axes[0, 0].set_ylim(-3, 103)
    plots.plain_log_ticks(axes[0, 0].xaxis, [0, *(10**power for power in range(len(str(steps[-1]))))])
    for axis in axes[-1]:
        axis.set_xlabel("steps, all on that image")
        axis.tick_params(axis="x", labelsize=9)
    for axis in axes[:, 0]:
        axis.set_ylabel("called by its name,\n% of the test images")
    axes[0, 0].legend(fontsize=8, title="start", title_fontsize=8)
    plots.headline(figure, alone_title(steps, named))
    plots.note(figure, "bold: median, thin: each")
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
