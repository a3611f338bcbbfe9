"""Two wiggled weights and their ratio, and the sensitivities of weights drawn at random."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common import plots


def wiggle(result: Any, epsilons: np.ndarray, exact: np.ndarray, measured: np.ndarray) -> Figure:
    """`exact` (seeds) is the ratio of the two components, `measured` (seeds, epsilons) that of the cost's changes."""
    figure, (panels,) = plots.new_figure(15, 5, columns=3)
    left, middle, right = panels
    changes, components = np.abs(result.changes[0]), np.abs(result.components[0])
    for series, label in enumerate(("the most sensitive weight", f"one nearest to 1/{exact[0]:.0f} of it")):
        left.plot(epsilons, changes[:, series], "o", color=plots.COLOURS[series], linestyle=plots.LINES[series],
                  label=f"{label}: component {components[series]:.2g}")  # fmt: skip
    left.set(yscale="log", ylabel="change of the cost, without sign", title="The same wiggle, two changes of the cost")
    left.set_ylim(top=20 * changes.max())
    between = np.sqrt(np.prod(changes[np.argmin(np.abs(epsilons - 3e-4))]))
    left.annotate(f"{exact[0]:.0f} times", (3e-4, between), ha="center")
    middle.plot(epsilons, measured[0], "o-", color=plots.COLOURS[2], label="one change over the other")
    middle.axhline(exact[0], color="0.4", linewidth=1, linestyle=(0, (2, 2)),
                   label=f"one component over the other: {exact[0]:.2f}")  # fmt: skip
    middle.set(ylabel="ratio of the two changes", title=f"Small wiggles: {exact[0]:.2f} times")
    for seed, (ratio, error_slope) in enumerate(zip(measured, result.error_slope, strict=True)):
        colour = plots.COLOURS[seed % len(plots.COLOURS)]
        right.plot(epsilons, np.abs(ratio - exact[seed]), "o", color=colour, label="measured")
        right.plot(epsilons, error_slope * epsilons, "--", color=colour, linewidth=1, label="from the two curvatures")
    right.set(yscale="log", ylabel="distance of the ratio from the exact one",
              title=f"A tenth of the wiggle, a tenth of the error ({len(measured)} seeds)")  # fmt: skip
    for axes in panels:
        axes.set(xscale="log", xlabel="epsilon, added to one weight alone")
        axes.legend(handles=axes.lines[:2], loc="upper left")
    times = f"{exact[0]:.0f} times"
    says = f"A component {times} larger: the cost is {times} as sensitive to that weight"
    return plots.headline(figure, says, "left and middle: first seed")


def sensitivity(result: Any, epsilon: float) -> Figure:
    figure, ((axes,),) = plots.new_figure(7, 5)
    components, changes = np.abs(result.drawn_components[0]), np.abs(result.drawn_changes[0])
    shown = components > 1e-7 * components.max()  # the weights of pixels that are always black are 0 on both axes
    span = np.array([components[shown].min(), components.max()])
    axes.plot(span, span, color="0.4", linewidth=1, label="equal")
    axes.plot(components[shown], changes[shown], "o", color=plots.COLOURS[2], alpha=0.6, markersize=5,
              label=f"{shown.sum()} weights and biases")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="size of the gradient's component",
             ylabel=f"change of the cost / epsilon, wiggled by {epsilon:g}")  # fmt: skip
    axes.legend()
    return plots.headline(figure, "A component is the cost's sensitivity to that weight", "first seed")
