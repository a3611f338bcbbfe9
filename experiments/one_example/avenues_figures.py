"""Who carries the improvement, what small steps leave of the first order's errors, and w with the old and the new v."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

WAYS = ("all layers at once", "the last layer first, the others with its new weights")


def avenues(result: Any, settings: Any, rates: np.ndarray) -> Figure:
    """Who carries the improvement, through training; what is left of the first order's errors; two ways to train."""
    figure, axes = plots.new_figure(21, 5.5, columns=3)
    left, middle, right = axes[0]
    draw_shares(left, result.shares.mean(axis=0), settings.steps_per_leg)
    draw_small_steps(middle, result.steps, rates)
    draw_costs(right, result.costs, settings, WAYS)
    at_once, last_first = np.median(result.costs[:, :, -1], axis=0)
    right.set_title(f"With the old v for w: {at_once:.3f} at the end, with the new v: {last_first:.3f}")
    first, last = result.shares.sum(axis=3).mean(axis=0)[:, [0, -1]].T
    plots.headline(
        figure,
        f"At the start the last layer carries {100 * last[0]:.0f} % of the improvement, at the end the first layer "
        f"{100 * first[-1]:.0f} % and the last {100 * last[-1]:.0f} %",
    )
    looked_at = f"shares and costs on {settings.num_looked_at:,} of the images"
    plots.note(figure, f"{looked_at}; left: mean, middle and right: median and range")
    return figure


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


def draw_small_steps(axis: Axes, steps: Any, rates: np.ndarray) -> None:
    """The three errors against the learning rate, with a line of slope 1."""
    plots.seed_band(axis, rates, steps.decrease, 0, "decrease of the cost: actual against predicted")
    plots.seed_band(axis, rates, steps.updates, 1, "update of w: with the old or the new v")
    plots.seed_band(axis, rates, steps.activations, 2, "activations: change against prediction")
    middle = np.median(steps.updates[:, 0])
    axis.plot(rates, middle / 3 * rates / rates[0], color="0.4", linewidth=1, label="slope 1")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("learning rate of one step from the start")
    axis.set_ylabel("relative difference")
    axis.set_title("A tenth of the step, a tenth of the difference")
    axis.legend()


def draw_costs(axis: Axes, costs: np.ndarray, settings: Any, ways: tuple[str, ...]) -> None:
    """The cost (seeds, ways, looks) through training, in every way."""
    steps = settings.steps_per_leg * np.arange(costs.shape[2])
    for series, label in enumerate(ways):
        plots.seed_band(axis, steps, costs[:, series], series, label)
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.05, 0.1, 0.2, 0.5, 1, 2))
    axis.set_xlabel("mini-batch steps from the start")
    axis.set_ylabel(f"cost on {settings.num_looked_at:,} training images")
    axis.legend(fontsize=9)
