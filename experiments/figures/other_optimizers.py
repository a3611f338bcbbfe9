"""Figure of other_optimizers: the cost against gradient evaluations, passes and seconds."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

SERIES = range(6)  # places of the methods on the full batch that begin at the start
TICKS = [digit * 10.0**power for power in range(-6, 2) for digit in (1, 2, 5)]


def race_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Full-batch methods by evaluations; mini-batches, with two of those, by passes; the best of both by seconds."""
    figure, axes = plots.new_figure(17, 6.6, columns=3)
    left, middle, right = axes[0]
    methods, num_full = record["methods"], record["num_full_batch"]
    labels = [method["label"] for method in methods]
    for index in range(num_full):
        label = label_of(methods[index]) + silence_of(record, methods[index])
        if index < len(SERIES):
            draw(left, arrays, index, index, label, 1.0)
        else:  # one that begins later, in the colour of the same that does not
            series = 1 + index - len(SERIES)
            middle_cost = np.median(arrays[str(index)][:, 1:], axis=0)
            left.plot(np.arange(1, len(middle_cost) + 1), middle_cost, color=plots.COLOURS[series], label=label,
                      linestyle=(0, (6, 1)), linewidth=1, marker="o", markevery=0.1, markersize=4)  # fmt: skip
    shown = [labels.index("plain descent"), labels.index("L-BFGS")]
    for index in (*shown, *range(num_full, len(methods))):
        series = index if index < num_full else (index - num_full or len(SERIES))  # momentum as on the full batch, ...
        draw(middle, arrays, index, series, label_of(methods[index]), 1.0)
        draw(right, arrays, index, series, label_of(methods[index]), methods[index]["seconds"])
    left.set_title("Full batch: who gets lowest with as many gradients")
    left.set_xlabel("gradients of the full batch")
    middle.set_title("Mini-batches: as many passes over the images")
    middle.set_xlabel("passes over the training images")
    right.set_title("The same, by the clock")
    right.set_xlabel("seconds of one run, compilation apart")
    for axis in axes[0]:
        axis.set_xscale("log")
        axis.set_yscale("log")
        plots.plain_log_ticks(axis.yaxis, TICKS)
        axis.set_ylabel("cost on the training images")
        axis.legend(fontsize=9, loc="lower left")
    plots.headline(figure, record["in_short"])
    plots.foot(
        figure, record,
        f"median and range of {record['settings']['num_seeds']} starts; in brackets the number that suits two other "
        "starts best: learning rate, or c2 of the line search.\n"
        "A digit is never said if its output stays below 1/2 on all its images",
    )  # fmt: skip
    return figure


def silence_of(record: dict, method: dict) -> str:
    """How many digits the network never says at the end; only outputs between 0 and 1 say something above 1/2."""
    count = float(np.median(method["silent"]))
    if count == 0 or not record["settings"]["output_activation"].endswith("sigmoid"):
        return ""
    return f": {count:g} digit{'' if count == 1 else 's'} never said"


def label_of(method: dict) -> str:
    """Name, and the number that suited best."""
    return f"{method['label']} ({method['tuned']:g})"


def draw(axis: Axes, arrays: dict[str, np.ndarray], index: int, series: int, label: str, unit: float) -> None:
    """One method's cost after 1, 2, ... evaluations, each of them `unit` long."""
    cost = arrays[str(index)][:, 1:]
    plots.seed_band(axis, unit * np.arange(1, cost.shape[1] + 1), cost, series, label)
