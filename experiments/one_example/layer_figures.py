"""Who carries the improvement and what small steps leave over (avenues); where blame and repair lie (repair)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.common import plots


def draw_costs(axes: plots.Axes, costs: np.ndarray, settings: Any, ways: Sequence[str], says: str) -> None:
    """The cost (seeds, ways, looks) through training, in both ways."""
    steps = settings.steps_per_leg * np.arange(costs.shape[2])
    for series, label in enumerate(ways):
        plots.seed_band(axes, steps, costs[:, series], series, label)
    plots.panel(axes, says, "mini-batch steps", f"cost on {settings.num_looked_at:,} training images",
                log_y=(0.05, 0.1, 0.2, 0.5, 1, 2))  # fmt: skip


def avenues(result: Any, settings: Any) -> plots.Figure:
    figure, ((axes,),) = plots.new_figure(9.5, 5.8)
    draw_shares(axes, 100 * result.shares.mean(axis=0), settings.steps_per_leg)
    first, last = 100 * result.shares.sum(axis=3).mean(axis=0)[:, [0, -1]].T
    return plots.headline(
        figure,
        f"Nobody sets the balance: at the start the last layer carries {last[0]:.0f} % of the improvement, at the end "
        f"the first layer {first[-1]:.0f} % and the last {last[-1]:.0f} %",
        f"gradients on {settings.num_looked_at:,} of the images; means of the seeds",
    )


def order(result: Any, settings: Any, rates: np.ndarray) -> plots.Figure:
    figure, ((left, right),) = plots.new_figure(15, 5.5, columns=2)
    for series, (errors, label) in enumerate(zip(result.steps, (
        "fall of the cost,\nreal and foretold",
        "first layer's update,\nlast layer old and new",
        "change of activations,\nreal and foretold",
    ), strict=True)):  # fmt: skip
        plots.seed_band(left, rates, errors, series, label)
    slope_one = np.median(result.steps.activations[:, 0]) / 10 * rates / rates[0]
    left.plot(rates, slope_one, color="0.4", linewidth=1, label="slope 1")
    plots.panel(left, "A tenth of the step, a tenth of the difference", "learning rate of one step from the start",
                "relative difference", xscale="log", yscale="log")  # fmt: skip
    ways = ("all layers at once", "last layer first")
    draw_costs(right, result.costs, settings, ways, "A whole training either way")
    at_once, one_by_one = np.median(result.costs[:, :, -1], axis=0)
    return plots.headline(
        figure,
        "To update the last layer first and the others after it leads as far as all layers at once: to a cost of "
        f"{one_by_one:.3f} and {at_once:.3f}",
        f"costs on {settings.num_looked_at:,} of the images; median and range",
    )


def draw_shares(axes: plots.Axes, shares: np.ndarray, steps_per_leg: int) -> None:
    """Stacked bars (looks, layers, 2): weights plain, biases hatched, one colour a layer, the last layer at the top."""
    base, steps = np.zeros(len(shares)), steps_per_leg * np.arange(len(shares))
    for layer, (weights, biases) in enumerate(shares.transpose(1, 2, 0)):
        colour = plots.COLOURS[layer % len(plots.COLOURS)]
        style = {"width": 0.8 * steps_per_leg, "color": colour, "edgecolor": "white", "linewidth": 0.5}
        axes.bar(steps, weights, bottom=base, **style)
        axes.bar(steps, biases, bottom=base + weights, hatch="///", **style)
        middle, base = base[-1] + (weights + biases)[-1] / 2, base + weights + biases
        plots.note(axes, f"layer {layer + 1}", (1.01, middle), unit=("axes fraction", "data"), series=layer,
                   va="center", fontweight="bold", fontsize=11)  # fmt: skip
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    axes.set(xlabel="mini-batch steps made", ylabel="share of the first-order improvement, %",
             title="Each layer's share; hatched: its biases")  # fmt: skip


def blame(result: Any, settings: Any, most: int, cases: int) -> plots.Figure:
    """`most`: in how many of the cases the last layer's share grows most."""
    figure, ((left, middle, right),) = plots.new_figure(16, 5.8, columns=3)
    grown, mended = np.median(result.blame, axis=0), 100 * np.median(result.repaired, axis=0)
    draw_matrix(left, grown, "{:+.1f}", "layer that is looked at\n(doublings of its share of |G|$^2$ by the damage")
    left.set_title("Whose share of the gradient grows:\nthe most is bold")
    undone = f"damage undone in {settings.repair_steps} steps"
    draw_matrix(middle, mended, "{:.0f} %", f"the one layer that may learn\n({undone}")
    middle.set_title("Who can repair it:\nthe best is bold")
    restored = 100 * np.median(result.patched, axis=0) + 0  # + 0 turns -0 into 0
    draw_matrix(right, restored, "{:.0f} %", "the one layer whose activations are put back\n(damage undone", first=99.9)
    right.set_title("Activation patching: the first layer\nthat undoes it all is bold")
    return plots.headline(
        figure,
        "What grows most does not tell what is at fault: whichever layer was shuffled, the last layer's share of the "
        f"gradient grows by the largest factor, in {most} of {cases} cases; activation patching finds the layer",
        f"costs and gradients on {settings.num_looked_at:,} of the images",
    )


def last_alone(result: Any, settings: Any) -> plots.Figure:
    figure, ((axes,),) = plots.new_figure(8, 5.2)
    at_once, alone = np.median(result.costs[:, :, -1], axis=0)
    draw_costs(axes, result.costs, settings, ("all layers at once", "the last layer alone"), "")
    return plots.headline(
        figure,
        f"The last layer alone does not get far: it ends at a cost of {alone:.2f}, all layers at {at_once:.2f}",
        "median and range",
    )


def draw_matrix(axes: plots.Axes, matrix: np.ndarray, form: str, columns: str, *, first: float = np.inf) -> None:
    """A square of numbers (damaged layer, layer); bold in every row: the first that is at least `first`, else the
    largest."""
    bold = np.where((matrix >= first).any(axis=1), (matrix >= first).argmax(axis=1), matrix.argmax(axis=1))
    largest, places = np.abs(matrix).max(), range(len(matrix))
    axes.imshow(matrix, cmap="PuOr_r", vmin=-largest, vmax=largest)
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(matrix):
        axes.annotate(form.format(value), (column, row), ha="center", va="center", fontsize=13,
                      fontweight="bold" if column == bold[row] else "normal",
                      color="white" if abs(value) > 0.6 * largest else "black")  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(places, [str(layer + 1) for layer in places])
    axes.set(xlabel=f"{columns}; median of seeds)", ylabel="layer whose weights were shuffled")
