"""The figures of data_need: error against data, what wrong labels cost, who finds them, and how many must vote."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def foot(figure: Figure, record: dict, says: str) -> None:
    """Data and seeds, below a figure; networks and costs are in its legend."""
    figure.supxlabel(f"{record['dataset']['name']}; {says} of {record['settings']['num_seeds']} seeds", fontsize=10)


def in_epochs(count: int) -> str:
    """In words."""
    return f"{count} epoch{'s' if count != 1 else ''}"


def mean_points(axes: Axes, x: np.ndarray, y: np.ndarray, series: int, label: str) -> None:
    """The mean of `y` (points, seeds), to which the power laws are fitted, with the range of all seeds."""
    mean = y.mean(axis=1)
    axes.errorbar(x, mean, [mean - y.min(axis=1), y.max(axis=1) - mean], fmt="os"[series], color=plots.COLOURS[series],
                  elinewidth=1.2, label=label)  # fmt: skip


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
        mean_points(axis, sizes, error, series, f"{name}: {steps:,} steps of 10 for every N")
        axis.plot(
            sizes, height * sizes**-exponent, color=plots.COLOURS[series], linestyle=plots.LINES[series], linewidth=1.5,
            label=f"power law $N^{{-{exponent:.2f}}}$ ($R^2$ {fit:.3f})",
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
    first, last = (100 - arrays["accuracy_0"][place].mean() for place in (0, -1))
    plots.headline(
        figure,
        f"More data, fewer errors: {first:.1f} % wrong answers with {sizes[0]:,} images, {last:.1f} % with "
        f"{sizes[-1]:,} ({record['recipes'][0].split(',')[0]}), about as $N^{{-{arrays['law_0'][1]:.2f}}}$",
    )
    foot(figure, record, "points, power laws and the numbers above: means, with the range,")
    return figure


def noise_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """What is right on the test set, and on the training set by wrong labels, against the share of those."""
    figure, axes = plots.new_figure(14, 6.2, columns=2)
    left, right = axes[0]
    shares = 100 * arrays["shares"]
    for series, name in enumerate(record["recipes"]):
        plots.seed_band(left, shares, 100 * arrays[f"test_{series}"].T, series, name)
        plots.seed_points(left, shares, 100 * arrays[f"test_{series}"].T, series)
        plots.seed_band(right, shares, 100 * arrays[f"true_{series}"].T, series, f"{name}: by the right labels")
        plots.seed_points(right, shares, 100 * arrays[f"given_{series}"].T, series, f"{name}: by the labels given")
    for series in range(len(record["recipes"])):
        right.plot(
            shares, 100 * np.median(arrays[f"by_the_truth_{series}"], axis=1), color="k", linewidth=1.2,
            linestyle=(0, (2, 2)), label=None if series else "theory: by the labels given, if nothing wrong is learned",
        )  # fmt: skip
    wrong = 100 * record["bearable"]
    left.axvline(wrong, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    left.annotate(
        f"{wrong:.0f} %: about one point lost", (wrong, 1), xycoords=("data", "axes fraction"), xytext=(4, -4),
        textcoords="offset points", va="top", fontsize=9, color="0.3",
    )  # fmt: skip
    left.set_ylabel(f"right on {record['dataset']['test']['count']:,} test images, %")
    left.set_title("Test images (their labels are right)")
    left.legend(loc="lower left")
    right.set_ylabel(f"right on {record['dataset']['train']['count']:,} training images, %")
    right.set_ylim(0, 103)
    right.set_title("Training images")
    right.legend(loc="lower left", fontsize=9)
    for axis in (left, right):
        percent_ticks(axis, shares[-1])
    lost = [100 * np.median(arrays[f"test_{series}"], axis=1) for series in range(len(record["recipes"]))]
    dearest = max(accuracy[0] - accuracy[-1] for accuracy in lost)
    plots.headline(
        figure,
        f"Labels wrong at random hardly mislead: {wrong:.0f} % of them cost about one point on the test images, "
        f"{shares[-1]:.0f} % cost {dearest:.1f} (the more sensitive network)",
    )
    foot(figure, record, f"after {in_epochs(record['settings']['num_epochs'])}; median and range")
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
                colour, found = plots.COLOURS[score], 100 * curves[at, :, score]
                label = f"{symbol}, epoch {epoch}: area {np.median(areas[at, :, score]):.3f}"
                axis.fill_between(alarms, found.min(axis=0), found.max(axis=0), color=colour, alpha=0.2, linewidth=0)
                axis.plot(alarms, np.median(found, axis=0), color=colour, linestyle=plots.LINES[at], label=label)
        axis.plot([0, 100], [0, 100], color="0.4", linewidth=1, linestyle=(0, (2, 2)), label="by lot: area 0.5")
        axis.set_title(name)
        axis.set_xlabel("right labels suspected, %")
        axis.set_xlim(-1, 101)
        axis.set_ylim(-1, 101)
        axis.legend(loc="lower right")
    axes[0, 0].set_ylabel("wrong labels found, %")
    plots.headline(figure, roc_title(record, arrays))
    foot(figure, record, f"{share:.0f} % of the labels are wrong; median and range")
    return figure


def roc_title(record: dict, arrays: dict[str, np.ndarray]) -> str:
    """Which of the two scores tells more, and whether the length of the gradient tells as much as was claimed."""
    norm, cost = (min(np.median(arrays[f"areas_{index}"][-1, -1, :, score]) for index in (0, 1)) for score in (0, 1))
    better = "The cost of an image tells better than its gradient's length"
    which = better if cost > norm else "An image's gradient tells as well as its cost"
    failed = [claim["low"] for claim in record["claims"] if "|g_i|" in claim["says"] and not claim["holds"]]
    short = f", where {failed[0]:g} was claimed" if failed else ""
    return f"{which} whether its label is wrong: area {cost:.2f} against {norm:.2f}{short} (the worse of both networks)"


def votes_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The share of wrong labels left by a vote, against the number of votes: exact, simulated, and if all who err
    give the same wrong label."""
    figure, axes = plots.new_figure(12, 6.8)
    axis, voters, target = axes[0, 0], arrays["voters"], 100 * record["bearable"]
    for series, rate in enumerate(arrays["rates"]):
        colour = plots.COLOURS[series]
        axis.plot(voters, 100 * arrays["votes"][series], color=colour, linestyle="-")
        axis.plot([], [], color=colour, marker="os^Dv"[series],
                  label=f"one annotator wrong {100 * rate:.0f} % of the time")  # fmt: skip
        axis.plot(voters, 100 * arrays["same_way"][series], color=colour, linestyle=(0, (1, 2)), linewidth=1.3)
        shown = arrays["expected"][series] >= 10
        axis.plot(arrays["simulated_voters"][shown], 100 * arrays["simulated"][series][shown], "os^Dv"[series],
                  color=colour)  # fmt: skip
    axis.plot([], [], "ko", label="100,000 images simulated (if 10 or more are expected)")
    axis.plot([], [], "k", label="exact, errors spread evenly over the wrong labels")
    axis.plot([], [], "k", linestyle=(0, (1, 2)), label="exact, all who err give the same wrong label")
    axis.axhline(target, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    axis.annotate(f"{target:.0f} % wrong labels cost about one point", (1, target), xycoords=("axes fraction", "data"),
                  xytext=(-2, -4), textcoords="offset points", ha="right", va="top", fontsize=9,
                  color="0.3")  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylim(0.003, 60)
    plots.plain_log_ticks(axis.yaxis, (0.01, 0.1, 1, 5, 10, 50))
    axis.set_xlabel("annotators who vote on every image (ties by lot)")
    axis.set_ylabel("labels that are wrong after the vote, %")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    plots.headline(figure, votes_title(record, arrays))
    return figure


def votes_title(record: dict, arrays: dict[str, np.ndarray]) -> str:
    """How many must vote where people err most often: if their errors are spread evenly, and if they are the same."""
    most, target = f"{100 * arrays['rates'][-1]:.0f} %", f"{100 * record['bearable']:.0f} %"
    evenly = list(record["voters_needed"].values())[-1]
    if evenly is None:
        return f"Annotators who are wrong {most} of the time cannot be outvoted by so few"
    enough = np.flatnonzero(arrays["same_way"][-1] <= record["bearable"])
    alike = f"{arrays['voters'][enough[0]]}" if len(enough) else f"more than {arrays['voters'][-1]}"
    votes = "one vote" if evenly == 1 else f"{evenly} votes"
    return (
        f"If all are wrong {most} of the time, {votes} an image leave {target} wrong where errors are spread evenly; "
        f"where all err alike, it takes {alike}"
    )
