"""Figures of linear_scaling: how far k steps and one end apart, and where whole trainings cease to be alike."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

MARKERS = ("o", "s", "^", "D", "v", "P")


def steps_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Left the distance between k steps and one, all on one line; right the cost that they come to."""
    figure, axes = plots.new_figure(15, 6, columns=3)
    distance_panel(axes[0, 0], record, arrays)
    for place, axis in enumerate(axes[0, 1:]):
        cost_panel(axis, place, record, arrays)
    slope = np.median([value for of_k in record["slopes"].values() for slopes in of_k for value in slopes])
    near, limit = (int(np.abs(np.log(arrays["x"] / x)).argmin()) for x in (0.1, 2))
    off = [np.abs(np.stack(distances(record, arrays)) / arrays["x"] ** 2 - 1)[..., at].max() for at in (near, limit)]
    plots.headline(
        figure,
        f"k small steps and the large one on all k batches end apart like the rate to the power {slope:.2f}, as far as "
        f"the Hessian says: {100 * off[0]:.0f} % off at k η λ = 0.1, {100 * off[1]:.0f} % at 2",
    )
    figure.supxlabel(
        f"k η λ; λ is the sharpness of the k B examples' cost, B = {record['settings']['local_batch_size']} "
        f"({setting(record)})",
        fontsize=10,
    )
    return figure


def distances(record: dict, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The medians over seeds, at every place for every k, the places outermost."""
    places, numbers = range(len(record["places"])), record["settings"]["num_batches"]
    return [np.median(arrays[f"{place}_{number}_distance"], axis=0) for place in places for number in numbers]


def distance_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The distance in units in which the theory is x^2, for every k and place."""
    x, numbers = arrays["x"], record["settings"]["num_batches"]
    axis.plot(x, x**2, color="0.2", linewidth=1.2, label="theory: η² |Σⱼ Hⱼ Σ$_{i<j}$ gᵢ|, slope 2")
    for series, distance in enumerate(distances(record, arrays)):
        place, number = divmod(series, len(numbers))
        axis.plot(
            x, distance, MARKERS[series % len(MARKERS)], color=plots.COLOURS[series % len(plots.COLOURS)],
            fillstyle="full" if place == 0 else "none", markersize=6,
            label=f"k = {numbers[number]}, {record['places'][place]}",
        )  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylabel("distance between the ends, in units of |Σⱼ Hⱼ Σ$_{i<j}$ gᵢ| / (k λ)²")
    axis.set_title("How far apart they end")
    mark_limit(axis, 2, "k η = 2/λ")
    axis.legend(fontsize=9, loc="upper left")


def cost_panel(axis: Axes, place: int, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The cost after k small steps and after the large one, at one place, for the largest k."""
    num_batches = max(record["settings"]["num_batches"])
    shown = arrays["x"] >= 0.03
    labels = {"many": f"after {num_batches} steps, η", "one": f"after one, {num_batches} η"}
    for series, (kind, label) in enumerate(labels.items()):
        plots.seed_band(
            axis, arrays["x"][shown], arrays[f"{place}_{num_batches}_after_{kind}"][:, shown], series, label
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10))
    axis.axhline(1, color="0.4", linewidth=1, linestyle=(0, (2, 2)), label="before")
    mark_limit(axis, 2, "k η = 2/λ")
    axis.set_ylabel("cost of the k B examples, over that before")
    axis.set_title(f"What they come to, {record['places'][place]}")
    axis.legend(loc="lower left" if place == 0 else "upper left")


def mark_limit(axis: Axes, x: float | int, text: str) -> None:
    """A vertical line where the rule must break."""
    axis.axvline(x, color=plots.COLOURS[1], linewidth=1.2, linestyle=(0, (6, 2)))
    axis.annotate(
        text, (x, 1), xycoords=("data", "axes fraction"), xytext=(-4, -4), textcoords="offset points", rotation=90,
        ha="right", va="top", fontsize=9, color=plots.COLOURS[1],
    )  # fmt: skip


def setting(record: dict) -> str:
    """Network, data set, and number of seeds, in words."""
    network = "-".join(map(str, record["layer_sizes"]))
    return f"network {network}, {record['dataset']['name']}, medians of {record['settings']['num_seeds']} seeds"


def trainings_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The accuracy on the grid of batch sizes and rates; cost and sharpness along its diagonals."""
    figure, axes = plots.new_figure(18, 6.5, columns=3, width_ratios=(1.25, 1, 1))
    accuracy_panel(axes[0, 0], record, arrays)
    ratio_panel(axes[0, 1], record, arrays)
    sharpness_panel(axes[0, 2], record, arrays)
    plots.headline(figure, record["finding"].rstrip("."))
    epochs, count = record["settings"]["num_epochs"], record["dataset"]["train"]["count"]
    figure.supxlabel(f"{setting(record)}, {epochs} epochs of {count:,} images", fontsize=10)
    return figure


def accuracy_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The test accuracy of every training, rates to the right, batch sizes upwards; diagonals are scaled together."""
    accuracy = np.median(arrays["accuracy"], axis=0)
    rates, sizes = record["settings"]["learning_rates"], record["settings"]["batch_sizes"]
    axis.pcolormesh(100 * np.ma.masked_invalid(accuracy), cmap="cividis", vmin=0, vmax=100, edgecolors="white")
    for (row, column), value in np.ndenumerate(100 * accuracy):
        text = f"{value:.1f}" if np.isfinite(value) else "∞"
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=9, color="k" if value > 45 else "w")
    axis.set_xticks(np.arange(len(rates)) + 0.5, [f"{rate:g}" for rate in rates])
    axis.set_yticks(np.arange(len(sizes)) + 0.5, [f"{size:,}" for size in sizes])
    axis.grid(False)
    for series, base in enumerate(record["base_rates"]):
        line = [np.interp(np.log(base * size / sizes[0]), np.log(rates), np.arange(len(rates))) for size in sizes]
        steepest = float(np.median(arrays["sharpness"][series, :, 0]))
        colour = plots.COLOURS[series + 1]
        axis.plot(np.array(line) + 0.5, np.arange(len(sizes)) + 0.2, color=colour, linestyle=plots.LINES[series])
        limit = np.interp(np.log(2 / steepest), np.log(rates), np.arange(len(rates))) + 0.5
        axis.plot(limit, np.interp(limit, np.array(line) + 0.5, np.arange(len(sizes)) + 0.2), "*", color=colour,
                  markeredgecolor="k", markersize=15, zorder=5)  # fmt: skip
    axis.set_xlabel("learning rate")
    axis.set_ylabel("batch size")
    axis.set_title("Correct on the test images, %; along each line η/B is constant,\nthe star is where η = 2/sharpness")


def ratio_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The cost of every training on a diagonal over that of its smallest batch, against k eta over 2/sharpness."""
    size = record["settings"]["batch_sizes"][0]
    for series, base in enumerate(record["base_rates"]):
        axis.plot(
            arrays["units"][series], arrays["ratios"][series], color=plots.COLOURS[series + 1], marker=MARKERS[series],
            linestyle=plots.LINES[series], label=f"from B = {size}, η = {base:g}",
        )  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.5, 0.8, 1, 1.2, 1.5, 2, 3, 5, 10, 20))
    plots.plain_log_ticks(axis.xaxis, (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10))
    plots.reference_line(axis, 1, "the linear scaling rule")
    mark_limit(axis, 1, "k η = 2/sharpness")
    axis.set_xlabel("k η in units of 2/sharpness where the smallest batch ends")
    axis.set_ylabel("cost after training with (k B, k η), over that with (B, η)")
    axis.set_title("Cost along these lines")
    axis.legend(loc="upper left")


