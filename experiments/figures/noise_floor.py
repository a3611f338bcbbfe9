"""Figures of noise_floor: constant and falling rates, the floor against eta/B, the solved case, and where it ends."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

RATIOS = [digit * 10.0**power for power in range(-6, 2) for digit in (1, 3)]  # ticks of eta/B
MARKERS = ("o", "s", "^", "D", "v", "P")


def setting(record: dict) -> str:
    """Network, data set, and number of seeds, in words."""
    network = "-".join(map(str, record["layer_sizes"]))
    count, name = record["dataset"]["train"]["count"], record["dataset"]["name"]
    return f"network {network}, {name}, {count:,} training images, {seeds(record)}"


def seeds(record: dict) -> str:
    """How many runs."""
    count = record["settings"]["num_seeds"]
    return f"{count} seed{'s' if count > 1 else ''}"


def floor_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The cost with constant and falling rates; the floor and the gradient against eta/B."""
    figure, axes = plots.new_figure(16, 6.8, columns=3)
    curves_panel(axes[0, 0], record, arrays)
    height_panel(axes[0, 1], record, arrays)
    norm_panel(axes[0, 2], record, arrays)
    plots.headline(figure, record["about_the_floor"].rstrip("."))
    figure.supxlabel(setting(record), fontsize=10)
    return figure


def curves_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """Cost of the smallest batches, every rate: constant, and from halfway falling to 0."""
    settings = record["settings"]
    row = int(np.argmin(settings["batch_sizes"]))
    epochs = np.concatenate([[0], settings["num_epochs"] * np.arange(1, 2 * half(arrays) + 1) / half(arrays)])
    for column, rate in enumerate(settings["learning_rates"]):
        begin = arrays["ground_cost"][:, None]
        cost = np.concatenate([begin, arrays["0_cost"][:, row, column]], axis=1)
        fall = np.concatenate([cost[:, half(arrays)][:, None], arrays["0_falling_cost"][:, row, column]], axis=1)
        colour = plots.COLOURS[column % len(plots.COLOURS)]
        axis.fill_between(epochs, cost.min(axis=0), cost.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        axis.plot(epochs, np.median(cost, axis=0), color=colour, label=f"η = {rate:g}")
        axis.plot(epochs[half(arrays) :], np.median(fall, axis=0), color=colour, linestyle=(0, (3, 1.5)))
    axis.plot([], [], color="0.3", linestyle=(0, (3, 1.5)), label="falling to 0")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1))
    axis.set_xlabel("epochs after the long training")
    axis.set_ylabel("cost on the training set, median and range")
    axis.set_title(f"Batches of {settings['batch_sizes'][row]}: constant rates, and falling ones")
    axis.legend(loc="best")


def half(arrays: dict[str, np.ndarray]) -> int:
    """Looks in each half."""
    return arrays["0_falling_cost"].shape[-1]


def height_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The floor against eta/B, both ways of sampling, with the theory's line; shaded where runs were too short."""
    settings = record["settings"]
    rates, sizes = np.array(settings["learning_rates"]), settings["batch_sizes"]
    for row, size in enumerate(sizes):
        for index, (name, style) in enumerate((("shuffled", "full"), ("with replacement", "none"))):
            axis.plot(
                rates / size, np.median(arrays[f"{index}_height"][:, row], axis=0), MARKERS[row % len(MARKERS)],
                color=plots.COLOURS[row % len(plots.COLOURS)], fillstyle=style, markersize=8,
                label=f"B = {size}, {name}",
            )  # fmt: skip
    each = rates / np.array(sizes)[:, None]
    order, theory = np.argsort(each, axis=None), each * np.median(arrays["1_scatter"], axis=0) / 4
    axis.plot(each.ravel()[order], theory.ravel()[order], color="0.2", linewidth=1.2, label="theory: (η/B) tr Σ / 4")
    axis.set_xscale("log")
    axis.set_yscale("log")
    low, high = axis.get_xlim()
    if low < record["least_settled"]:
        axis.axvspan(low, min(record["least_settled"], high), color="0.9", zorder=0, label="too short a run to settle")
    axis.set_xlim(low, high)
    plots.plain_log_ticks(axis.xaxis, RATIOS)
    axis.set_xlabel("η/B")
    axis.set_ylabel("floor: cost above the end of the falling rate, median")
    factor = spread(record, arrays)
    same = 1 < factor < 1.5
    axis.set_title(
        f"The same η/B, the same height (within a factor of {factor:.2f})" if same else "The floor against η/B"
    )
    axis.legend(fontsize=9, loc="lower right")


def spread(record: dict, arrays: dict[str, np.ndarray]) -> float:
    """The largest quotient of two floors with the same eta/B, shuffled batches, medians over seeds; infinite where
    a floor is not above 0, 1 where no two have the same."""
    settings, floors = record["settings"], np.median(arrays["0_height"], axis=0)
    ratios = (np.array(settings["learning_rates"]) / np.array(settings["batch_sizes"])[:, None]).round(12)
    if not (floors > 0).all():
        return float("inf")
    return max(float(floors[ratios == ratio].max() / floors[ratios == ratio].min()) for ratio in np.unique(ratios))


