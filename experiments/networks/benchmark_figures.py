"""How many times as long as the library everybody else takes: one panel a work."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

ASKED = {  # (work, way) -> how many times as long as the library: asked for, of 60,000 images, before any measurement
    ("an epoch of SGD", "PyTorch, autograd"): 9.0,
    ("an epoch of SGD", "numpy by hand"): 3.0,
    ("the gradient over all images", "PyTorch, autograd"): 3.0,
    ("variance of all single gradients", "PyTorch, vmap(grad)"): 7.0,
    ("the cost over a grid", "PyTorch, the first layer thrice"): 5.0,
    ("the cost over a grid", "PyTorch, plain, one row"): 20.0,
    ("an epoch of every seed", "the library: one seed, so many times"): 1.9,
}


def bars(result: Any, rounds: int) -> Figure:
    """A bar for every contestant, on a common logarithmic axis of ratios; a mark where a ratio was asked for."""
    works = result.works
    heights = [len(work.ways) + 1 for work in works]
    figure, axes = plots.new_figure(13, 0.42 * sum(heights) + 1.6, rows=len(works), sharex=True, height_ratios=heights)
    for axis, work in zip(axes[:, 0], works, strict=True):
        panel(axis, work)
    axes[-1, 0].set(xlabel="time over the library's, in the same round",
                    xlim=(0.3, 4 * max(work.ratios.max() for work in works)))  # fmt: skip
    others = [
        (ratio, way, work.name)
        for work in works
        for way, ratio in zip(work.ways[1:], work.ratios[1:], strict=True)
        if not way.startswith("the library")
    ]
    (least, quickest, at), (most, slowest, where) = min(others), max(others)
    torch = f"PyTorch {result.torch}" if result.torch else "PyTorch is not installed here"
    says = f"The others take from {least:.1f} times the library's time ({quickest}: {at}) to "
    foot = (f"{result.device}, float32\ncontestants in turn, compilation left out; bars: median of {rounds} rounds, "
            f"lines: their range; \u25c6: asked for beforehand; {torch}")  # fmt: skip
    return plots.headline(figure, f"{says}{most:.0f} times ({slowest}: {where})", foot)


def panel(axis: Axes, work: Any) -> None:
    """One work: the library in the first colour, all else in grey."""
    for row, (label, ratio, own) in enumerate(zip(work.ways, work.ratios, work.seconds, strict=True)):
        ours = label.startswith("the library")
        axis.barh(row, ratio, color=plots.COLOURS[0] if ours else "0.75", height=0.7)
        times, mark = own / work.seconds[0], ASKED.get((work.name, label), 0)
        axis.plot([times.min(), times.max()], [row, row], color="black", linewidth=1.2)
        text = f" {1000 * np.median(own):,.0f} ms" + (f", {ratio:.1f} times" if row else "")
        axis.text(max(ratio, times.max(), mark) * 1.05, row, text, va="center", fontsize=9)
        if mark:
            axis.plot(mark, row, "D", color=plots.COLOURS[1], markeredgecolor="black", zorder=3)
    axis.set_yticks(range(len(work.ways)), work.ways, fontsize=9)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_title(work.name, loc="left", fontsize=10)
