"""Who carries the improvement, what small steps leave of the first order's errors, and where blame and repair lie."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def avenues_figure(record: dict, arrays: dict[str, np.ndarray], rates: np.ndarray) -> Figure:
    """Who carries the improvement, through training; and what is left of the first order's errors in small steps."""
    figure, axes = plots.new_figure(15, 5.5, columns=2)
    draw_shares(axes[0, 0], arrays["shares"].mean(axis=0), record["settings"]["steps_per_leg"])
    draw_small_steps(axes[0, 1], arrays, rates)
    first, last = arrays["shares"].sum(axis=3).mean(axis=0)[:, [0, -1]].T
    plots.headline(
        figure,
        f"At the start the last layer carries {100 * last[0]:.0f} % of the improvement, at the end the first layer "
        f"{100 * first[-1]:.0f} % and the last {100 * last[-1]:.0f} %",
    )
    foot(figure, record, "left: mean, right: median and range")
    return figure


def foot(figure: Figure, record: dict, says: str) -> None:
    """Below a figure: parameters, data and seeds."""
    settings = record["settings"]
    figure.supxlabel(
        f"{settings['num_examples']:,} training images of {record['dataset']['name']}; {says} of "
        f"{settings['num_seeds']} seeds", fontsize=10,
    )  # fmt: skip


def draw_shares(axis: Axes, shares: np.ndarray, steps_per_leg: int) -> None:
    """Stacked bars (looks, layers, 2): weights plain, biases hatched, one colour a layer, the last layer at the top."""
    steps = steps_per_leg * np.arange(len(shares))
    base = np.zeros(len(shares))
    for layer in range(shares.shape[1]):
        for kind, hatch in ((0, None), (1, "///")):
            label = f"layer {layer + 1}, {('weights', 'biases')[kind]}"
            axis.bar(steps, 100 * shares[:, layer, kind], 0.8 * steps_per_leg, base, hatch=hatch, label=label,
                     color=plots.COLOURS[layer % len(plots.COLOURS)], edgecolor="white", linewidth=0.5)  # fmt: skip
            base = base + 100 * shares[:, layer, kind]
    axis.set_axisbelow(True)
    axis.set_xlabel("mini-batch steps made")
    axis.set_ylabel("share of the first-order improvement, %")
    axis.set_title("Nobody sets the balance of the avenues: the gradient does")
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_small_steps(axis: Axes, arrays: dict[str, np.ndarray], rates: np.ndarray) -> None:
    """The three errors against the learning rate, with a line of slope 1."""
    labels = {
        "decrease": "decrease of the cost: actual against predicted",
        "updates": "update of w: with the old or the new v",
        "activations": "activations: change against prediction",
    }
    for series, (name, label) in enumerate(labels.items()):
        plots.seed_band(axis, rates, arrays[name], series, label)
    middle = np.median(arrays["updates"][:, 0])
    axis.plot(rates, middle / 3 * rates / rates[0], color="0.4", linewidth=1, label="slope 1")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("learning rate of one step from the start")
    axis.set_ylabel("relative difference")
    axis.set_title("A tenth of the step, a tenth of the difference")
    axis.legend()


def blame_figure(
    record: dict, arrays: dict[str, np.ndarray], ways: Sequence[str], rising: float, most: float, best: float
) -> Figure:
    """Where the gradient grows, which layer repairs, and how far the last layer comes alone.

    Of the cases, in `rising` the damaged layer's share of the gradient rises, in `most` the most of all, and in `best`
    it is its own best repair.
    """
    figure, axes = plots.new_figure(16, 5.5, columns=3)
    left, middle, right = axes[0]
    grown, mended = np.median(arrays["blame"], axis=0), 100 * np.median(arrays["repaired"], axis=0)
    draw_matrix(left, grown, "{:+.1f}", "doublings of its share of |G|$^2$ by the damage", "layer that is looked at")
    left.set_title(f"Where the gradient grows (the most: bold):\nin the damaged layer in {100 * most:.0f} % of cases")
    num_steps = record["settings"]["repair_steps"]
    draw_matrix(middle, mended, "{:.0f} %", f"damage undone in {num_steps} steps", "the one layer that may learn")
    middle.set_title("One layer alone may learn:\nthe best repairer is bold")
    steps = record["settings"]["steps_per_leg"] * np.arange(arrays["costs"].shape[2])
    for series, label in enumerate(ways):
        plots.seed_band(right, steps, arrays["costs"][:, series], series, label)
    right.set_yscale("log")
    plots.plain_log_ticks(right.yaxis, (0.05, 0.1, 0.2, 0.5, 1, 2))
    right.set_xlabel("mini-batch steps from the start")
    right.set_ylabel(f"cost on {record['settings']['num_examples']:,} training images")
    ends = np.median(arrays["costs"][:, :, -1], axis=0)
    right.set_title(
        f"The last layer alone ends at {ends[2]:.2f}, all at {ends[0]:.2f};\nwith the new v for w: {ends[1]:.2f}"
    )
    right.legend(fontsize=9)
    failed = [claim["low"] for claim in record["claims"] if "damaged layer" in claim["says"] and not claim["holds"]]
    plots.headline(
        figure,
        f"Does the gradient show which layer was shuffled? Its share grows in {100 * rising:.0f} % of cases; training "
        f"that layer alone is the best repair in {100 * best:.0f} %"
        + (f" ({min(failed):.0f} % was claimed)" if failed else ""),
    )
    foot(figure, record, f"{len(grown)} layers; median and range")
    return figure


def draw_matrix(axis: Axes, matrix: np.ndarray, form: str, numbers: str, columns: str) -> None:
    """A square of numbers (damaged layer, layer); the largest of every row is bold."""
    largest = np.abs(matrix).max()
    axis.imshow(matrix, cmap="PuOr_r", vmin=-largest, vmax=largest)
    axis.grid(visible=False)
    for (row, column), value in np.ndenumerate(matrix):
        strong = abs(value) > 0.6 * largest
        axis.annotate(form.format(value), (column, row), ha="center", va="center", fontsize=13,
                      fontweight="bold" if column == matrix[row].argmax() else "normal",
                      color="white" if strong else "black")  # fmt: skip
    names = [str(layer + 1) for layer in range(len(matrix))]
    axis.set_xticks(range(len(matrix)), names)
    axis.set_yticks(range(len(matrix)), names)
    axis.set_xlabel(f"{columns}\n({numbers}; median of seeds)")
    axis.set_ylabel("layer whose weights were shuffled")
