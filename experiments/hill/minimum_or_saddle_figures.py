"""Curvature and cost against |G|, on the way from the end of a long training."""

from typing import Any

import numpy as np

from experiments.common import plots


def curvatures(axis: plots.Axes, result: Any) -> None:
    """The ends of the spectrum, beside what a stationary point and a saturated sigmoid would show."""
    norm, largest, smallest = (
        np.median(each, axis=0) for each in (result.gradient_norm, result.largest, np.abs(result.smallest))
    )
    for seed, norms in enumerate(result.gradient_norm):
        colour = plots.COLOURS[seed % len(plots.COLOURS)]
        axis.plot(norms, result.largest[seed], "o-", color=colour)
        axis.plot(norms, np.abs(result.smallest[seed]), "x:", color=colour, linewidth=1)
    axis.plot(norm, largest[0] * norm / norm[0], color="0.3", linewidth=1.2, linestyle=(0, (2, 2)))
    axis.plot(norm[[0, -1]], largest[[0, 0]], color="0.3", linewidth=1.2, linestyle=(0, (2, 2)))
    for height, text in (
        (largest[0], "near a minimum\nor a saddle it stays"),
        (largest[-1], "largest; dashed:\nin proportion to |G|"),
        (smallest[-1], "smallest, without\nits sign"),
    ):
        plots.note(axis, text, (result.gradient_norm.min(), height), (9, 0), va="center")
    title = "Curvature vanishes with the gradient" if largest[-1] < 0.1 * largest[0] else "Curvature"
    axis.set(xscale="log", yscale="log", ylabel="eigenvalue of the Hessian", xlabel="|G|, as L-BFGS goes on",
             title=title)  # fmt: skip
    axis.set_xticks(10.0 ** np.arange(-7, 0), [f"$10^{{{power}}}$" for power in range(-7, 0)])
    axis.minorticks_off()
    high, low = 2 * result.gradient_norm.max(), norm[-1] / 2
    axis.set_xlim(high, high * (low / high) ** 1.5)  # a third of the axis is for the names


def costs(axis: plots.Axes, result: Any) -> None:
    """N times the cost, and at the end the number of outputs that are wrong."""
    for seed, norms in enumerate(result.gradient_norm):
        colour = plots.COLOURS[seed % len(plots.COLOURS)]
        label = f"{result.wrong[seed, -1] * result.num_examples:.0f} wrong"
        axis.plot(norms, result.cost[seed] * result.num_examples, "o-", color=colour, label=label)
    axis.invert_xaxis()
    axis.set(xscale="log", ylabel=f"{result.num_examples:,} times the cost", xlabel="|G|, as L-BFGS goes on",
             title="The cost comes to the number of outputs left wrong", ylim=(0, None))  # fmt: skip
