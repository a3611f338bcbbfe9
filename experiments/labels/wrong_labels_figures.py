"""What wrong labels cost, and who finds them."""

from typing import Any

import numpy as np

from experiments.common import plots

SCORES = "gradient's length", "cost"


def noise(result: Any, shares: np.ndarray, truth: list[np.ndarray], target: tuple) -> plots.Figure:
    """What is right on the test set, and on the training set by wrong labels, against the share of those; between the
    two shares of `target` a point is lost."""
    figure, ((left, right),) = plots.new_figure(14, 6.2, columns=2)
    shares, (bears, loses) = 100 * shares, 100 * np.array(target)
    for series, each in enumerate(result.recipes):
        name = each.label.replace(", ", ",\n")
        plots.seed_band(left, shares, 100 * each.test.T, series, name, marker=plots.MARKERS[series])
        plots.seed_band(right, shares, 100 * each.true.T, series, name)
        plots.seed_points(right, shares, 100 * each.given.T, series)
    for expected in truth:
        right.plot(shares, 100 * np.median(expected, axis=1), color="k", linewidth=1.2, linestyle=(0, (2, 2)))
    plots.note(right, "lines: by the right labels", (0.5, 0.84), unit=plots.IN_PANEL, ha="center", va="top")
    plots.note(right, "marks: by the labels given\ndotted: theory, if nothing wrong is learned", (0.04, 0.3),
               unit=plots.IN_PANEL, va="top")  # fmt: skip
    left.axvspan(bears, loses, color="0.9", linewidth=0, zorder=0)
    plots.note(left, "here a point is lost", (loses, 1), (4, -4), ("data", "axes fraction"))
    along = {
        "xlim": (-0.02 * shares[-1], 1.02 * shares[-1]),
        "xlabel": "wrong labels among those of the training images, %",
    }
    left.set(title="Test images (their labels are right)", ylabel="right on the test images, %", **along)
    right.set(title="Training images", ylabel="right on the training images, %", ylim=(0, 103), **along)
    lost = [each[0] - each for each in (100 * np.median(each.test, axis=1) for each in result.recipes)]
    dearest = max(lost, key=lambda each: each[-1])
    costs = ", ".join(f"{share:.0f} % cost {points:.2f}" for share, points in zip(shares, dearest, strict=True)
                      if share in (bears, loses, shares[-1]))  # fmt: skip
    headline = f"Labels wrong at random hardly mislead: {costs} points on the test images (the more sensitive network)"
    return plots.headline(figure, headline, "median and range")


def roc(result: Any, alarms: np.ndarray, epochs: list[int], share: float) -> plots.Figure:
    """For each recipe: wrong labels found against right ones suspected, by two scores, after two trainings."""
    figure, axes = plots.new_figure(14, 6.6, columns=2, sharey=True)
    for axis, each in zip(axes[0], result.recipes, strict=True):
        areas = np.median(each.areas[-1], axis=1)  # epochs, scores
        for at, score in np.ndindex(areas.shape):
            plots.seed_band(axis, 100 * alarms, 100 * each.curves[at, :, score], score, "", linestyle=plots.LINES[at],
                            marker=plots.MARKERS[score], markevery=0.08, markersize=5)  # fmt: skip
        axis.plot([0, 100], [0, 100], color="0.4", linewidth=1, linestyle=(0, (2, 2)))
        plots.note(axis, "by lot: area 0.5", (70, 70), (6, -6), va="top")
        for score, name in enumerate(SCORES):
            says = ", ".join(f"{area:.3f} after epoch {at}" for area, at in zip(areas[:, score], epochs, strict=True))
            plots.note(axis, f"{plots.SIGNS[score]} {name}: area {says}", (0.98, 0.03 + 0.05 * score),
                       unit=plots.IN_PANEL, ha="right", color=plots.COLOURS[score])  # fmt: skip
        axis.set(title=each.label, xlabel="right labels suspected, %", xlim=(-1, 101), ylim=(-1, 101))
    axes[0, 0].set_ylabel("wrong labels found, %")
    norm, cost = np.min([np.median(each.areas[-1, -1], axis=0) for each in result.recipes], axis=0)
    better = "The cost of an image tells better than its gradient's length"
    which = better if cost > norm else "An image's gradient tells as well as its cost"
    areas = f"area {cost:.2f} against {norm:.2f} (the worse of both networks)"
    foot = f"{100 * share:.0f} % of the labels are wrong; solid: after epoch {epochs[0]}, dashed: {epochs[-1]}; "
    return plots.headline(figure, f"{which} whether its label is wrong: {areas}", foot + "median and range")
