"""The second guess: how much it adds, which digits it mends, and whether learning from it helps."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

NAMES = {
    "own_top_two": "its own two\nstrongest outputs,\nnot the truth",
    "with_second": "the truth, and\nwhat else it\nlooked like",
    "with_random": "control: the truth,\nand a digit\nat random",
}


def page(
    result: Any, shares: np.ndarray, intervals: tuple[np.ndarray, np.ndarray], gains: dict, hoped: float
) -> Figure:
    """Guesses, confusions, and lessons; `shares` is (seeds, guesses), `intervals` Wilson's of the median seed."""
    figure, axes = plots.new_figure(19, 6.8, columns=3, width_ratios=(1, 1.1, 1))
    several_guesses(axes[0, 0], shares, intervals, hoped)
    confusions(axes[0, 1], result, shares.shape[1])
    lessons(axes[0, 2], gains)
    plots.headline(figure, title(shares, hoped))
    return figure


def title(shares: np.ndarray, hoped: float) -> str:
    """The answer to the reader's question: what two guesses reach, and how many it takes for what was hoped."""
    right = np.median(shares, axis=0)
    enough = 1 + int(np.argmax(right >= hoped)) if (right >= hoped).any() else len(right)
    twice, wish = f"{100 * right[1]:.1f} %", f"{100 * hoped:g} %"
    if enough <= 2:
        return f"With two guesses the network is right in {twice} of the test images, as hoped"
    takes = f"all {enough}" if enough == len(right) else enough
    return f"With two guesses the network is right in {twice}, not in {wish} of the test images: that takes {takes}"


def several_guesses(axis: Axes, shares: np.ndarray, intervals: tuple[np.ndarray, np.ndarray], hoped: float) -> None:
    """Share of the test images that are still wrong, against the number of guesses; with Wilson's intervals."""
    guesses = np.arange(1, shares.shape[1] + 1)
    wrong = 100 * (1 - shares)
    shown = np.median(wrong, axis=0) > 0
    middle, (low, high) = np.median(wrong, axis=0), (100 * (1 - end) for end in intervals[::-1])
    for seed in wrong:
        axis.plot(guesses, np.where(seed > 0, seed, np.nan), color=plots.COLOURS[0], linewidth=0.8, alpha=0.4)
    bars = np.maximum(np.stack([middle - low, high - middle])[:, shown], 0)
    axis.errorbar(guesses[shown], middle[shown], bars, fmt="o-", color=plots.COLOURS[0], capsize=4,
                  label=f"median of {len(shares)} seeds, Wilson's 95 % interval\n(thin: each seed)")  # fmt: skip
    for place, value in zip(guesses[:3], middle[:3], strict=False):
        says = f"{100 - value:.2f} % right"
        axis.annotate(says, (place, value), xytext=(9, 5), textcoords="offset points", fontweight="bold")
    axis.axhline(100 * (1 - hoped), color="0.4", linewidth=1, linestyle=(0, (2, 2)), label=f"{100 * hoped:g} % right")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.01, 0.1, 1, 10, 100))
    axis.set_xticks(guesses)
    axis.set_xlabel("guesses that count")
    axis.set_ylabel("test images with no right guess, %")
    axis.set_title(f"Two guesses are wrong in {middle[1]:.2f} %, not in {100 * (1 - hoped):.2g} %")
    axis.set_ylim(top=2.2 * max(middle[0], 0.1))
    axis.legend(loc="upper right", fontsize=9)


def confusions(axis: Axes, result: Any, num_classes: int) -> None:
    """Wrong first guesses by true and called digit, mean over seeds; in brackets how many the second guess mends."""
    labels, called, ranks = result.labels, result.called, result.truth
    wrong, mended = np.zeros((2, num_classes, num_classes))
    for answers, places in zip(called, ranks, strict=True):
        np.add.at(wrong, (labels[places > 0], answers[places > 0]), 1 / len(called))
        np.add.at(mended, (labels[places == 1], answers[places == 1]), 1 / len(called))
    axis.imshow(wrong, cmap="Greys", vmin=0)
    for true, answer in np.argwhere(wrong >= max(1, 0.1 * wrong.max())):
        colour = "white" if wrong[true, answer] > wrong.max() / 2 else "black"
        axis.text(answer, true, f"{wrong[true, answer]:.0f}\n({mended[true, answer]:.0f})", ha="center", va="center",
                  fontsize=7.5, color=colour)  # fmt: skip
    axis.set_xticks(range(num_classes))
    axis.set_yticks(range(num_classes))
    axis.grid(False)
    axis.tick_params(length=0)
    axis.set_xlabel("... its first guess (in brackets: its second guess is right)")
    axis.set_ylabel("a test image of this digit, and ...")
    true, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    axis.set_title(
        f"The second guess mends {100 * mended.sum() / max(wrong.sum(), 1e-9):.0f} % of the errors;\n"
        f"most often a {true} is called a {answer}"
    )


def lessons(axis: Axes, gains: dict[str, np.ndarray]) -> None:
    """Paired differences against learning from the truth: every seed a dot, the mean with two standard errors."""
    means = {}
    for place, name in enumerate(NAMES):
        for series, guesses in enumerate(("one guess", "two guesses")):
            points = 100 * gains[name][series]
            x, colour = place + 0.24 * series - 0.12, plots.COLOURS[series]
            means[name, series] = points.mean()
            error = 2 * points.std(ddof=1) / len(points) ** 0.5 if len(points) > 1 else 0
            axis.plot(np.full(len(points), x), points, "os"[series], color=colour, alpha=0.35, markersize=5)
            axis.errorbar(x + 0.06, points.mean(), error, fmt="os"[series], color=colour, capsize=4, markersize=8,
                          markeredgecolor="black", label=guesses if place == 0 else None)  # fmt: skip
    axis.axhline(0, color="0.3", linewidth=1)
    axis.set_xticks(range(len(NAMES)), list(NAMES.values()), fontsize=10)
    axis.set_xlim(-0.5, len(NAMES) - 0.5)
    axis.set_ylabel("points more than by learning from the truth")
    axis.set_title(
        f"Learning the truth and its own second label:\n{means['with_second', 0]:+.2f} points for one guess, "
        f"a random second {means['with_random', 0]:+.2f}"
    )
    bottom, top = axis.get_ylim()
    axis.set_ylim(bottom, top + 0.35 * (top - bottom))
    axis.legend(title="same start, same orders: a dot a seed,\nmean and two standard errors", loc="upper right",
                fontsize=9)  # fmt: skip
