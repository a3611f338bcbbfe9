"""A new cost beside the film's: what they pull at and how they get on; one digit's wishes and the hills."""

from typing import Any

import numpy as np

from experiments.common import plots
from experiments.common.claims import number

METHODS = ("full batch", "mini-batches")


def on_top(result: Any) -> str:
    """Of both methods, the median on the test images with either cost."""
    parts = []
    for method, *found in zip(METHODS, result.new.methods, result.film.methods, strict=True):
        new, film = (100 * np.median(each.accuracy[:, -1]) for each in found)
        parts.append(f"{method} {new:.1f} % against {film:.1f} %")
    return f"Test images at the best rate, {result.new.name} against {result.film.name}: {', '.join(parts)}"


def race(result: Any, batch_size: int, *, is_ours: bool) -> plots.Figure:
    figure, axes = plots.new_figure(18, 5.6, columns=3, width_ratios=[1, 1.1, 1])
    draw_pulls(axes[0, 0], result, is_ours=is_ours)
    draw_descents(axes[0, 1], axes[0, 2], (result.new, result.film))
    foot = f"the same starts and orders for both costs; mini-batches of {batch_size}; median and range"
    return plots.headline(figure, on_top(result), foot)


def draw_pulls(axis: plots.Axes, result: Any, *, is_ours: bool) -> None:
    """How hard an output that should be 1 is pulled, against what it is: dots of test images, and the theory."""
    wanted = result.film.at_end.targets == 1
    a, smooth = result.film.at_end.outputs[wanted], np.linspace(0, 1, 101)
    theories = ((1 - smooth, ": y - a"), (2 * (1 - smooth) ** 2 * smooth, ": 2 (y - a) a (1 - a)"))
    named = [int(np.abs(a - place).argmin()) for place in (0.5, 0.25)]
    pulls, known = [], (result.sigmoid and is_ours, result.sigmoid)
    for series, (each, (theory, formula)) in enumerate(zip((result.new, result.film), theories, strict=True)):
        pulls.append(-each.at_end.deltas[wanted])
        axis.plot(a, pulls[-1], "os"[series], color=plots.COLOURS[series], markersize=4, alpha=0.5)
        at, offset, side = named[series], ((8, 8), (0, 14))[series], ("left", "center")[series]
        plots.note(axis, each.name + formula * known[series], (a[at], pulls[-1][at]), offset, series=series, ha=side)
        if known[series]:
            axis.plot(smooth, theory, "k--", linewidth=1)
    least = int(a.argmin())
    axis.set(xlabel="activation a of an output that should be y = 1", ylabel="pull on its weighted sum, -dC/dz",
             title=f"{result.new.name} pulls the most wrong of {len(a):,}\n(a = {a[least]:.1g}) "
             f"{number(pulls[0][least] / pulls[1][least])} times as hard as {result.film.name}")  # fmt: skip


def draw_descents(left: plots.Axes, right: plots.Axes, both: tuple) -> None:
    """Test accuracy of both methods on both costs: against examples read, and at the end against the learning rate."""
    grid = both[0].methods[0].tuned.rates
    for series, (method, each) in enumerate((method, each) for method in (0, 1) for each in both):
        found = each.methods[method]
        plots.seed_band(left, found.read, 100 * found.accuracy, series, f"{METHODS[method]},\n{each.name}")
        by_rate, chosen = 100 * found.by_rate, int(np.argmin(found.tuned.costs))
        plots.seed_band(right, grid, by_rate, series, "")
        right.plot(grid[chosen], np.median(by_rate[:, chosen]), "*", color=plots.COLOURS[series], markersize=14)
    left.set(xscale="log", xlabel="examples read", ylabel="correct on the test images, %", ylim=(0, 100),
             title="With the best rate")  # fmt: skip
    plots.panel(right, "With every rate, lines as in the middle\n(star: lowest cost on the training images)",
                "learning rate", "correct at the end, %", log_x=grid.tolist(), ylim=(0, 100))  # fmt: skip


def hills(result: Any) -> plots.Figure:
    both = (result.new, result.film)
    figure, axes = plots.new_mosaic(16, 8.2, [["two", 0], ["two", 1]])
    draw_two(axes["two"], both)
    for series, each in enumerate(both):
        draw_hill(axes[series], each, series)
    wanted = int(result.film.two.nudges[0].argmax())
    new, film = (-each.two.deltas[0, wanted] for each in both)
    by_hand, differences = (max(errors) for errors in zip(*(each[1:3] for each in both), strict=True))
    return plots.headline(
        figure,
        f"Before training a real {wanted} pulls its own output up {new / film:.2g} times as hard with "
        f"{result.new.name} as with {result.film.name}",
        "hills: exact cost on the plane nearest to both paths, first seed; noise scale: tr Sigma / |G|^2, median and "
        f"range\ngradients in float64: by hand against jax.grad to {by_hand:.0e}, jax.grad against central "
        f"differences to {differences:.0e}",
    )


def draw_two(axis: plots.Axes, both: tuple) -> None:
    """What a real 2 asks of the outputs before training: bars to the sums z, outlines to the activations a."""
    outputs, wanted = np.arange(both[1].two.nudges.shape[1]), int(both[1].two.nudges[0].argmax())
    for series, each in enumerate(both):
        place, colour = outputs + 0.4 * series - 0.2, plots.COLOURS[series]
        axis.bar(place, -each.two.deltas[0], 0.36, color=colour, hatch=("", "//")[series], edgecolor="white")
        axis.bar(place, each.two.nudges[0], 0.36, fill=False, edgecolor=colour, linestyle=plots.LINES[series])
        plots.note(axis, each.name, (place[wanted], each.two.nudges[0, wanted]), (14, -10), color=colour)
    axis.axhline(0, color="0.3", linewidth=1)
    axis.set(xticks=outputs, xlabel="output neuron", ylabel="wish of one image before training",
             title="What it wants of every output: filled, of the weighted sum,\n-dC/dz; outline, of the activation, "
             "-dC/da")  # fmt: skip


def draw_hill(axis: plots.Axes, found: Any, series: int) -> None:
    plots.map_of_hill(axis, found.hill.alphas, found.hill.betas, found.hill.surface)
    for index, (method, shadow) in enumerate(zip(METHODS, found.hill.shadows, strict=True)):
        plots.path_on_map(axis, shadow, 2 * index + series)
        plots.note(axis, method, shadow[-1], (0, 8), fontweight="bold", color="black")
    axis.plot(*found.hill.shadows[0][0], "k*", markersize=13)
    axis.set(xlabel="first principal direction of the paths" if series else "", ylabel="second",
             title=f"The hill of {found.name}, {100 * found.share:.0f} % of the paths' variance; noise scale\n"
             f"{np.median(found.scatter.noise_scale[:, 0]):.1g} at the star, {scale_at_end(found)} at the end of the "
             "mini-batches")  # fmt: skip


def scale_at_end(found: Any) -> str:
    """The noise scale of all examples after the mini-batches, median and range."""
    scales = found.scatter.noise_scale[:, 1]
    return f"{np.median(scales):,.0f} ({scales.min():,.0f} to {scales.max():,.0f})"
