"""How many times as long as the library everybody else takes: a dot for everybody, one group a work."""

from typing import Any

import numpy as np

from experiments.common import plots, works

ASKED = {  # (work, way) -> how many times as long as the library: the target for 60,000 images, set before this run
    ("an epoch of SGD", works.ONE_THREAD): 1 / 0.95,
    ("an epoch of SGD", "numpy by hand"): 2.0,
    ("an epoch of SGD", "PyTorch, autograd"): 5.0,
    ("the gradient over all images", "the library: in chunks"): 1.7,
    ("the gradient over all images", works.ALL_CORES): 1 / 0.9,
    ("the gradient over all images", "PyTorch, autograd"): 1.4,
    ("variance of all single gradients", "the library: one device"): 1.7,
    ("variance of all single gradients", works.ALL_CORES): 1 / 1.2,
    ("variance of all single gradients", "PyTorch, vmap(grad)"): 7.0,
    ("variance of all single gradients", "PyTorch, Opacus"): 7.0,
    ("variance of all single gradients", "PyTorch, BackPACK"): 7.0,
    ("the same by the layers' factors", "the library: one device"): 1.7,
    ("the same by the layers' factors", works.ALL_CORES): 1 / 1.2,
    ("the same by the layers' factors", "PyTorch, BackPACK"): 4.5,
    ("the cost over a grid", "PyTorch, the first layer thrice"): 3.0,
    ("the cost over a grid", "PyTorch, plain, one row"): 20.0,
    ("an epoch of every seed", "the library: one seed, so many times"): 1.9,
}
PLAINLY = {
    works.BOUND: "(its products of matrices alone, all cores)",
    "the library: in chunks": "the library on one device",
    "the library: one device": "the library on one device",
    "the library: any network, one row": "the library, layer by layer at every point",
    "the library: one seed, so many times": "the library, one seed after the other",
    "JAX: a jitted step called from Python": "JAX, every step called from Python",
    "JAX: all images at once": "JAX, all images at once",
    "PyTorch, the first layer thrice": "PyTorch, with the library's short cut",
    "PyTorch, plain, one row": "PyTorch, layer by layer at every point",
}
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def dots(result: Any, rounds: int) -> plots.Figure:
    """On a common logarithmic axis of ratios, with a diamond where a ratio was asked for."""
    figure, axes = plots.new_figure(12, 1.8 + 0.4 * sum(len(work.ways) for work in result.works))
    axis, names, headings = axes[0, 0], [], []
    for work in result.works:
        headings.append(len(names))
        names.append(f"{work.name}: {1000 * np.median(work.seconds[0]):,.0f} ms")
        for way in range(1, len(work.ways)):
            draw(axis, len(names), work, way)
            names.append(PLAINLY.get(work.ways[way], work.ways[way]))
        names += work.missing
    axis.set_yticks(range(len(names)), names)
    for row in headings:
        axis.get_yticklabels()[row].set_fontweight("bold")
    axis.axvline(1, color=plots.COLOURS[0])
    plots.panel(axis, x="times as long as the library, in the same round", log_x=TICKS, ylim=(len(names) - 0.3, -0.5))
    axis.margins(x=0.15)
    others = [
        (ratio, PLAINLY.get(way, way), work.name)
        for work in result.works
        for way, ratio in zip(work.ways, work.ratios, strict=True)
        if who(way) not in (who(work.ways[0]), who(works.BOUND))
    ]
    (least, quickest, at), (most, slowest, where) = min(others), max(others)
    return plots.headline(
        figure,
        f"The others take from {least:.1f} times the library's time ({at}; {quickest}) to {most:.1f} times ({where}; "
        f"{slowest})",
        f"{result.device}, float32; {'; '.join(result.peers)}\nin bold the library's own time; contestants in turn, "
        f"compilation left out; dots: median of {rounds} rounds, lines: their range; diamonds: asked for beforehand",
    )


def who(way: str) -> str:
    """Who takes that way, "who: how"; the first way of every work is the library's.

    >>> who("the library: one device")
    'the library'
    """
    return way.partition(": ")[0]


def draw(axis: plots.Axes, row: int, work: Any, way: int) -> None:
    times, ratio, mark = work.seconds[way] / work.seconds[0], work.ratios[way], ASKED.get((work.name, work.ways[way]))
    colour = {who(work.ways[0]): plots.COLOURS[0], who(works.BOUND): "0.55"}.get(who(work.ways[way]), plots.COLOURS[6])
    axis.plot([times.min(), times.max()], [row, row], color=colour, linewidth=1.5)
    axis.plot(ratio, row, "o", color=colour, markersize=9)
    if mark:
        axis.plot(mark, row, "D", color=plots.COLOURS[1], markeredgecolor="black")
        side = "left" if mark > max(ratio, 1) else "right"
        plots.note(axis, f"{round(mark, 2):g} asked", (mark, row), (0, 3), series=1, ha=side)
    plots.note(axis, f"{ratio:.1f}", (ratio, row), (0, -6), ha="center")
