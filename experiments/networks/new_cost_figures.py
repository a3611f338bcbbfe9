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
    new, film = both = (result.new, result.film)
    draw_two(axes["two"], both)
    draw_pulls(axes["pulls"], result, is_ours=is_ours)
    draw_scatter(axes["scatter"], both, batch_size)
    draw_descents(axes["descents"], axes["rates"], both)
    for series, kind in enumerate(KINDS):
        draw_hill(axes[kind], both[series], series)
    axes[KINDS[-1]].set_xlabel("first principal direction of the paths (star: start; lines as on the left)")
    full, mini = (100 * np.mean(mine.accuracy[:, -1] - films.accuracy[:, -1])
                  for mine, films in zip(new.methods, film.methods, strict=True))  # fmt: skip
    says = f"{new.name[0].upper()}{new.name[1:]} instead of {film.name}: {full:+.1f} points on the test images for the "
    by_hand, differences = max(each.by_hand_error for each in both), max(each.difference_error for each in both)
    foot = (
        f"the same starts and orders for both costs; mini-batches of {batch_size}\nlargest relative difference of the "
        f"gradients in float64: by hand against jax.grad {by_hand:.0e} (asked for: 1e-12), jax.grad against central "
        f"differences {differences:.0e} (asked for: 1e-6)"
    )
    return plots.headline(figure, f"{says}full batch, {mini:+.1f} for mini-batches", foot)


def draw_two(axis: Axes, both: tuple) -> None:
    """What a real 2 asks of the outputs before training: bars to the sums z, outlines to the activations a."""
    outputs = np.arange(both[1].two.nudges.shape[1])
    for series, each in enumerate(both):
        place, colour = outputs + 0.4 * series - 0.2, plots.COLOURS[series]
        axis.bar(place, -each.two.deltas[0], 0.36, color=colour, hatch=("", "//")[series], edgecolor="white",
                 label=f"{each.name}: of the sums, -dC/dz")  # fmt: skip
        axis.bar(place, each.two.nudges[0], 0.36, fill=False, edgecolor=colour, linewidth=1.2,
                 linestyle=plots.LINES[series], label="of the activations, -dC/da")  # fmt: skip
    axis.axhline(0, color="0.3", linewidth=1)
    wanted = int(both[1].two.nudges[0].argmax())
    axis.set(xticks=outputs, xlabel="output neuron", ylabel="wish of one image before training",
             title=f"A real {wanted} wants output {wanted} up, the others down")  # fmt: skip
    axis.legend(fontsize=9, loc="upper right")


def draw_pulls(axis: Axes, result: Any, *, is_ours: bool) -> None:
    """How hard an output that should be 1 is pulled, against what it is: dots of test images, and the theory."""
    wanted = result.film.at_end.targets == 1
    a = result.film.at_end.outputs[wanted]
    new, film = pulls = [-each.at_end.deltas[wanted] for each in (result.new, result.film)]
    for series, name in enumerate((result.new.name, result.film.name)):
        axis.plot(a, pulls[series], "os"[series], color=plots.COLOURS[series], markersize=4, alpha=0.5, label=name)
    smooth, least = np.linspace(0, 1, 101), int(a.argmin())
    if result.sigmoid:
        axis.plot(smooth, 2 * (1 - smooth) ** 2 * smooth, "k:", linewidth=1.2, label="theory: 2 (y - a) a (1 - a)")
    if result.sigmoid and is_ours:
        axis.plot(smooth, 1 - smooth, "k--", linewidth=1.2, label="theory: y - a")
    axis.set(xlabel="activation a of an output that should be 1 (test images, after training)",
             ylabel="pull on its weighted sum, -dC/dz",
             title=f"The most wrong output is pulled {new[least] / film[least]:,.0f} times as hard")  # fmt: skip
    axis.legend(fontsize=9)


def draw_scatter(axis: Axes, both: tuple, batch_size: int) -> None:
    for series, each in enumerate(both):
        plots.seed_points(axis, np.arange(2) + 0.1 * series - 0.05, each.scatter.noise_scale, series, each.name)
    plots.reference_line(axis, batch_size, f"the batch size, {batch_size}")
    axis.set_xticks(range(2), ("before training", "after the mini-batches' run"))
    axis.set(yscale="log", xlim=(-0.5, 1.5), ylabel="noise scale tr Sigma / |G|^2, examples",
             title="How far the examples' gradients scatter")  # fmt: skip
    axis.legend(loc="upper left", title="median and range of the seeds")


def draw_descents(left: Axes, right: Axes, both: tuple) -> None:
    """Test accuracy of both methods on both costs: against examples read, and at the end against the learning rate."""
    grid = both[0].methods[0].tuned.rates
    for number, (method, each) in enumerate((method, each) for method in (0, 1) for each in both):
        found, label = each.methods[method], f"{each.name}, {METHODS[method]}"
        plots.seed_band(left, found.read, 100 * found.accuracy, number, f"{label}, rate {found.tuned.best:g}")
        by_rate, chosen = 100 * found.by_rate, int(np.argmin(found.tuned.costs))
        plots.seed_band(right, grid, by_rate, number, label)
        right.plot(grid[chosen], np.median(by_rate[:, chosen]), "*", color=plots.COLOURS[number], markersize=14)
    ahead = both[0].methods[1].accuracy[:, -1] > both[1].methods[1].accuracy[:, -1]
    left.set(xscale="log", xlabel="examples read", ylabel="correct on the test images, %", ylim=(0, 140),
             yticks=range(0, 101, 20), title=f"Best rates: with mini-batches {both[0].name}\nends ahead in "
             f"{ahead.sum()} of {len(ahead)} seeds")  # fmt: skip
    left.legend(fontsize=9, loc="upper left")
    right.set(xscale="log", xlabel="learning rate", ylabel="correct on the test images at the end, %",
              title="All rates: the best one (star: lowest cost\n"
              "on the training images) belongs to a cost")  # fmt: skip
    plots.plain_log_ticks(right.xaxis, grid.tolist())


def draw_hill(axis: Axes, found: Any, series: int) -> None:
    """The exact cost round both paths on the plane nearest to them, first seed."""
    plots.map_of_hill(axis, found.hill.alphas, found.hill.betas, found.hill.surface)
    for index, (method, shadow) in enumerate(zip(METHODS, found.hill.shadows, strict=True)):
        plots.path_on_map(axis, shadow, 2 * index + series, method)
    axis.plot(*found.hill.shadows[0][0], "k*", markersize=13)
    axis.set_title(f"The hill of {found.name} ({100 * found.share:.0f} % of the variance)", fontsize=10)
    axis.set_ylabel("second")
