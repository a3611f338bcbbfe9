"""The figures of conflicts: who agrees with whom, how that changes in training, and the pairs that disagree most."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def when(epochs: float) -> str:
    """In words."""
    return f"after {epochs:g} epoch{'' if epochs == 1 else 's'}" if epochs else "at the start"


def heat(result: Any) -> Figure:
    """A class x class heat map of the mean cosine at every checkpoint."""
    epochs, cosines = result.epochs, result.looks.cosines.mean(axis=0)  # checkpoints, classes, classes
    columns = len(epochs) if len(epochs) <= 5 else math.ceil(len(epochs) / 2)
    rows = math.ceil(len(epochs) / columns)
    figure, axes = plots.new_figure(3.4 * columns + 1.5 * (rows == 1), 1.3 + 4.1 * rows, rows=rows, columns=columns)
    image = None
    different, same = (np.median(each, axis=0) for each in (result.looks.different, result.looks.same))
    for index, axis in enumerate(axes.flat):
        if index >= len(epochs):
            axis.set_axis_off()
            continue
        image = axis.imshow(cosines[index], cmap="RdBu", vmin=-1, vmax=1)
        ticks = range(0, cosines.shape[-1], math.ceil(cosines.shape[-1] / 10))
        axis.set_xticks(ticks)
        axis.set_yticks(ticks)
        axis.grid(False)
        axis.tick_params(length=0)
        axis.set_title(f"{when(epochs[index])}\ndifferent {different[index]:z.2f}, same {same[index]:z.2f}")
        axis.set_xlabel("class of the other image")
    for axis in axes[:, 0]:
        axis.set_ylabel("class of one image")
    assert image is not None
    label = "mean cosine between their gradients"
    if len(epochs) < axes.size:
        place = axes.flat[-1].inset_axes((0.05, 0.5, 0.9, 0.08))
        figure.colorbar(image, cax=place, orientation="horizontal", ticks=(-1, -0.5, 0, 0.5, 1), label=label)
    else:
        figure.colorbar(image, ax=axes, shrink=0.7, label=label)
    verb = "stop pulling together" if different[-1] < different[0] else "pull together"
    plots.headline(
        figure,
        f"In training images of different classes {verb}: mean cosine {different[0]:z.2f} at the start, "
        f"{different[-1]:z.2f} {when(epochs[-1])}",
    )
    plots.note(figure, "colours show the mean of the seeds, numbers their median")
    return figure


def agreement(result: Any) -> Figure:
    """Mean cosines, the share of the scatter between the classes, and the m-coherence, along the training."""
    figure, axes = plots.new_figure(16, 5.4, columns=3)
    left, middle, right = axes[0]
    epochs, looks, num_examples = result.epochs, result.looks, result.num_examples
    for series, (name, label) in enumerate((("same", "images of one class"), ("different", "of different classes"))):
        plots.seed_band(left, epochs, getattr(looks, name), series, label)
        left.plot(epochs, np.median(getattr(looks, name), axis=0), "os"[series], color=plots.COLOURS[series])
    plots.reference_line(left, 0, "at right angles")
    left.set_ylabel("mean cosine between two gradients")
    left.set_title("Agreement, pair by pair")
    left.legend()
    total = looks.between + looks.within
    share = 100 * looks.between / total
    plots.seed_band(middle, epochs, share, 2, "between the classes")
    middle.plot(epochs, np.median(share, axis=0), "^", color=plots.COLOURS[2])
    middle.set_ylim(0, 100)
    middle.set_ylabel("share of tr Sigma between the classes, %")
    first, last = np.median(share[:, [0, -1]], axis=0)
    middle.set_title(f"{first:.0f} % of the scatter lies between the classes, then {last:.0f} %")
    draw_coherence(right, result)
    for axis in axes[0]:
        axis.set_xscale("symlog", linthresh=0.1, linscale=0.4)
        plots.plain_log_ticks(axis.xaxis, [tick for tick in (0, 0.1, 0.3, 1, 2, 5, 10, 30) if tick <= epochs[-1]])
        axis.set_xlim(-0.01, epochs[-1] * 1.15)
        axis.set_xlabel("epochs of training")
    first, last = np.median(looks.coherence[:, [0, -1]], axis=0)
    plots.headline(
        figure,
        f"In training the images {'stop agreeing' if last < first else 'agree more'}: one image's step helps "
        f"{first:,.0f} of {num_examples:,} at the start, {last:,.0f} {when(epochs[-1])}",
    )
    plots.note(figure, "median and range")
    return figure


def draw_coherence(axis: Axes, result: Any) -> None:
    """The m-coherence along the training, between its two extremes."""
    epochs, looks, num_examples = result.epochs, result.looks, result.num_examples
    plots.seed_band(axis, epochs, looks.coherence, 3, "m-coherence, N |G|^2 / mean |g_i|^2")
    axis.plot(epochs, np.median(looks.coherence, axis=0), "D", color=plots.COLOURS[3])
    plots.reference_line(axis, num_examples, f"all want the same: N = {num_examples:,}")
    plots.reference_line(axis, 1, "all at right angles: 1")
    axis.set_yscale("log")
    axis.set_ylim(0.6, 2.2 * num_examples)
    plots.plain_log_ticks(axis.yaxis, [tick for tick in (1, 10, 100, 1000, 10_000, 100_000) if tick <= num_examples])
    axis.set_ylabel("images that one image's step helps")
    axis.set_title("How many want the same")
    axis.legend(loc="lower left", bbox_to_anchor=(0, 0.1))


def pairs(result: Any, num_images: int) -> Figure:
    """The pairs of images whose gradients are the most opposed, at the start and at the end."""
    count = max(len(found.cosines) for found in result.pairs)
    figure, axes = plots.new_figure(2.6 * count, 4.1, rows=2, columns=count)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, found in enumerate(result.pairs):
        for axis, pair, (one, other), cosine in zip(axes[row], *found, strict=False):
            gap = np.zeros((pair.shape[1], pair.shape[2] // 7, *pair.shape[3:]), pair.dtype)
            axis.set_axis_on()
            axis.spines[:].set_visible(True)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.imshow(np.concatenate([pair[0], gap, pair[1]], axis=1).squeeze(), cmap="gray_r")
            axis.set_title(f"{one} against {other}: {cosine:.2f}", fontsize=11)
        axes[row, 0].annotate(
            when(result.epochs[-row]), (-0.08, 0.5), xycoords="axes fraction", rotation=90, ha="center",
            va="center", fontsize=12, fontweight="bold",
        )  # fmt: skip
    plots.headline(figure, pairs_title(result))
    says = f"each with its worst opponent among the first {num_images:,} images"
    plots.note(figure, f"first seed; cosine of the gradients, {says}")
    return figure


def pairs_title(result: Any) -> str:
    """The finding in words."""
    first, last = (found.cosines[0] for found in result.pairs)
    one, other = result.pairs[1].labels[0]
    start = "no two images pull against each other" if first > 0 else "some images pull against each other already"
    return (
        f"At the start {start} (lowest cosine {first:.2f}); {when(result.epochs[-1])} a {one} and a {other} do the "
        f"most ({last:.2f})"
    )
