"""Sharpness beside 2/eta, and cost: full batch against time, mini-batches and the network of the settings by steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from experiments.common.valleys import Curve, last_third

Curves = Sequence[Curve]
TICKS = [digit * 10.0**power for power in range(-6, 4) for digit in (1, 2, 5)]  # of costs


def figure(result: Any, settings: Any, peaks: Sequence[np.ndarray]) -> Figure:
    """Sharpness above, cost below; `peaks` (seeds) of the network at each of its rates, in units of 2/eta."""
    whole, axes = plots.new_figure(17, 9.5, rows=2, columns=3, sharex="col")
    careful, drunk, network = axes.T
    name = name_of_network(settings)
    draw_full_batch(careful, result.full_batch)
    draw_minibatch(drunk, result, settings.batch_sizes)
    draw_network(network, result.network, name, peaks)
    for above, below in axes.T:
        above.set_ylim(bottom=0)
        below.set_yscale("log")
        plots.plain_log_ticks(below.yaxis, TICKS)
        below.set_ylabel("cost, on the images descended on")
        above.set_ylabel("sharpness: largest eigenvalue of the Hessian")
    plots.headline(whole, headline(result, name))
    plots.note(
        whole, "left and middle: tanh, 16 and 16 hidden neurons, linear outputs; median and range; below 2/η descent "
        "is stable",
    )  # fmt: skip
    return whole


def ending(curve: Curve) -> float:
    """Median over seeds of the mean over the last third of the points, in units of 2/eta."""
    return float(np.median(last_third(curve.of_edge)))


def name_of_network(settings: Any) -> str:
    """Of the network of the settings."""
    return "the film's network" if settings.is_the_films else "your network or cost"


def headline(result: Any, name: str) -> str:
    """Whether tanh with linear outputs hovers at 2/eta, and the network of the settings."""
    stays = all(abs(ending(curve) - 1) < 0.1 for curve in result.full_batch[1:])
    hovers = "and stays there" if stays else "or not quite"
    ends = "flattens out again" if max(map(ending, result.network)) < 0.9 else "ends near it or above"
    return f"tanh: the valley steepens to what the careful man's step allows, 2/η, {hovers}; {name} {ends}"


def draw_edge(axes: Axes, rate: float, colour: str, end: str) -> None:
    """The line 2/eta, with its value just above its left or right end."""
    axes.axhline(2 / rate, color=colour, linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(
        f"2/η = {2 / rate:.3g}", (end == "right", 2 / rate), xycoords=("axes fraction", "data"),
        xytext=(-4 if end == "right" else 4, 3), textcoords="offset points", ha=end, va="bottom", fontsize=10,
        color=colour,
    )  # fmt: skip


def draw_full_batch(axes: np.ndarray, curves: Curves) -> None:
    """tanh, full batch, every learning rate, against the time that has passed."""
    above, below = axes
    highest, ends = max(curve.sharpness.max() for curve in curves), []
    for index, curve in enumerate(curves):
        rate = curve.learning_rate
        within = 2 / rate < highest
        label = f"η = {rate:g}" if within else f"η = {rate:g} (2/η = {2 / rate:g}, off the axis)"
        for axis, values in ((above, curve.sharpness), (below, curve.cost)):
            plots.seed_band(axis, rate * curve.steps, values, index, label)
            if not within:  # it never leaves the way of the larger rates, which are drawn on it
                axis.lines[-1].set(linewidth=6, alpha=0.5, linestyle="-")
        if within:
            draw_edge(above, rate, plots.COLOURS[index % len(plots.COLOURS)], "left")
            ends.append(f"{ending(curve):.2f}")
    above.set_title(
        f"tanh, linear outputs, full batch: the sharpness rises\nand ends at {' and '.join(ends)} of 2/η"
        if ends else "tanh, linear outputs, full batch"
    )  # fmt: skip
    above.set_ylim(top=1.4 * highest)
    above.legend(loc="upper right", fontsize=9)
    rising = 100 * np.mean(np.diff(curves[-1].cost, axis=1) > 0)
    below.set_title(f"The cost falls, at η = {curves[-1].learning_rate:g} with rises in {rising:.0f} % of the looks")
    below.set_xlabel("time: η * steps")


def draw_minibatch(axes: np.ndarray, result: Any, batch_sizes: Sequence[int]) -> None:
    """tanh, mini-batches beside the full batch at the same learning rate, step for step."""
    above, below = axes
    curves = [result.full_batch[1], *result.minibatch]
    labels = ["full batch", *(f"batches of {size}" for size in batch_sizes)]
    looks = [1, *(3 + index for index in range(len(batch_sizes)))]  # the full batch as its rate looks on the left
    for index, (label, series, curve) in enumerate(zip(labels, looks, curves, strict=True)):
        plots.seed_band(above, curve.steps, curve.sharpness, series, label)
        plots.seed_band(below, curve.steps, curve.cost, series, label)
        if index > 0:
            middle = np.median(result.batch_sharpness[index - 1], axis=0)
            above.plot(curve.steps, middle, "x", color=plots.COLOURS[series % len(plots.COLOURS)], markersize=5,
                       label=f"batch sharpness, {label[8:]}")  # fmt: skip
    rate = curves[0].learning_rate
    draw_edge(above, rate, plots.COLOURS[1], "left")
    levels = [f"{label.replace('batches of', 'of')} {ending(curve):.2f}"
              for label, curve in zip(labels, curves, strict=True)]  # fmt: skip
    above.set_title(f"Mini-batches walk where it is flatter, η = {rate:g}:\n{', '.join(levels)} of 2/η")
    above.set_ylim(top=1.45 * max(curve.sharpness.max() for curve in curves))
    above.legend(loc="upper left", fontsize=9, ncols=2)
    ends = [f"{np.median(curve.cost[:, -1]):.3f}" for curve in curves]
    below.set_title(f"Their costs at the end: {', '.join(ends)}")
    below.set_xlabel("steps")


def draw_network(axes: np.ndarray, curves: Curves, name: str, peaks: Sequence[np.ndarray]) -> None:
    """The network and cost of the settings, full batch, step for step."""
    above, below = axes
    for index, curve in enumerate(curves):
        series, label = index + 5, f"η = {curve.learning_rate:g}"
        plots.seed_band(above, curve.steps, curve.sharpness, series, label)
        plots.seed_band(below, curve.steps, curve.cost, series, label)
        draw_edge(above, curve.learning_rate, plots.COLOURS[series % len(plots.COLOURS)], "right")
    starts, ends = ([curve.of_edge[:, at] for curve in curves] for at in (0, -1))
    start, top, end = (" and ".join(f"{np.median(each):.2f}" for each in values) for values in (starts, peaks, ends))
    rises = "" if "nan" in top else f", falls,\nrises again to {top}"
    above.set_title(f"{name[0].upper()}{name[1:]} starts at {start} of 2/η{rises} and ends at {end}", fontsize=11)
    lowest_rate = min(curve.learning_rate for curve in curves)
    above.set_ylim(top=1.3 * max(2 / lowest_rate, *(curve.sharpness.max() for curve in curves)))
    above.legend(loc="upper right", ncols=len(curves))
    last = [f"{np.median(curve.cost[:, -1]):.3f}" for curve in curves]
    below.set_title(f"Its cost at the end: {' and '.join(last)}")
    below.set_xlabel("steps")
