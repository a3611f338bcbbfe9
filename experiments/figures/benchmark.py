"""How many times as long as the library everybody else takes: one panel a work."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

Arrays = dict[str, np.ndarray]


def bars(record: dict, arrays: Arrays) -> Figure:
    """A bar for every contestant, on a common logarithmic axis of ratios; a mark where a ratio was asked for."""
    works = record["works"]
    heights = [len(work["ways"]) + 1 for work in works]
    figure, axes = plots.new_figure(13, 0.42 * sum(heights) + 1.6, rows=len(works), sharex=True, height_ratios=heights)
    asked = {(each["work"], each["way"]): each["times"] for each in record["asked"]}
    longest = max(max(work["ratios"]) for work in works)
    for place, (axis, work) in enumerate(zip(axes[:, 0], works, strict=True)):
        seconds = [arrays[f"{place}_{index}"] for index in range(len(work["ways"]))]
        panel(axis, work, seconds, asked)
        axis.set_xlim(0.3, 4 * longest)
    axes[-1, 0].set_xlabel("time over the library's, in the same round")
    others = [
        (ratio, way, work["name"])
        for work in works
        for way, ratio in zip(work["ways"], work["ratios"], strict=True)
        if not way.startswith("the library")
    ]
    (least, quickest, at), (most, slowest, where) = min(others), max(others)
    figure.suptitle(
        f"The others take from {least:.1f} times the library's time ({quickest}: {at})\n"
        f"to {most:.0f} times ({slowest}: {where})",
        fontsize=12,
        fontweight="bold",
    )
    figure.supxlabel(
        f"{'-'.join(map(str, record['layer_sizes']))} on {record['settings']['num_examples']:,} images of "
        f"{record['dataset']['name']}, float32, {record['device']}; contestants in turn, compilation left out; bars: "
        f"median of {record['settings']['rounds']} rounds, lines: their range; \u25c6: asked for beforehand"
        + (f"; PyTorch {record['torch']}" if record["torch"] else "; PyTorch is not installed here"),
        fontsize=9,
    )
    return figure


def panel(axis: Axes, work: dict, seconds: list[np.ndarray], asked: dict) -> None:
    """One work: the library in the first colour, all else in grey."""
    for row, (label, ratio, own) in enumerate(zip(work["ways"], work["ratios"], seconds, strict=True)):
        ours = label.startswith("the library")
        axis.barh(row, ratio, color=plots.COLOURS[0] if ours else "0.75", height=0.7)
        times, mark = own / seconds[0], asked.get((work["name"], label))
        axis.plot([times.min(), times.max()], [row, row], color="black", linewidth=1.2)
        text = f" {1000 * np.median(own):,.0f} ms" + (f", {ratio:.1f} times" if row else "")
        axis.text(max(ratio, times.max(), mark or 0) * 1.05, row, text, va="center", fontsize=9)
        if mark:
            axis.plot(mark, row, "D", color=plots.COLOURS[1], markeredgecolor="black", zorder=3)
    axis.set_yticks(range(len(work["ways"])), work["ways"], fontsize=9)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_title(work["name"], loc="left", fontsize=10)
