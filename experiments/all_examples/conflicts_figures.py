"""The figures of conflicts: who agrees with whom, how that changes in training, and the pairs that disagree most."""

import math
from typing import Any

import numpy as np

from experiments.common import plots


def heat(result: Any) -> plots.Figure:
    """A class x class heat map of the mean cosine, at four checkpoints at most."""
    looks = result.looks
    cosines, different, same = (np.median(each, axis=0) for each in (looks.cosines, looks.different, looks.same))
    shown = np.unique(np.linspace(0, len(result.epochs) - 1, 4).astype(int))
    figure, (panels,) = plots.new_figure(4 * len(shown), 5.4, columns=len(shown), sharey=True)
    ticks = range(0, cosines.shape[-1], math.ceil(cosines.shape[-1] / 10))
    for axis, at in zip(panels, shown, strict=True):
        axis.imshow(cosines[at], cmap="RdBu", vmin=-1, vmax=1)
        title = f"{plots.when(result.epochs[at])}\ndifferent {different[at]:z.2f}, same {same[at]:z.2f}"
        axis.set(xticks=ticks, yticks=ticks, title=title, xlabel="class of the other image")
        axis.grid(False)
        axis.tick_params(length=0)
    figure.colorbar(panels[0].get_images()[0], ax=panels, shrink=0.8, label="mean cosine of their gradients")
    panels[0].set_ylabel("class of one image")
    verb = "stop pulling together" if different[-1] < different[0] else "pull together"
    says = f"mean cosine {different[0]:z.2f} at the start, {different[-1]:z.2f} {plots.when(result.epochs[-1])}"
    says += already(result.epochs[shown], different[shown])
    return plots.headline(figure, f"In training images of different classes {verb}: {says}", "medians")


def already(epochs: np.ndarray, cosines: np.ndarray) -> str:
    """Where the cosine is first below 0, in words; "" where it never is, or at the last look only."""
    at = int(np.append(cosines < 0, True).argmax())
    return f" (already {cosines[at]:.2f} {plots.when(epochs[at])})" if at < len(cosines) - 1 else ""


def agreement(result: Any) -> plots.Figure:
    figure, ((left, middle, right),) = plots.new_figure(16, 5.4, columns=3)
    epochs, looks, count = result.epochs, result.looks, result.num_examples
    share = 100 * looks.between / (looks.between + looks.within)
    for series, (axis, curve, label) in enumerate((
        (left, looks.same, "of one\nclass"), (left, looks.different, "of two\nclasses"),
        (middle, share, ""), (right, looks.coherence, ""),
    )):  # fmt: skip
        plots.seed_band(axis, epochs, curve, series, label, marker=plots.MARKERS[series])
    plots.reference_line(left, 0, "at right angles")
    left.set(ylabel="mean cosine between two gradients", title="Agreement, pair by pair")
    first, last = np.median(share[:, [0, -1]], axis=0)
    middle.set(ylim=(0, 100), ylabel="share of tr Sigma between the classes, %",
               title=f"{first:.0f} % of the scatter lies between the classes, then {last:.0f} %")  # fmt: skip
    plots.reference_line(right, count, f"all want the same: N = {count:,}")
    plots.reference_line(right, 1, "all at right angles: 1")
    plots.plain_log_ticks(right.yaxis, [tick for tick in (1, 10, 100, 1000, 10_000, 100_000) if tick <= count])
    right.set(ylim=(0.6, 2.2 * count), ylabel="$N\\,|G|^2$ / mean $|g_i|^2$",
              title="As if so many images wanted the same: m-coherence")  # fmt: skip
    for axis in (left, middle, right):
        axis.set_xscale("symlog", linthresh=0.1, linscale=0.4)
        plots.plain_log_ticks(axis.xaxis, [tick for tick in (0, 0.1, 0.3, 1, 2, 5, 10, 30) if tick <= epochs[-1]])
        axis.set(xlim=(-0.01, epochs[-1] * 1.15), xlabel="epochs of training")
    first, last = np.median(looks.coherence[:, [0, -1]], axis=0)
    verb = "stop agreeing" if last < first else "agree more"
    says = f"good as if {first:,.0f} of {count:,} wanted the same at the start, {last:,.0f} {plots.when(epochs[-1])}"
    title = f"In training the images {verb}: one image's step does as much {says}"
    return plots.headline(figure, title, "median and range")


def pairs(result: Any, num_images: int) -> plots.Figure:
    count = max(len(found.cosines) for found in result.pairs)
    figure, axes = plots.new_figure(2.6 * count, 4.1, rows=2, columns=count)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, found in enumerate(result.pairs):
        for axis, (left, right), (one, other), cosine in zip(axes[row], *found, strict=False):
            gap = np.zeros((left.shape[0], left.shape[1] // 7, left.shape[2]), left.dtype)
            axis.imshow(np.concatenate([left, gap, right], axis=1).squeeze(), cmap="gray_r")
            axis.set_axis_on()
            axis.set(xticks=[], yticks=[], title=f"{one} against {other}: {cosine:.2f}")
            axis.spines[:].set_visible(True)
        axes[row, 0].annotate(plots.when(result.epochs[-row]), (-0.08, 0.5), xycoords="axes fraction", rotation=90,
                              ha="center", va="center", fontsize=12, fontweight="bold")  # fmt: skip
    first, last = (found.cosines[0] for found in result.pairs)
    one, other = result.pairs[1].labels[0]
    some = f"no two of {num_images:,} images" if first > 0 else "some images already"
    title = f"At the start {some} pull against each other (lowest cosine {first:.2f}); "
    title += f"{plots.when(result.epochs[-1])} a {one} and a {other} do the "
    foot = f"first seed; cosine of the gradients, each with its worst opponent among the first {num_images:,} images"
    return plots.headline(figure, f"{title}most ({last:.2f})", foot)
