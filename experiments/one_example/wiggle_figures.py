"""Two wiggled weights and their ratio, and the sensitivities of weights drawn at random."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def wiggle(pair: Any, epsilons: np.ndarray, exact: np.ndarray, measured: np.ndarray) -> Figure:
    """Changes of the cost, their ratio, and the ratio's error, each against epsilon, for the first seed.

    `exact` (seeds) is the ratio of the two components, `measured` (seeds, epsilons) that of the changes of the cost.
    """
    figure, axes = plots.new_figure(15, 5, columns=3)
    changes = np.abs(pair.changes[0])
    left, middle, right = axes[0]
    for series, label in enumerate(("the most sensitive weight", f"one nearest to 1/{exact[0]:.0f} of it")):
        colour, line = plots.COLOURS[series], plots.LINES[series]
        component = abs(pair.components[0, series])
        left.plot(epsilons, changes[:, series], "o", color=colour, linestyle=line,
                  label=f"{label}: component {component:.2g}")  # fmt: skip
    left.set_yscale("log")
    left.set_ylabel("change of the cost, without sign")
    left.set_title("The same wiggle, two changes of the cost")
    left.set_ylim(top=20 * changes.max())
    left.legend(loc="upper left")
    between = np.sqrt(np.prod(changes[np.argmin(np.abs(epsilons - 3e-4))]))
    left.annotate(f"{exact[0]:.0f} times", (3e-4, between), ha="center")
    middle.plot(epsilons, measured[0], "o-", color=plots.COLOURS[2], label="one change over the other")
    exactly = f"one component over the other: {exact[0]:.2f}"  # in the legend: beside the line it would meet the curve
    middle.axhline(exact[0], color="0.4", linewidth=1, linestyle=(0, (2, 2)), label=exactly)
    middle.set_ylabel("ratio of the two changes")
    middle.set_title(f"Small wiggles: {exact[0]:.2f} times")
    middle.legend(loc="upper left")
    draw_errors(right, epsilons, np.abs(measured - exact[:, None]), pair.error_slope)
    for axis in axes[0]:
        axis.set_xscale("log")
        axis.set_xlabel("epsilon, added to one weight alone")
    plots.headline(
        figure, f"A component {exact[0]:.0f} times larger: the cost is {exact[0]:.0f} times as sensitive to that weight"
    )
    plots.note(figure, "left and middle: first seed")
    return figure


def draw_errors(axis: Axes, epsilons: np.ndarray, errors: np.ndarray, error_slopes: np.ndarray) -> None:
    """The ratio's error against epsilon for every seed, with the line that the curvatures predict."""
    for seed, (error, error_slope) in enumerate(zip(errors, error_slopes, strict=True)):
        colour = plots.COLOURS[seed % len(plots.COLOURS)]
        axis.plot(epsilons, error, "o", color=colour, label="measured" if seed == 0 else None)
        axis.plot(epsilons, error_slope * epsilons, "--", color=colour, linewidth=1,
                  label="from the two curvatures" if seed == 0 else None)  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylabel("distance of the ratio from the exact one")
    axis.set_title(f"A tenth of the wiggle, a tenth of the error ({len(errors)} seeds)")
    axis.legend()


def sensitivity(components: np.ndarray, changes: np.ndarray, epsilon: float) -> Figure:
    """The change of the cost per wiggle against the component, for weights drawn at random."""
    figure, axes = plots.new_figure(7, 5)
    axis, components, changes = axes[0, 0], np.abs(components), np.abs(changes)
    shown = components > 1e-7 * components.max()  # the weights of pixels that are always black are 0 on both axes
    span = np.array([components[shown].min(), components.max()])
    axis.plot(span, span, color="0.4", linewidth=1, label="equal")
    axis.plot(components[shown], changes[shown], "o", color=plots.COLOURS[2], alpha=0.6, markersize=5,
              label=f"{shown.sum()} weights and biases")  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("size of the gradient's component")
    axis.set_ylabel(f"change of the cost / epsilon, wiggled by {epsilon:g}")
    axis.legend()
    plots.headline(figure, "A component is the cost's sensitivity to that weight")
    plots.note(figure, "first seed")
    return figure
