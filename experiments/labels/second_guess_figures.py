"""The second guess: how much it adds, which digits it mends, and whether learning from it helps."""

from typing import Any

import numpy as np

from experiments.common import plots

LABELS = (
    "its own two\nstrongest outputs,\nnot the truth",
    "the truth, and\nwhat else it\nlooked like",
    "control: the truth,\nand a digit\nat random",
)


def page(result: Any, intervals: tuple, hoped: float, note: str) -> plots.Figure:
    """Guesses, confusions, and lessons; `intervals` are Wilson's of the median seed."""
    figure, axes = plots.new_figure(19, 6.8, columns=3, width_ratios=(1, 1.1, 1))
    several_guesses(axes[0, 0], result.shares, intervals, hoped)
    confusions(axes[0, 1], result)
    lessons(axes[0, 2], result.gains)
    return plots.headline(
        figure, title(np.median(result.shares, axis=0), hoped), f"{note}; right: a dot a seed, mean ± 2 standard errors"
    )


def enough(right: np.ndarray, hoped: float) -> int:
    """How many guesses it takes for the share hoped for; all where no number of them reaches it."""
    return 1 + int(np.argmax(right >= hoped)) if (right >= hoped).any() else len(right)


def title(right: np.ndarray, hoped: float) -> str:
    """The answer to the reader's question: what two guesses reach, and how many it takes for what was hoped."""
    needed, twice = enough(right, hoped), f"With two guesses the network is right in {100 * right[1]:.1f} %"
    if needed <= 2:
        return f"{twice} of the test images, as hoped"
    takes = f"all {needed}" if needed == len(right) else needed
    return f"{twice}, not in {100 * hoped:g} % of the test images: that takes {takes}"


def several_guesses(axis: plots.Axes, shares: np.ndarray, intervals: tuple, hoped: float) -> None:
    """Share of the test images that are still wrong, against the number of guesses; with Wilson's intervals."""
    guesses, wrong, colour = np.arange(1, shares.shape[1] + 1), 100 * (1 - shares), plots.COLOURS[0]
    middle, (low, high) = np.median(wrong, axis=0), (100 * (1 - end) for end in intervals[::-1])
    axis.plot(guesses, np.where(wrong > 0, wrong, np.nan).T, color=colour, linewidth=0.8, alpha=0.4)
    shown, bars = middle > 0, np.maximum([middle - low, high - middle], 0)
    axis.errorbar(guesses[shown], middle[shown], bars[:, shown], fmt="o-", color=colour, capsize=4)
    for place, value in zip(guesses[:3], middle[:3], strict=True):
        plots.note(axis, f"{100 - value:.2f} % right", (place, value), (9, 5), fontweight="bold")
    plots.reference_line(axis, 100 * (1 - hoped), "")
    plots.note(axis, f"{100 * hoped:g} % right", (1, 100 * (1 - hoped)), (0, 3))
    plots.panel(axis, "Median with Wilson's 95 % interval (thin: each seed)", "guesses that count",
                "test images with no right guess, %", log_y=(0.01, 0.1, 1, 10, 100), xticks=guesses,
                ylim=(None, 2.2 * max(middle[0], 0.1)))  # fmt: skip


def confusions(axis: plots.Axes, result: Any) -> None:
    """Wrong first guesses by true and called digit, mean over seeds; in brackets how many the second guess mends."""
    num_classes = result.shares.shape[1]
    wrong, mended = np.zeros((2, num_classes, num_classes))
    for answers, guess in zip(result.called, result.guess[0], strict=True):
        for counted, chosen in ((wrong, guess > 0), (mended, guess == 1)):
            np.add.at(counted, (result.labels[chosen], answers[chosen]), 1 / len(result.called))
    axis.imshow(wrong, cmap="Greys", vmin=0)
    for true, answer in np.argwhere(wrong >= max(1, 0.1 * wrong.max())):
        colour = "white" if wrong[true, answer] > wrong.max() / 2 else "black"
        axis.text(answer, true, f"{wrong[true, answer]:.0f}\n({mended[true, answer]:.0f})", ha="center", va="center",
                  fontsize=7.5, color=colour)  # fmt: skip
    true, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    share = 100 * mended.sum() / max(wrong.sum(), 1e-9)
    axis.set(xticks=range(num_classes), yticks=range(num_classes), ylabel="a test image of this digit, and ...",
             xlabel="... its first guess (in brackets: its second guess is right)",
             title=f"The second guess mends {share:.0f} % of the errors;\n"
             f"most often a {true} is called a {answer}")  # fmt: skip
    axis.grid(False)
    axis.tick_params(length=0)


def lessons(axis: plots.Axes, gains: np.ndarray) -> None:
    """Paired differences against learning from the truth: every seed a dot, the mean with two standard errors."""
    means, num_seeds = gains.mean(axis=2), gains.shape[2]
    errors = 2 * gains.std(axis=2, ddof=1) / num_seeds**0.5 if num_seeds > 1 else np.zeros_like(means)
    for series, label in enumerate(("one guess", "two guesses")):
        x, colour, marker = np.arange(len(gains)) + 0.24 * series - 0.12, plots.COLOURS[series], "os"[series]
        axis.plot(x, gains[:, series], marker, color=colour, alpha=0.35, markersize=5)
        axis.errorbar(x + 0.06, means[:, series], errors[:, series], fmt=marker, color=colour, capsize=4, markersize=8,
                      markeredgecolor="black")  # fmt: skip
        plots.note(axis, label, (x[0], gains[0, series].max()), (0, 8), ha=("right", "left")[series], color=colour)
    axis.axhline(0, color="0.3", linewidth=1)
    axis.set_xticks(range(len(LABELS)), LABELS, fontsize=10)
    axis.margins(y=0.2)
    axis.set(xlim=(-0.5, len(LABELS) - 0.5), ylabel="points more than by learning from the truth",
             title=f"Learning the truth and its own second label:\n{means[1, 0]:+.2f} points for one guess, "
             f"a random second {means[2, 0]:+.2f}")  # fmt: skip
