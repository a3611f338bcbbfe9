"""Two wiggled weights and their ratio, and the sensitivities of weights drawn at random."""

from typing import Any

import numpy as np

from experiments.common import plots


def wiggle(result: Any, epsilons: np.ndarray, exact: np.ndarray, measured: np.ndarray) -> plots.Figure:
    """`exact` (seeds) is the ratio of the two components, `measured` (seeds, epsilons) that of the cost's changes."""
    figure, ((left, middle, right),) = plots.new_figure(15, 5, columns=3)
    changes, components = np.abs(result.changes[0]), np.abs(result.components[0])
    for series, label in enumerate(("the most sensitive weight", f"one nearest to 1/{exact[0]:.0f} of it")):
        left.plot(epsilons, changes[:, series], "o", color=plots.COLOURS[series], linestyle=plots.LINES[series])
        above, at = series == 0, 5 - 2 * series
        plots.note(left, f"{label}:\ncomponent {components[series]:.2g}", (epsilons[at], changes[at, series]),
                   (-8, 8) if above else (8, -8), series=series, ha="right" if above else "left",
                   va="bottom" if above else "top")  # fmt: skip
    left.set(yscale="log", ylabel="change of the cost, without sign", title="The same wiggle, two changes of the cost")
    between = np.sqrt(np.prod(changes[np.argmin(np.abs(epsilons - 3e-4))]))
    plots.note(left, f"{exact[0]:.0f} times", (3e-4, between), ha="center")
    middle.plot(epsilons, measured[0], "o-", color=plots.COLOURS[2])
    plots.note(middle, "one change over the other", (epsilons[-2], measured[0, -2]), (-10, 0), series=2, va="center")
    plots.reference_line(middle, exact[0], "")
    plots.note(middle, f"dotted: the components', {exact[0]:.2f}", (epsilons[0], exact[0]), (0, 8))
    middle.set(ylabel="ratio of the two changes", title=f"Small wiggles: {exact[0]:.2f} times")
    for seed, (ratio, error_slope) in enumerate(zip(measured, result.error_slope, strict=True)):
        right.plot(epsilons, error_slope * epsilons, color="0.4", linewidth=0.8)
        right.plot(epsilons, np.abs(ratio - exact[seed]), "o", color=plots.COLOURS[0], markersize=5)
    right.set(yscale="log", ylabel="distance of the ratio from the exact one")
    right.set_title("A tenth of the wiggle, a tenth of the error\n(dots: every seed; lines: from two curvatures)")
    for axes in (left, middle, right):
        axes.set(xscale="log", xlabel="epsilon, added to one weight alone")
    times = f"{exact[0]:.0f} times"
    says = f"A component {times} larger: the cost is {times} as sensitive to that weight"
    return plots.headline(figure, says, "left and middle: first seed")


def sensitivity(result: Any, epsilon: float) -> plots.Figure:
    figure, ((axes,),) = plots.new_figure(7, 5)
    components, changes = np.abs(result.drawn_components[0]), np.abs(result.drawn_changes[0])
    shown = components > 1e-7 * components.max()  # the weights of pixels that are always black are 0 on both axes
    span = np.array([components[shown].min(), components.max()])
    axes.plot(span, span, color="0.4", linewidth=1)
    axes.plot(components[shown], changes[shown], "o", color=plots.COLOURS[2], alpha=0.6, markersize=5)
    plots.note(axes, f"{shown.sum()} weights and biases;\non the line both are equal", (0.04, 0.88),
               unit=plots.IN_PANEL)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="size of the gradient's component",
             ylabel=f"change of the cost / epsilon, wiggled by {epsilon:g}")  # fmt: skip
    return plots.headline(figure, "A component is the cost's sensitivity to that weight", "first seed")
