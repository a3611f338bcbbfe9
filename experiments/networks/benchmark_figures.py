"""How many times as long as the library everybody else takes: one panel a work."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

Asked = dict[tuple[str, str], float]  # (work, way) -> how many times as long as the library


def bars(result: Any, asked: Asked, rounds: int) -> Figure:
    """A bar for every contestant, on a common logarithmic axis of ratios; a mark where a ratio was asked for."""
    works = result.works
    heights = [len(work.ways) + 1 for work in works]
    figure, axes = plots.new_figure(13, 0.42 * sum(heights) + 1.6, rows=len(works), sharex=True, height_ratios=heights)
    longest = max(work.ratios.max() for work in works)
    for axis, work in zip(axes[:, 0], works, strict=True):
        panel(axis, work, asked)
        axis.set_xlim(0.3, 4 * longest)
    axes[-1, 0].set_xlabel("time over the library's, in the same round")
    others = [
        (ratio, way, work.name)
        for work in works
        for way, ratio in zip(work.ways[1:], work.ratios[1:], strict=True)
        if not way.startswith("the library")
    ]
    (least, quickest, at), (most, slowest, where) = min(others), max(others)
    plots.headline(
        figure,
        f"The others take from {least:.1f} times the library's time ({quickest}: {at}) to {most:.0f} times "
        f"({slowest}: {where})",
    )
    torch = f"PyTorch {result.torch}" if result.torch else "PyTorch is not installed here"
    plots.note(
        figure,
        f"{result.device}, float32\ncontestants in turn, compilation left out; bars: median of {rounds} rounds, lines: "
        f"their range; \u25c6: asked for beforehand; {torch}",
    )
    return figure


def panel(axis: Axes, work: Any, asked: Asked) -> None:
    """One work: the library in the first colour, all else in grey."""
    for row, (label, ratio, own) in enumerate(zip(work.ways, work.ratios, work.seconds, strict=True)):
        ours = label.startswith("the library")
        axis.barh(row, ratio, color=plots.COLOURS[0] if ours else "0.75", height=0.7)
        times, mark = own / work.seconds[0], asked.get((work.name, label))
        axis.plot([times.min(), times.max()], [row, row], color="black", linewidth=1.2)
        text = f" {1000 * np.median(own):,.0f} ms" + (f", {ratio:.1f} times" if row else "")
        axis.text(max(ratio, times.max(), mark or 0) * 1.05, row, text, va="center", fontsize=9)
        if mark:
            axis.plot(mark, row, "D", color=plots.COLOURS[1], markeredgecolor="black", zorder=3)
    axis.set_yticks(range(len(work.ways)), work.ways, fontsize=9)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_title(work.name, loc="left", fontsize=10)
