"""What wrong labels cost, and who finds them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def percent_ticks(axes: Axes, largest: float) -> None:
    """Shares of labels on the x axis, in per cent."""
    axes.set_xlim(-0.02 * largest, 1.02 * largest)
    axes.set_xlabel("wrong labels among those of the training images, %")


def noise(result: Any, shares: np.ndarray, truth: list[np.ndarray], wrong: float) -> Figure:
    """What is right on the test set, and on the training set by wrong labels, against the share of those."""
    figure, axes = plots.new_figure(14, 6.2, columns=2)
    left, right = axes[0]
    shares, wrong = 100 * shares, 100 * wrong
    for series, each in enumerate(result.recipes):
        name = each.label
        plots.seed_band(left, shares, 100 * each.test.T, series, name)
        plots.seed_points(left, shares, 100 * each.test.T, series)
        plots.seed_band(right, shares, 100 * each.true.T, series, f"{name}: by the right labels")
        plots.seed_points(right, shares, 100 * each.given.T, series, f"{name}: by the labels given")
    for series in range(len(truth)):
        right.plot(
            shares, 100 * np.median(truth[series], axis=1), color="k", linewidth=1.2,
            linestyle=(0, (2, 2)), label=None if series else "theory: by the labels given, if nothing wrong is learned",
        )  # fmt: skip
    left.axvline(wrong, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    left.annotate(
        f"{wrong:.0f} %: about one point lost", (wrong, 1), xycoords=("data", "axes fraction"), xytext=(4, -4),
        textcoords="offset points", va="top", fontsize=9, color="0.3",
    )  # fmt: skip
    left.set_ylabel("right on the test images, %")
    left.set_title("Test images (their labels are right)")
    left.legend(loc="lower left")
    right.set_ylabel("right on the training images, %")
    right.set_ylim(0, 103)
    right.set_title("Training images")
    right.legend(loc="lower left", fontsize=9)
    for axis in (left, right):
        percent_ticks(axis, shares[-1])
    lost = [100 * np.median(each.test, axis=1) for each in result.recipes]
    dearest = max(accuracy[0] - accuracy[-1] for accuracy in lost)
    plots.headline(
        figure,
        f"Labels wrong at random hardly mislead: {wrong:.0f} % of them cost about one point on the test images, "
        f"{shares[-1]:.0f} % cost {dearest:.1f} (the more sensitive network)",
    )
    plots.note(figure, "median and range")
    return figure


def roc(result: Any, alarms: np.ndarray, epochs: list[int], share: float) -> Figure:
    """For each recipe: wrong labels found against right ones suspected, by two scores, after two trainings."""
    alarms = 100 * alarms
    figure, axes = plots.new_figure(14, 6.6, columns=2, sharey=True)
    for axis, each in zip(axes[0], result.recipes, strict=True):
        areas, curves = each.areas[-1], each.curves[-1]  # epochs, seeds, scores, ...
        for at, epoch in enumerate(epochs):
            for score, symbol in enumerate(("|g_i|", "cost C_i")):
                colour, found = plots.COLOURS[score], 100 * curves[at, :, score]
                label = f"{symbol}, epoch {epoch}: area {np.median(areas[at, :, score]):.3f}"
                axis.fill_between(alarms, found.min(axis=0), found.max(axis=0), color=colour, alpha=0.2, linewidth=0)
                axis.plot(alarms, np.median(found, axis=0), color=colour, linestyle=plots.LINES[at], label=label)
        axis.plot([0, 100], [0, 100], color="0.4", linewidth=1, linestyle=(0, (2, 2)), label="by lot: area 0.5")
        axis.set_title(each.label)
        axis.set_xlabel("right labels suspected, %")
        axis.set_xlim(-1, 101)
        axis.set_ylim(-1, 101)
        axis.legend(loc="lower right")
    axes[0, 0].set_ylabel("wrong labels found, %")
    plots.headline(figure, roc_title(result))
    plots.note(figure, f"{100 * share:.0f} % of the labels are wrong; median and range")
    return figure


def roc_title(result: Any) -> str:
    """Which of the two scores tells more, by the worse of both networks."""
    norm, cost = (min(np.median(each.areas[-1, -1, :, score]) for each in result.recipes) for score in (0, 1))
    better = "The cost of an image tells better than its gradient's length"
    which = better if cost > norm else "An image's gradient tells as well as its cost"
    return f"{which} whether its label is wrong: area {cost:.2f} against {norm:.2f} (the worse of both networks)"
