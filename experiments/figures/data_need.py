"""The figures of data_need: error against data, what wrong labels cost, who finds them, and how many must vote."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from research import plots


def foot(record: dict) -> str:
    """Data and seeds, for the last line of a title."""
    return f"{record['dataset']['name']}, median and range of {record['settings']['num_seeds']} seeds"


def in_epochs(count: int) -> str:
    """In words."""
    return f"{count} epoch{'s' if count != 1 else ''}"


def title(figure: Figure, record: dict, finding: str) -> None:
    """The finding above the figure, and what it was found on."""
    figure.suptitle(f"{textwrap.fill(finding, 90)}\n{foot(record)}", fontsize=13, fontweight="bold")


def percent_ticks(axes: Axes, largest: float) -> None:
    """Shares of labels on the x axis, in per cent."""
    axes.set_xlim(-0.02 * largest, 1.02 * largest)
    axes.set_xlabel("wrong labels among those of the training images, %")


def size_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Error on the test set against the number of training images, with power laws and Nielsen's nine numbers."""
    figure, axes = plots.new_figure(11.5, 6.8)
    axis, sizes = axes[0, 0], arrays["sizes"]
    for series, (name, steps) in enumerate(zip(record["recipes"], record["steps"], strict=True)):
        error = 100 - arrays[f"accuracy_{series}"]
        height, exponent, fit = arrays[f"law_{series}"]
        plots.seed_points(axis, sizes, error.T, series, f"{name}: {steps:,} steps of 10 for every N")
        axis.plot(
            sizes, height * sizes**-exponent, color=plots.COLOURS[series], linestyle=plots.LINES[series], linewidth=1.5,
            label=f"power law N^-{exponent:.2f} (R^2 {fit:.3f})",
        )  # fmt: skip
    if record["settings"]["dataset"] == "mnist":
        axis.plot(arrays["nielsen_sizes"], 100 - arrays["nielsens"], "x", color="k", markersize=9, markeredgewidth=2,
                  label="Nielsen's nine numbers (784-30-10, 150,000 steps)", zorder=5)  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.xaxis, sizes.tolist())
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    plots.plain_log_ticks(axis.yaxis, (2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70))
    axis.set_xlabel("training images N")
    axis.set_ylabel(f"wrong answers on {record['dataset']['test']['count']:,} test images, %")
    axis.legend()
    first, last = (np.median(100 - arrays["accuracy_0"][place]) for place in (0, -1))
    exponents = " and ".join(f"N^-{arrays[f'law_{series}'][1]:.2f}" for series in range(len(record["recipes"])))
    title(
        figure, record,
        f"More data, fewer errors: {first:.1f} % wrong answers with {sizes[0]:,} images, {last:.1f} % with "
        f"{sizes[-1]:,}; the error falls about as {exponents}",
    )  # fmt: skip
    return figure