def sharpness_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The sharpness where every training on a diagonal ended, against its rate, with the line 2/rate."""
    size = record["settings"]["batch_sizes"][0]
    for series, base in enumerate(record["base_rates"]):
        kept = arrays["ratios"][series] <= 1.1
        rates, sharpness = arrays["rates"][series], np.median(arrays["sharpness"][series], axis=0)
        colour, marker = plots.COLOURS[series + 1], MARKERS[series]
        axis.plot(rates, sharpness, color=colour, linestyle=plots.LINES[series], linewidth=1)
        label = f"from B = {size}, η = {base:g}"
        axis.plot(rates[kept], sharpness[kept], marker, color=colour, markersize=8, label=label)
        axis.plot(rates[~kept], sharpness[~kept], marker, color=colour, markersize=8, fillstyle="none")
    axis.plot([], [], "o", color="0.4", fillstyle="none", label="cost more than 10 % higher")
    everywhere = np.unique(arrays["rates"])
    axis.plot(everywhere, 2 / everywhere, color="0.2", linewidth=1.2, label="2/(k η)")
    axis.set_xscale("log")
    axis.set_yscale("log")
    medians = np.median(arrays["sharpness"], axis=1)
    seen = medians[(arrays["ratios"] <= 1.1) & (medians > 0)]
    axis.set_ylim(seen.min() / 10, 3 * seen.max())
    axis.set_xlabel("learning rate k η")
    axis.set_ylabel("sharpness where the training ended")
    below = "\n(lines that leave the frame end on a plateau)" if medians.min() < seen.min() / 10 else ""
    axis.set_title(f"How steep it is where they ended{below}")
    axis.legend(loc="lower left", fontsize=9)
