"""One page on a new cost beside the film's: what they pull at, how they get on, what their hills look like."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

KINDS = ("new", "film")  # the colour of the first series, and of the second
METHODS = ("full batch", "mini-batches")


def page(result: Any, batch_size: int, *, is_ours: bool) -> Figure:
    """Seven panels; the finding on top, and whether the gradients are right at the foot."""
    rows = [["two", "pulls", "scatter"]] * 2 + [["descents", "rates", kind] for kind in KINDS]
    figure, axes = plots.new_mosaic(18, 11, rows)
    both = (result.new, result.film)
    one_two(axes["two"], both)
    pulls(axes["pulls"], result, is_ours=is_ours)
    scatter(axes["scatter"], both, batch_size)
    descents(axes["descents"], both)
    rates(axes["rates"], both)
    for series, kind in enumerate(KINDS):
        hill(axes[kind], both[series], series)
    axes[KINDS[-1]].set_xlabel("first principal direction of the paths (star: start; lines as on the left)")
    plots.headline(figure, title(*both))
    plots.note(
        figure, f"the same starts and orders for both costs; mini-batches of {batch_size}\n{gradient_checks(both)}"
    )
    return figure


def title(new: Any, film: Any) -> str:
    """How much further the new cost gets both methods, on average of the seeds, each with its best rate."""
    pairs = zip(new.methods, film.methods, strict=True)
    full, mini = (100 * np.mean(mine.accuracy[:, -1] - films.accuracy[:, -1]) for mine, films in pairs)
    return (
        f"{new.name[0].upper()}{new.name[1:]} instead of {film.name}: {full:+.1f} points on the test images for the "
        f"full batch, {mini:+.1f} for mini-batches"
    )


def gradient_checks(both: tuple) -> str:
    """How far the three ways to the gradient are apart, in float64."""
    by_hand, differences = max(each.by_hand_error for each in both), max(each.difference_error for each in both)
    return (
        f"largest relative difference of the gradients in float64: by hand against jax.grad {by_hand:.0e} (asked for: "
        f"1e-12), jax.grad against central differences {differences:.0e} (asked for: 1e-6)"
    )


def one_two(axis: Axes, both: tuple) -> None:
    """What a real 2 asks of the outputs before training: bars to the sums z, outlines to the activations a."""
    outputs = np.arange(both[1].two.nudges.shape[1])
    for series, each in enumerate(both):
        place, colour, name = outputs + 0.4 * series - 0.2, plots.COLOURS[series], each.name
        sums, activations = -each.two.deltas[0], each.two.nudges[0]
        axis.bar(place, sums, 0.36, color=colour, hatch=("", "//")[series], edgecolor="white",
                 label=f"{name}: of the sums, -dC/dz")  # fmt: skip
        axis.bar(place, activations, 0.36, fill=False, edgecolor=colour, linewidth=1.2, linestyle=plots.LINES[series],
                 label="of the activations, -dC/da")  # fmt: skip
    axis.axhline(0, color="0.3", linewidth=1)
    axis.set_xticks(outputs)
    axis.set_xlabel("output neuron")
    axis.set_ylabel("wish of one image before training")
    wanted = int(both[1].two.nudges[0].argmax())
    axis.set_title(f"A real {wanted} wants output {wanted} up, the others down")
    axis.legend(fontsize=9, loc="upper right")


def pulls(axis: Axes, result: Any, *, is_ours: bool) -> None:
    """How hard an output that should be 1 is pulled, against what it is: dots of test images, and the theory."""
    wanted = result.film.at_end.targets == 1
    a = result.film.at_end.outputs[wanted]
    for series, each in enumerate((result.new, result.film)):
        axis.plot(a, -each.at_end.deltas[wanted], "os"[series], color=plots.COLOURS[series], markersize=4, alpha=0.5,
                  label=each.name)  # fmt: skip
    smooth = np.linspace(0, 1, 101)
    if result.sigmoid:
        axis.plot(smooth, 2 * (1 - smooth) ** 2 * smooth, "k:", linewidth=1.2, label="theory: 2 (y - a) a (1 - a)")
        if is_ours:
            axis.plot(smooth, 1 - smooth, "k--", linewidth=1.2, label="theory: y - a")
    least = int(a.argmin())
    new, film = (-each.at_end.deltas[wanted][least] for each in (result.new, result.film))
    axis.set_xlabel("activation a of an output that should be 1 (test images, after training)")
    axis.set_ylabel("pull on its weighted sum, -dC/dz")
    axis.set_title(f"The most wrong output is pulled {new / film:,.0f} times as hard")
    axis.legend(fontsize=9)


def scatter(axis: Axes, both: tuple, batch_size: int) -> None:
    """The noise scale before and after training."""
    for series, each in enumerate(both):
        plots.seed_points(axis, np.arange(2) + 0.1 * series - 0.05, each.scatter.noise_scale, series, each.name)
    plots.reference_line(axis, batch_size, f"the batch size, {batch_size}")
    axis.set_yscale("log")
    axis.set_xlim(-0.5, 1.5)
    axis.set_xticks(range(2), ("before training", "after the mini-batches' run"))
    axis.set_ylabel("noise scale tr Sigma / |G|^2, examples")
    axis.set_title("How far the examples' gradients scatter")
    axis.legend(loc="upper left", title="median and range of the seeds")


def descents(axis: Axes, both: tuple) -> None:
    """Test accuracy of both methods on both costs against examples read."""
    for series, each in enumerate(both):
        for index, (method, found) in enumerate(zip(METHODS, each.methods, strict=True)):
            label = f"{each.name}, {method}, rate {found.tuned.best:g}"
            plots.seed_band(axis, found.read, 100 * found.accuracy, series + 2 * index, label)
    axis.set_xscale("log")
    axis.set_xlabel("examples read")
    axis.set_ylabel("correct on the test images, %")
    ahead = both[0].methods[1].accuracy[:, -1] > both[1].methods[1].accuracy[:, -1]
    axis.set_title(f"Best rates: with mini-batches {both[0].name}\nends ahead in {ahead.sum()} of {len(ahead)} seeds")
    axis.set_ylim(0, 140)
    axis.set_yticks(range(0, 101, 20))
    axis.legend(fontsize=9, loc="upper left")


def rates(axis: Axes, both: tuple) -> None:
    """Test accuracy at the end against the learning rate: the same grid for all."""
    grid = both[0].methods[0].tuned.rates
    for series, each in enumerate(both):
        for index, (method, found) in enumerate(zip(METHODS, each.methods, strict=True)):
            by_rate, chosen = 100 * found.by_rate, int(np.argmin(found.tuned.costs))
            number = series + 2 * index
            plots.seed_band(axis, grid, by_rate, number, f"{each.name}, {method}")
            axis.plot(grid[chosen], np.median(by_rate[:, chosen]), "*", color=plots.COLOURS[number], markersize=14)
    axis.set_xscale("log")
    plots.plain_log_ticks(axis.xaxis, grid.tolist())
    axis.set_xlabel("learning rate")
    axis.set_ylabel("correct on the test images at the end, %")
    axis.set_title("All rates: the best one (star: lowest cost\non the training images) belongs to a cost")


def hill(axis: Axes, found: Any, series: int) -> None:
    """The exact cost round both paths on the plane nearest to them, first seed."""
    plots.map_of_hill(axis, found.hill.alphas, found.hill.betas, found.hill.surface)
    for index, (method, shadow) in enumerate(zip(METHODS, found.hill.shadows, strict=True)):
        plots.path_on_map(axis, shadow, 2 * index + series, method)
    axis.plot(*found.hill.shadows[0][0], "k*", markersize=13)
    axis.set_title(f"The hill of {found.name} ({100 * found.share:.0f} % of the variance)", fontsize=10)
    axis.set_ylabel("second")
