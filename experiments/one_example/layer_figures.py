"""Who carries the improvement and what small steps leave over (avenues); where blame and repair lie (repair)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def draw_costs(axes: Axes, costs: np.ndarray, settings: Any, ways: Sequence[str]) -> None:
    """The cost (seeds, ways, looks) through training, in every way."""
    for series, label in enumerate(ways):
        plots.seed_band(axes, settings.steps_per_leg * np.arange(costs.shape[2]), costs[:, series], series, label)
    cost = f"cost on {settings.num_looked_at:,} training images"
    axes.set(xlabel="mini-batch steps from the start", ylabel=cost)
    plots.plain_log_ticks(axes.yaxis, (0.05, 0.1, 0.2, 0.5, 1, 2))
    axes.legend(fontsize=9)


def avenues(result: Any, settings: Any, rates: np.ndarray) -> Figure:
    figure, ((left, middle, right),) = plots.new_figure(21, 5.5, columns=3)
    draw_shares(left, 100 * result.shares.mean(axis=0), settings.steps_per_leg)
    draw_small_steps(middle, result.steps, rates)
    ways = ("all layers at once", "the last layer first, the others with its new weights")
    draw_costs(right, result.costs, settings, ways)
    at_once, last_first = np.median(result.costs[:, :, -1], axis=0)
    right.set_title(f"With the old v for w: {at_once:.3f} at the end, with the new v: {last_first:.3f}")
    first, last = result.shares.sum(axis=3).mean(axis=0)[:, [0, -1]].T
    return plots.headline(
        figure,
        f"At the start the last layer carries {100 * last[0]:.0f} % of the improvement, at the end the first layer "
        f"{100 * first[-1]:.0f} % and the last {100 * last[-1]:.0f} %",
        f"costs on {settings.num_looked_at:,} of the images; left: mean, else median and range",
    )


def draw_shares(axes: Axes, shares: np.ndarray, steps_per_leg: int) -> None:
    """Stacked bars (looks, layers, 2): weights plain, biases hatched, one colour a layer, the last layer at the top."""
    base = np.zeros(len(shares))
    for layer in range(shares.shape[1]):
        for kind, name, hatch in ((0, "weights", None), (1, "biases", "///")):
            axes.bar(steps_per_leg * np.arange(len(shares)), shares[:, layer, kind], 0.8 * steps_per_leg, base,
                     hatch=hatch, label=f"layer {layer + 1}, {name}", edgecolor="white", linewidth=0.5,
                     color=plots.COLOURS[layer % len(plots.COLOURS)])  # fmt: skip
            base = base + shares[:, layer, kind]
    axes.set_axisbelow(True)
    axes.set(xlabel="mini-batch steps made", ylabel="share of the first-order improvement, %",
             title="Nobody sets the balance of the avenues: the gradient does")  # fmt: skip
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_small_steps(axes: Axes, steps: Any, rates: np.ndarray) -> None:
    """The three errors against the learning rate, with a line of slope 1."""
    plots.seed_band(axes, rates, steps.decrease, 0, "decrease of the cost: actual against predicted")
    plots.seed_band(axes, rates, steps.updates, 1, "update of w: with the old or the new v")
    plots.seed_band(axes, rates, steps.activations, 2, "activations: change against prediction")
    middle = np.median(steps.updates[:, 0])
    axes.plot(rates, middle / 3 * rates / rates[0], color="0.4", linewidth=1, label="slope 1")
    axes.set(xscale="log", yscale="log", xlabel="learning rate of one step from the start",
             ylabel="relative difference", title="A tenth of the step, a tenth of the difference")  # fmt: skip
    axes.legend()


def blame(result: Any, settings: Any, cases: Sequence[float]) -> Figure:
    rises, most, best = cases
    figure, ((left, middle, right),) = plots.new_figure(16, 5.5, columns=3)
    grown, mended = np.median(result.blame, axis=0), 100 * np.median(result.repaired, axis=0)
    draw_matrix(left, grown, "{:+.1f}", "layer that is looked at\n(doublings of its share of |G|$^2$ by the damage")
    undone = f"damage undone in {settings.repair_steps} steps"
    draw_matrix(middle, mended, "{:.0f} %", f"the one layer that may learn\n({undone}")
    draw_costs(right, result.costs, settings, ("all layers at once", "the last layer alone"))
    together, alone = np.median(result.costs[:, :, -1], axis=0)
    left.set_title(f"Where the gradient grows (the most: bold):\nin the damaged layer in {most:.0f} % of cases")
    middle.set_title("One layer alone may learn:\nthe best repairer is bold")
    right.set_title(f"The last layer alone ends at {alone:.2f},\nall at {together:.2f}")
    return plots.headline(
        figure,
        f"Does the gradient show which layer was shuffled? Its share grows in {rises:.0f} % of cases; training "
        f"that layer alone is the best repair in {best:.0f} %",
        f"costs and gradients on {settings.num_looked_at:,} of the images; median and range",
    )


def draw_matrix(axes: Axes, matrix: np.ndarray, form: str, columns: str) -> None:
    """A square of numbers (damaged layer, layer); the largest of every row is bold."""
    largest, places = np.abs(matrix).max(), range(len(matrix))
    axes.imshow(matrix, cmap="PuOr_r", vmin=-largest, vmax=largest)
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(matrix):
        axes.annotate(form.format(value), (column, row), ha="center", va="center", fontsize=13,
                      fontweight="bold" if column == matrix[row].argmax() else "normal",
                      color="white" if abs(value) > 0.6 * largest else "black")  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(places, [str(layer + 1) for layer in places])
    axes.set(xlabel=f"{columns}; median of seeds)", ylabel="layer whose weights were shuffled")
