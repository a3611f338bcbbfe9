"""How many times as long as the library everybody else takes: a dot for everybody, one group a work."""

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
PLAINLY = {
    "the library: in chunks": "the library on one device",
    "the library: one device": "the library on one device",
    "the library: any network, one row": "the library, layer by layer at every point",
    "the library: one seed, so many times": "the library, one seed after the other",
    "JAX: a jitted step called from Python": "JAX, every step called from Python",
    "JAX: all images at once": "JAX, all images at once",
    "PyTorch, the first layer thrice": "PyTorch, with the library's short cut",
    "PyTorch, plain, one row": "PyTorch, layer by layer at every point",
}
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)


def dots(result: Any, rounds: int) -> Figure:
    """On a common logarithmic axis of ratios, with a diamond where a ratio was asked for."""
    figure, axes = plots.new_figure(12, 1.8 + 0.34 * sum(len(work.ways) for work in result.works))
    axis, names, headings = axes[0, 0], [], []
    for work in result.works:
        headings.append(len(names))
        names.append(f"{work.name}: {1000 * np.median(work.seconds[0]):,.0f} ms")
        for way in range(1, len(work.ways)):
            draw(axis, len(names), work, way)
            names.append(PLAINLY.get(work.ways[way], work.ways[way]))
    axis.set_yticks(range(len(names)), names)
    for row in headings:
        axis.get_yticklabels()[row].set_fontweight("bold")
    axis.axvline(1, color=plots.COLOURS[0])
    plots.plain_log_ticks(axis.xaxis, TICKS)
    axis.set(xlabel="times as long as the library, in the same round", ylim=(len(names) - 0.3, -0.5))
    axis.margins(x=0.15)
    others = [
        (ratio, PLAINLY.get(way, way), work.name)
        for work in result.works
        for way, ratio in zip(work.ways, work.ratios, strict=True)
        if who(way) != who(work.ways[0])
    ]
    (least, quickest, at), (most, slowest, where) = min(others), max(others)
    torch = f"PyTorch {result.torch}" if result.torch else "PyTorch is not installed here"
    return plots.headline(
        figure,
        f"The others take from {least:.1f} times the library's time ({at}; {quickest}) to {most:.1f} times ({where}; "
        f"{slowest})",
        f"{result.device}, float32; {torch}\nin bold the library's own time; contestants in turn, compilation left "
        f"out; dots: median of {rounds} rounds, lines: their range; diamonds: asked for beforehand",
    )


def who(way: str) -> str:
    """Who takes that way, "who: how"; the first way of every work is the library's.

    >>> who("the library: one device")
    'the library'
    """
    return way.partition(": ")[0]


def draw(axis: Axes, row: int, work: Any, way: int) -> None:
    times, ratio, mark = work.seconds[way] / work.seconds[0], work.ratios[way], ASKED.get((work.name, work.ways[way]))
    colour = plots.COLOURS[0] if who(work.ways[way]) == who(work.ways[0]) else plots.COLOURS[6]
    axis.plot([times.min(), times.max()], [row, row], color=colour, linewidth=1.5)
    axis.plot(ratio, row, "o", color=colour, markersize=9)
    if mark:
        axis.plot(mark, row, "D", color=plots.COLOURS[1], markeredgecolor="black")
        axis.annotate(f"{mark:g} asked for", (mark, row), (0, 6), textcoords="offset points", fontsize=9,
                      ha="left" if mark > ratio else "right",
                      color=plots.COLOURS[1])  # fmt: skip
    axis.annotate(f"{ratio:.1f}", (ratio, row), (0, -6), textcoords="offset points", ha="center", va="top", fontsize=9)