def norm_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """|G| on the floor and at the end of the falling rate, against eta/B, shuffled batches."""
    settings = record["settings"]
    for row, size in enumerate(settings["batch_sizes"]):
        x, colour = np.array(settings["learning_rates"]) / size, plots.COLOURS[row % len(plots.COLOURS)]
        constant = arrays["0_settled_norm"][:, row]
        falling = arrays["0_falling_gradient_norm"][:, row, :, -1]
        for values, marker, name in (
            (constant, MARKERS[row % len(MARKERS)], "constant"),
            (falling, "x+"[row % 2], "after falling"),
        ):
            axis.plot(x, np.median(values, axis=0), marker, color=colour, markersize=8, label=f"B = {size}, {name}")
    start = float(np.median(arrays["ground_gradient_norm"]))
    plots.reference_line(axis, start, "end of the long training")
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.xaxis, RATIOS)
    axis.set_xlabel("η/B")
    axis.set_ylabel("|G|, the full gradient, median")
    failed = any("so does |G|" in claim["says"] and not claim["holds"] for claim in record["claims"])
    axis.set_title("The full gradient" + (" does not grow\nwith η/B all the way, against the claim" if failed else ""))
    axis.legend(fontsize=9)


def scalar_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The variance of SGD in a parabola against eta h, and over the theory's."""
    figure, axes = plots.new_figure(12, 5.2, columns=2)
    eta_h, ratios = arrays["eta_h"], arrays["scalar"]
    fine = np.linspace(0.01, 1.93, 300)
    axes[0, 0].plot(fine, fine / (2 - fine), color="0.2", linewidth=1.2, label="η σ² / (B h (2 - η h))")
    axes[0, 0].plot(
        fine, fine / 2, color="0.5", linestyle=(0, (2, 2)), linewidth=1.2, label="small steps: η σ² / (2 B h)"
    )
    for row, batch_size in enumerate((1, 10)):
        for axis, values in ((axes[0, 0], ratios[row] * eta_h / (2 - eta_h)), (axes[0, 1], ratios[row])):
            axis.plot(eta_h, values, MARKERS[row], color=plots.COLOURS[row], markersize=9, fillstyle="none",
                      markeredgewidth=2, label=f"run, B = {batch_size}")  # fmt: skip
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylabel("variance of θ, in units of σ² / (B h²)")
    axes[0, 0].set_title("Stationary variance")
    axes[0, 1].axhspan(0.97, 1.03, color="0.9", label="expected: within 3 %")
    axes[0, 1].axhline(1, color="0.2", linewidth=1.2)
    axes[0, 1].set_ylim(0.94, 1.06)
    axes[0, 1].set_ylabel("variance over theory")
    axes[0, 1].set_title("Over the theory")
    for axis in axes[0]:
        axis.set_xlabel("η h")
        axis.legend()
    off = 100 * np.abs(ratios - 1).max()
    title = f"SGD in a parabola keeps the variance of theory: at most {off:.1f} % off, for η h up to {eta_h[-1]:g}"
    plots.headline(figure, title)
    figure.supxlabel(f"Cᵢ = h/2 (θ - xᵢ)², batches drawn with replacement, {seeds(record)} together", fontsize=10)
    return figure


def ground_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The cost along the steepest and the most downward curved direction at the end, and the two eigenvalues."""
    figure, axes = plots.new_figure(15, 5.4, columns=3)
    names = ("largest", "smallest")
    for index, (axis, name) in enumerate(zip(axes[0], names, strict=False)):
        rises = arrays["ground_along"][:, index] - arrays["ground_cost"][:, None]
        for seed, rise in enumerate(rises):
            colour, line = plots.COLOURS[seed % len(plots.COLOURS)], plots.LINES[seed % len(plots.LINES)]
            axis.plot(arrays["slice"], rise, color=colour, linestyle=line, linewidth=1.6, label=f"seed {seed}")
        axis.axhline(0, color="0.4", linewidth=1)
        axis.set_xticks([-1, -0.5, 0, 0.5, 1])
        axis.set_xlabel("distance from the end of the long training")
        axis.set_ylabel("cost, less that at the end")
        axis.set_title(f"Along the direction of the {name} curvature")
        if name == "smallest" and rises.min() < 0:  # what falls is a thousandth of what rises
            axis.set_ylim(1.5 * rises.min(), -4 * rises.min())
            axis.set_title("Along the direction of the smallest curvature, enlarged")
    axes[0, 0].legend(fontsize=9)
    seeds = np.arange(len(arrays["ground_largest"]))
    shares = arrays["ground_smallest"] / arrays["ground_largest"]
    axes[0, 2].bar(seeds, 100 * shares, color=plots.COLOURS[0], width=0.6)
    limit = 100 * record["tolerance"]
    axes[0, 2].axhspan(-limit, limit, color="0.8", zorder=0, label=f"called flat: within {limit:g} %")
    axes[0, 2].axhline(0, color="0.4", linewidth=1)
    axes[0, 2].set_xticks(seeds)
    axes[0, 2].set_xlabel("seed")
    axes[0, 2].set_ylabel("smallest over largest eigenvalue of the Hessian, %")
    axes[0, 2].set_title("The smallest curvature")
    axes[0, 2].legend()
    title = about_the_end(arrays, shares < -record["tolerance"])
    plots.headline(figure, title)
    figure.supxlabel(f"{setting(record)}; |G| there {np.median(arrays['ground_gradient_norm']):.2g}", fontsize=10)
    return figure


def about_the_end(arrays: dict[str, np.ndarray], saddles: np.ndarray) -> str:
    """How many seeds end where the surface curves down, and how little; or that none was seen to."""
    if not saddles.any():
        return "Where a long training ends, no direction was found in which the surface clearly curves down"
    falls = arrays["ground_cost"] - arrays["ground_along"][:, 1].min(axis=1)
    return (
        f"Where a long training ends, {saddles.sum()} of {len(saddles)} seeds stand on no minimum: the surface curves "
        f"down in a direction, but within a distance of 1 only by {np.median(falls[saddles]):.1g} from "
        f"{np.median(arrays['ground_cost']):.3f}"
    )
