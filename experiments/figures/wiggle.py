"""Two wiggled weights and their ratio, four ways down, and the sensitivities of weights drawn at random."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from research import plots


def wiggle_figure(
    record: dict, arrays: dict[str, np.ndarray], epsilons: np.ndarray, exact: np.ndarray, measured: np.ndarray
) -> Figure:
    """Changes of the cost, their ratio, and the ratio's error, each against epsilon, for the first seed.

    `exact` (seeds) is the ratio of the two components, `measured` (seeds, epsilons) that of the changes of the cost.
    """
    figure, axes = plots.new_figure(15, 5, columns=3)
    changes = np.abs(arrays["changes"][0])
    left, middle, right = axes[0]
    for series, label in enumerate(("the most sensitive weight", f"one nearest to 1/{exact[0]:.0f} of it")):
        colour, line = plots.COLOURS[series], plots.LINES[series]
        component = abs(arrays["components"][0, series])
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
    draw_errors(right, epsilons, np.abs(measured - exact[:, None]), arrays["error_slope"])
    for axis in axes[0]:
        axis.set_xscale("log")
        axis.set_xlabel("epsilon, added to one weight alone")
    plots.headline(
        figure, f"A component {exact[0]:.0f} times larger: the cost is {exact[0]:.0f} times as sensitive to that weight"
    )
    foot(figure, record, "left and middle: first seed")
    return figure


def foot(figure: Figure, record: dict, says: str) -> None:
    """Below a figure: network and data (of a folder the last part of its name), and what else `says`."""
    name, count = Path(record["dataset"]["name"]).name, record["settings"]["num_examples"]
    figure.supxlabel(
        f"network of {record['num_parameters']:,} parameters, cost over {count:,} images of {name}; {says}", fontsize=10
    )


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


def direction_figure(record: dict, arrays: dict[str, np.ndarray], step_length: float, epsilon: float) -> Figure:
    """How steeply four ways go down; and the sensitivity of weights drawn at random against their components."""
    figure, axes = plots.new_figure(14, 5.6, columns=2)
    left, right = axes[0]
    names = ("the gradient", "its signs alone", "best single parameter",
             f"best of {record['settings']['num_directions']:,}\nrandom directions")  # fmt: skip
    shares = 100 * np.median(arrays["first_order"], axis=0)
    actual = 100 * np.median(arrays["actual"] / arrays["actual"][:, :1], axis=0)
    places = np.arange(len(names))
    left.barh(places, shares, color=plots.COLOURS[0], height=0.6, label="slope of the cost")
    left.plot(actual, places, "D", color=plots.COLOURS[1], markersize=8, label=f"a real step of length {step_length}")
    for place, share in zip(places, shares, strict=True):
        left.annotate(f"{share:.3g} %", (share, place), xytext=(10, 8), textcoords="offset points")
    left.set_yticks(places, names)
    left.invert_yaxis()
    left.set_xlim(0, 115)
    left.set_xlabel("decrease of the cost for the same length of step, % of the gradient's")
    left.set_title("Nothing goes down as steeply as the gradient")
    left.legend(loc="lower right")
    components, measured = np.abs(arrays["wiggled_components"][0]), np.abs(arrays["wiggled_measured"][0])
    shown = components > 1e-7 * components.max()  # the weights of pixels that are always black are 0 on both axes
    span = np.array([components[shown].min(), components.max()])
    right.plot(span, span, color="0.4", linewidth=1, label="equal")
    right.plot(components[shown], measured[shown], "o", color=plots.COLOURS[2], alpha=0.6, markersize=5,
               label=f"{shown.sum()} weights and biases")  # fmt: skip
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("size of the gradient's component")
    right.set_ylabel(f"change of the cost / epsilon, wiggled by {epsilon:g}")
    right.set_title("The component IS the sensitivity (first seed)")
    right.legend()
    plots.headline(
        figure,
        f"Step for equal step, the gradient's signs alone go down {shares[1]:.0f} % as steeply as the gradient, "
        f"a random direction at best {shares[3]:.0f} %",
    )
    foot(figure, record, f"left: median of {len(arrays['actual'])} seeds")
    return figure
