"""One page on a new cost beside the film's: what they pull at, how their men get on, what their hills look like."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

KINDS = ("new", "film")  # the colour of the first series, and of the second
METHODS = ("full batch", "mini-batches")

Arrays = dict[str, np.ndarray]


def page(record: dict, arrays: Arrays) -> Figure:
    """Seven panels; the finding on top, and whether the gradients are right at the foot."""
    rows = [["two", "pulls", "scatter"]] * 2 + [["descents", "rates", kind] for kind in KINDS]
    figure, axes = plots.new_mosaic(18, 11, rows)
    one_two(axes["two"], record, arrays)
    pulls(axes["pulls"], record, arrays)
    scatter(axes["scatter"], record, arrays)
    descents(axes["descents"], record, arrays)
    rates(axes["rates"], record, arrays)
    for kind in KINDS:
        hill(axes[kind], kind, record, arrays)
    axes[KINDS[-1]].set_xlabel("first principal direction of the paths (star: start; lines as on the left)")
    settings, test = record["settings"], record["dataset"]["test"]["count"]
    plots.headline(figure, title(record, arrays))
    plots.foot(
        figure, record,
        f"{test:,} test images; {settings['num_seeds']} seeds, the same starts and orders for both costs; "
        f"mini-batches of {settings['batch_size']}\n{gradient_checks(record)}",
    )  # fmt: skip
    return figure


def title(record: dict, arrays: Arrays) -> str:
    """How much further the new cost gets both men, on average of the seeds, each with its best rate."""
    full, mini = (
        100 * np.mean(arrays[f"new_{index}_accuracy"][:, -1] - arrays[f"film_{index}_accuracy"][:, -1])
        for index in (0, 1)
    )
    new, film = (record["names"][kind] for kind in KINDS)
    return (
        f"{new[0].upper()}{new[1:]} instead of {film}: {full:+.1f} points on the test images for the full batch, "
        f"{mini:+.1f} for mini-batches"
    )


def gradient_checks(record: dict) -> str:
    """How far the three ways to the gradient are apart, in float64."""
    by_hand, differences = (max(record["checks"][kind][at] for kind in KINDS) for at in (0, 1))
    return (
        f"largest relative difference of the gradients in float64: by hand against jax.grad {by_hand:.0e} (asked for: "
        f"1e-12), jax.grad against central differences {differences:.0e} (asked for: 1e-6)"
    )


def one_two(axis: Axes, record: dict, arrays: Arrays) -> None:
    """What a real 2 asks of the outputs before training: bars to the sums z, outlines to the activations a."""
    outputs = np.arange(arrays["film_two_nudges"].shape[1])
    for series, kind in enumerate(KINDS):
        place, colour, name = outputs + 0.4 * series - 0.2, plots.COLOURS[series], record["names"][kind]
        sums, activations = -arrays[f"{kind}_two_deltas"][0], arrays[f"{kind}_two_nudges"][0]
        axis.bar(place, sums, 0.36, color=colour, hatch=("", "//")[series], edgecolor="white",
                 label=f"{name}: of the sums, -dC/dz")  # fmt: skip
        axis.bar(place, activations, 0.36, fill=False, edgecolor=colour, linewidth=1.2, linestyle=plots.LINES[series],
                 label="of the activations, -dC/da")  # fmt: skip
    axis.axhline(0, color="0.3", linewidth=1)
    axis.set_xticks(outputs)
    axis.set_xlabel("output neuron")
    axis.set_ylabel("wish of one image before training")
    wanted = int(arrays["film_two_nudges"][0].argmax())
    axis.set_title(f"A real {wanted} wants output {wanted} up, the others down")
    axis.legend(fontsize=9, loc="upper right")


def pulls(axis: Axes, record: dict, arrays: Arrays) -> None:
    """How hard an output that should be 1 is pulled, against what it is: dots of test images, and the theory."""
    wanted = arrays["film_wishes_targets"] == 1
    a = arrays["film_wishes_outputs"][wanted]
    for series, kind in enumerate(KINDS):
        axis.plot(a, -arrays[f"{kind}_wishes_deltas"][wanted], "os"[series], color=plots.COLOURS[series], markersize=4,
                  alpha=0.5, label=record["names"][kind])  # fmt: skip
    smooth = np.linspace(0, 1, 101)
    if record["settings"]["output_activation"] == "jax.nn:sigmoid":
        axis.plot(smooth, 2 * (1 - smooth) ** 2 * smooth, "k:", linewidth=1.2, label="theory: 2 (y - a) a (1 - a)")
        if record["settings"]["cost"].endswith("new_cost:cross_entropy"):
            axis.plot(smooth, 1 - smooth, "k--", linewidth=1.2, label="theory: y - a")
    least = int(a.argmin())
    new, film = (-arrays[f"{kind}_wishes_deltas"][wanted][least] for kind in KINDS)
    axis.set_xlabel("activation a of an output that should be 1 (test images, after training)")
    axis.set_ylabel("pull on its weighted sum, -dC/dz")
    axis.set_title(f"The most wrong output is pulled {new / film:,.0f} times as hard")
    axis.legend(fontsize=9)


def scatter(axis: Axes, record: dict, arrays: Arrays) -> None:
    """The noise scale before and after training."""
    for series, kind in enumerate(KINDS):
        plots.seed_points(axis, np.arange(2) + 0.1 * series - 0.05, arrays[f"{kind}_noise_scale"], series,
                          record["names"][kind])  # fmt: skip
    batch_size = record["settings"]["batch_size"]
    plots.reference_line(axis, batch_size, f"the batch size, {batch_size}")
    axis.set_yscale("log")
    axis.set_xlim(-0.5, 1.5)
    axis.set_xticks(range(2), ("before training", "after the mini-batches' run"))
    axis.set_ylabel("noise scale tr Sigma / |G|^2, examples")
    axis.set_title("How far the examples' gradients scatter")
    axis.legend(loc="upper left", title=f"median and range of {len(arrays['film_noise_scale'])} seeds")


def descents(axis: Axes, record: dict, arrays: Arrays) -> None:
    """Test accuracy of both men on both costs against examples read."""
    for series, kind in enumerate(KINDS):
        for index, method in enumerate(METHODS):
            read, accuracy = arrays[f"{kind}_{index}_read"], 100 * arrays[f"{kind}_{index}_accuracy"]
            rate = record["rates"][kind][index]
            plots.seed_band(
                axis, read, accuracy, series + 2 * index, f"{record['names'][kind]}, {method}, rate {rate:g}"
            )
    axis.set_xscale("log")
    axis.set_xlabel("examples read")
    axis.set_ylabel("correct on the test images, %")
    ahead = arrays["new_1_accuracy"][:, -1] > arrays["film_1_accuracy"][:, -1]
    axis.set_title(
        f"Best rates: with mini-batches {record['names']['new']}\nends ahead in {ahead.sum()} of {len(ahead)} seeds"
    )
    axis.set_ylim(0, 140)
    axis.set_yticks(range(0, 101, 20))
    axis.legend(fontsize=9, loc="upper left")


def rates(axis: Axes, record: dict, arrays: Arrays) -> None:
    """Test accuracy at the end against the learning rate: the same grid for all."""
    grid = record["settings"]["learning_rates"]
    for series, kind in enumerate(KINDS):
        for index, method in enumerate(METHODS):
            by_rate, chosen = 100 * arrays[f"{kind}_{index}_by_rate"], grid.index(record["rates"][kind][index])
            number = series + 2 * index
            plots.seed_band(axis, np.array(grid), by_rate, number, f"{record['names'][kind]}, {method}")
            axis.plot(grid[chosen], np.median(by_rate[:, chosen]), "*", color=plots.COLOURS[number], markersize=14)
    axis.set_xscale("log")
    plots.plain_log_ticks(axis.xaxis, grid)
    axis.set_xlabel("learning rate")
    axis.set_ylabel("correct on the test images at the end, %")
    axis.set_title("All rates: the best one (star: lowest cost\non the training images) belongs to a cost")


def hill(axis: Axes, kind: str, record: dict, arrays: Arrays) -> None:
    """The exact cost round both men's paths on the plane nearest to them, first seed."""
    plots.map_of_hill(axis, arrays[f"{kind}_alphas"], arrays[f"{kind}_betas"], arrays[f"{kind}_surface"])
    for index, method in enumerate(METHODS):
        shadow = arrays[f"{kind}_{index}_shadow"]
        plots.path_on_map(axis, shadow, 2 * index + KINDS.index(kind), method)
    axis.plot(*arrays[f"{kind}_0_shadow"][0], "k*", markersize=13)
    share = 100 * record["shares"][kind]
    axis.set_title(f"The hill of {record['names'][kind]} ({share:.0f} % of the variance)", fontsize=10)
    axis.set_ylabel("second")
