"""One page on a new cost beside the film's: what they pull at, how their men get on, what their hills look like."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from research import plots

KINDS = ("new", "film")  # the colour of the first series, and of the second
METHODS = ("full batch", "mini-batches")

Arrays = dict[str, np.ndarray]


def page(record: dict, arrays: Arrays) -> Figure:
    """Eight panels; the finding on top."""
    figure, axes = plots.new_figure(21, 10.5, rows=2, columns=4)
    gradient_checks(axes[0, 0], record)
    one_two(axes[0, 1], record, arrays)
    pulls(axes[0, 2], record, arrays)
    scatter(axes[0, 3], record, arrays)
    descents(axes[1, 0], record, arrays)
    rates(axes[1, 1], record, arrays)
    for axis, kind in zip(axes[1, 2:], KINDS, strict=True):
        hill(axis, kind, record, arrays)
    settings = record["settings"]
    network = "-".join(map(str, record["layer_sizes"]))
    figure.suptitle(textwrap.fill(record["finding"], 150), fontsize=14, fontweight="bold")
    figure.supxlabel(
        f"{network} on {record['dataset']['name']}, {record['dataset']['train']['count']:,} training and "
        f"{record['dataset']['test']['count']:,} test images, {settings['num_seeds']} seeds (the same starts and "
        f"orders for both costs), mini-batches of {settings['batch_size']}; each rate the best of "
        f"{', '.join(format(rate, 'g') for rate in settings['learning_rates'])}",
        fontsize=10,
    )
    return figure


def gradient_checks(axis: Axes, record: dict) -> None:
    """How far the three ways to the gradient are apart, in float64."""
    names = ("by hand against\njax.grad", "jax.grad against\ncentral differences")
    for series, kind in enumerate(KINDS):
        errors = np.maximum(record["checks"][kind], 1e-17)
        axis.plot(np.arange(2) + 0.2 * series - 0.1, errors, "os"[series], color=plots.COLOURS[series], markersize=10,
                  label=record["names"][kind])  # fmt: skip
    for place, (bound, name) in enumerate(zip((1e-12, 1e-6), ("asked for: 1e-12", "asked for: 1e-6"), strict=True)):
        axis.plot([place - 0.3, place + 0.3], [bound, bound], color="0.4", linestyle=(0, (2, 2)), linewidth=1)
        axis.annotate(name, (place, bound), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=9)
    axis.set_yscale("log")
    axis.set_ylim(1e-18, 1)
    axis.set_xlim(-0.5, 1.5)
    axis.set_xticks(range(2), names)
    axis.set_ylabel("relative difference, float64")
    right = max(map(max, record["checks"].values())) < 1e-6
    axis.set_title("The gradients are right, by three ways" if right else "The three ways to the gradient differ")
    axis.legend(loc="upper left")


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
    axis.legend(fontsize=8, loc="upper right")


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
    axis.set_title(
        f"The most wrong output, {a[least]:.2g}, is pulled {new / film:,.0f} times\nas hard as by the film's cost"
    )
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
    cosines = [np.median(arrays[f"{kind}_cosine"], axis=0) for kind in KINDS]
    axis.set_title(
        f"Cosine of a batch of {batch_size} with the full gradient:\n{cosines[0][0]:.2f}, "
        f"at the end {cosines[0][1]:.2f}; film's cost {cosines[1][0]:.2f}, {cosines[1][1]:.2f}"
    )
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
    ahead = 100 * (arrays["new_1_accuracy"][:, -1] - arrays["film_1_accuracy"][:, -1])
    axis.set_title(
        f"Mini-batches end {ahead.mean():+.2f} points from the film's cost\n"
        f"(paired, {len(ahead)} seeds: {ahead.min():+.2f} to {ahead.max():+.2f})"
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
    axis.set_xlabel("learning rate (stars: lowest cost on the training images)")
    axis.set_ylabel("correct on the test images at the end, %")
    new, film = (record["rates"][kind][1] for kind in KINDS)
    axis.set_title(f"Rates belong to a cost: mini-batches' best is {new:g},\nwith the film's cost {film:g}")


def hill(axis: Axes, kind: str, record: dict, arrays: Arrays) -> None:
    """The exact cost round both men's paths on the plane nearest to them, first seed."""
    plots.map_of_hill(axis, arrays[f"{kind}_alphas"], arrays[f"{kind}_betas"], arrays[f"{kind}_surface"])
    for index, method in enumerate(METHODS):
        shadow = arrays[f"{kind}_{index}_shadow"]
        plots.path_on_map(axis, shadow, 2 * index + KINDS.index(kind), method)
    axis.plot(*arrays[f"{kind}_0_shadow"][0], "k*", markersize=13, label="start")
    axis.set_title(
        f"The hill of {record['names'][kind]}; this plane holds\n{record['shares'][kind]:.0%} of the paths' variance"
    )
    axis.set_xlabel("first principal direction")
    axis.set_ylabel("second")
    axis.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.45), ncols=3)