def noise_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """What is right on the test set, and on the training set by wrong labels, against the share of those."""
    figure, axes = plots.new_figure(14, 6.2, columns=2)
    left, right = axes[0]
    shares = 100 * arrays["shares"]
    for series, name in enumerate(record["recipes"]):
        plots.seed_band(left, shares, 100 * arrays[f"test_{series}"].T, series, name)
        plots.seed_points(left, shares, 100 * arrays[f"test_{series}"].T, series)
        plots.seed_points(right, shares, 100 * arrays[f"given_{series}"].T, series, f"{name}: by the labels given")
        plots.seed_band(right, shares, 100 * arrays[f"true_{series}"].T, series, f"{name}: by the right labels")
        right.plot(
            shares, 100 * np.median(arrays[f"by_the_truth_{series}"], axis=1), color="k", linewidth=1.2,
            linestyle=(0, (2, 2)), label=None if series else "theory: by the labels given, if nothing wrong is learned",
        )  # fmt: skip
    wrong, dearest = 100 * record["bearable"], max(
        100 * float(np.median(test[0]) - np.median(test[-1])) for test in (arrays["test_0"], arrays["test_1"])
    )  # fmt: skip
    left.axvline(wrong, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    left.annotate("costs no more\nthan 1 point", (wrong, 1), xycoords=("data", "axes fraction"), xytext=(4, -4),
                  textcoords="offset points", va="top", fontsize=9, color="0.3")  # fmt: skip
    left.set_ylabel(f"right on {record['dataset']['test']['count']:,} test images, %")
    left.set_title("Test images (their labels are right)")
    left.legend(loc="lower left")
    right.set_ylabel(f"right on {record['dataset']['train']['count']:,} training images, %")
    right.set_ylim(0, 103)
    right.set_title("Training images")
    right.legend(loc="lower left", fontsize=9)
    for axis in (left, right):
        percent_ticks(axis, shares[-1])
    title(
        figure, record,
        f"Labels wrong at random hardly mislead: up to {wrong:.0f} % of them cost no more than one point, "
        f"{shares[-1]:.0f} % cost at most {dearest:.1f}, after {in_epochs(record['settings']['num_epochs'])}",
    )  # fmt: skip
    return figure


def roc_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """For each recipe: wrong labels found against right ones suspected, by two scores, after two trainings."""
    recipes, alarms = record["recipes"], 100 * arrays["false_alarms"]
    figure, axes = plots.new_figure(14, 6.6, columns=len(recipes), sharey=True)
    epochs = sorted({1, record["settings"]["num_epochs"]})
    share = 100 * arrays["shares"][:3][-1]
    for index, (axis, name) in enumerate(zip(axes[0], recipes, strict=True)):
        areas, curves = arrays[f"areas_{index}"][-1], arrays[f"curves_{index}"][-1]  # epochs, seeds, scores, ...
        for at, epoch in enumerate(epochs):
            for score, symbol in enumerate(("|g_i|", "cost C_i")):
                found = 100 * np.median(curves[at, :, score], axis=0)
                label = f"{symbol}, epoch {epoch}: area {np.median(areas[at, :, score]):.3f}"
                axis.plot(alarms, found, color=plots.COLOURS[score], linestyle=plots.LINES[at], label=label)
        axis.plot([0, 100], [0, 100], color="0.4", linewidth=1, linestyle=(0, (2, 2)), label="by lot: area 0.5")
        axis.set_title(name)
        axis.set_xlabel("right labels suspected, %")
        axis.set_xlim(-1, 101)
        axis.set_ylim(-1, 101)
        axis.legend(loc="lower right")
    axes[0, 0].set_ylabel(f"wrong labels found, % ({share:.0f} % of all are wrong)")
    norms, costs = ([np.median(arrays[f"areas_{index}"][-1, -1, :, score]) for index in (0, 1)] for score in (0, 1))
    title(
        figure, record,
        f"Which labels are wrong? The length of the gradient tells with area {norms[0]:.2f} and {norms[1]:.2f} "
        f"(left and right), the cost itself with {costs[0]:.2f} and {costs[1]:.2f}",
    )  # fmt: skip
    return figure


def votes_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The share of wrong labels left by a vote, against the number of votes: exact, simulated, and if all who err
    give the same wrong label."""
    figure, axes = plots.new_figure(12, 6.8)
    axis, voters, target = axes[0, 0], arrays["voters"], 100 * record["bearable"]
    for series, rate in enumerate(arrays["rates"]):
        colour = plots.COLOURS[series]
        axis.plot(voters, 100 * arrays["votes"][series], color=colour, linestyle="-",
                  label=f"one annotator wrong {100 * rate:.0f} % of the time")  # fmt: skip
        axis.plot(voters, 100 * arrays["same_way"][series], color=colour, linestyle=(0, (1, 2)), linewidth=1.3)
        shown = arrays["expected"][series] >= 10
        axis.plot(arrays["simulated_voters"][shown], 100 * arrays["simulated"][series][shown], "os^Dv"[series],
                  color=colour)  # fmt: skip
    axis.plot([], [], "ko", label="simulated (if 10 or more are expected)")
    axis.plot([], [], "k", linestyle=(0, (1, 2)), label="if all who err give the same wrong label (binomial)")
    axis.axhline(target, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    axis.annotate(f"{target:.0f} %: costs no more than 1 point", (1, target), xycoords=("axes fraction", "data"),
                  xytext=(-2, -4), textcoords="offset points", ha="right", va="top", fontsize=9,
                  color="0.3")  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylim(0.003, 60)
    plots.plain_log_ticks(axis.yaxis, (0.01, 0.1, 1, 5, 10, 50))
    axis.set_xlabel("annotators who vote on every image (ties by lot)")
    axis.set_ylabel("labels that are wrong after the vote, %")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    needed = list(record["voters_needed"].values())
    most = f"{100 * arrays['rates'][-1]:.0f} %"
    title = votes_title(needed, most, f"{target:.0f} %")
    classes = "solid lines: exact, errors spread evenly over the wrong classes; markers: 100,000 simulated images"
    figure.suptitle(f"{textwrap.fill(title, 100)}\n{classes}", fontsize=13, fontweight="bold")
    return figure


def votes_title(needed: list[int | None], most: str, target: str) -> str:
    """The finding in words."""
    if needed[-1] is None:
        return f"Annotators who are wrong {most} of the time cannot be outvoted by so few"
    votes = "one label" if needed[-1] == 1 else f"{needed[-1]} votes"
    return f"Even where everyone is wrong {most} of the time, {votes} an image leave no more than {target} wrong"
