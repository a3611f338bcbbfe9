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


def figure(result: Any, settings: Any, courses: Sequence[str]) -> Figure:
    """Sharpness above, cost below; `courses` says how the network's goes at each of its rates."""
    whole, axes = plots.new_figure(17, 9.5, rows=2, columns=3, sharex="col")
    careful, drunk, network = axes.T
    name = name_of_network(settings)
    draw_full_batch(careful, result.full_batch)
    draw_minibatch(drunk, result, settings.batch_sizes)
    draw_network(network, result.network, courses)
    network[0].set_title(f"{name[0].upper()}{name[1:]}, in units of 2/η: it\n{network[0].get_title()}", fontsize=11)
    for above, below in axes.T:
        above.set_ylabel("sharpness: largest eigenvalue of the Hessian")
        below.set(yscale="log", ylabel="cost, on the images descended on")
        plots.plain_log_ticks(below.yaxis, TICKS)
    stays = all(abs(ending(curve) - 1) < 0.1 for curve in result.full_batch[1:])
    hovers = "and stays there" if stays else "or not quite"
    ends = "flattens out again" if max(map(ending, result.network)) < 0.9 else "ends near it or above"
    careful_man = f"tanh: the valley steepens to what the careful man's step allows, 2/η, {hovers}"
    foot = "left, middle: tanh, 16 and 16 hidden neurons, linear outputs; median and range; below 2/η descent is stable"
    return plots.headline(whole, f"{careful_man}; {name} {ends}", foot)


def ending(curve: Curve) -> float:
    """Median over seeds of the mean over the last third of the points, in units of 2/eta."""
    return float(np.median(last_third(curve.of_edge)))


def name_of_network(settings: Any) -> str:
    return "the film's network" if settings.is_the_films else "your network or cost"


def colour_of(series: int) -> str:
    return plots.COLOURS[series % len(plots.COLOURS)]


def draw_edge(axes: Axes, rate: float, colour: str, end: str) -> None:
    """The line 2/eta, with its value just above its left or right end."""
    axes.axhline(2 / rate, color=colour, linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(
        f"2/η = {2 / rate:.3g}", (end == "right", 2 / rate), xycoords=("axes fraction", "data"),
        xytext=(-4 if end == "right" else 4, 3), textcoords="offset points", ha=end, va="bottom", fontsize=10,
        color=colour,
    )  # fmt: skip


def draw_curve(axes: np.ndarray, x: np.ndarray, curve: Curve, series: int, label: str) -> None:
    for axis, values in zip(axes, (curve.sharpness, curve.cost), strict=True):
        plots.seed_band(axis, x, values, series, label)


def costs_at_end(curves: Curves) -> list[str]:
    return [f"{np.median(curve.cost[:, -1]):.3f}" for curve in curves]


def draw_full_batch(axes: np.ndarray, curves: Curves) -> None:
    above, below = axes
    highest, ends = max(curve.sharpness.max() for curve in curves), []
    for index, curve in enumerate(curves):
        rate = curve.learning_rate
        if 2 / rate < highest:
            draw_curve(axes, rate * curve.steps, curve, index, f"η = {rate:g}")
            draw_edge(above, rate, colour_of(index), "left")
            ends.append(f"{ending(curve):.2f}")
        else:  # it never leaves the way of the larger rates, which are drawn on it
            draw_curve(axes, rate * curve.steps, curve, index, f"η = {rate:g} (2/η = {2 / rate:g}, off the axis)")
            for axis in axes:
                axis.lines[-1].set(linewidth=6, alpha=0.5, linestyle="-")
    title = "tanh, linear outputs, full batch"
    reached = f": the sharpness rises\nand ends at {' and '.join(ends)} of 2/η" if ends else ""
    above.set(title=title + reached, ylim=(0, 1.4 * highest))
    above.legend(loc="upper right", fontsize=9)
    rising = 100 * np.mean(np.diff(curves[-1].cost, axis=1) > 0)
    below.set(title=f"The cost falls, at η = {curves[-1].learning_rate:g} with rises in {rising:.0f} % of the looks",
              xlabel="time: η * steps")  # fmt: skip


def draw_minibatch(axes: np.ndarray, result: Any, batch_sizes: Sequence[int]) -> None:
    above, below = axes
    curves = [result.full_batch[1], *result.minibatch]
    draw_curve(axes, curves[0].steps, curves[0], 1, "full batch")  # as its rate looks on the left
    for series, (size, curve) in enumerate(zip(batch_sizes, result.minibatch, strict=True), 3):
        draw_curve(axes, curve.steps, curve, series, f"batches of {size}")
        above.plot(curve.steps, np.median(result.batch_sharpness[series - 3], axis=0), "x", color=colour_of(series),
                   markersize=5, label=f"batch sharpness, of {size}")  # fmt: skip
    rate = curves[0].learning_rate
    draw_edge(above, rate, plots.COLOURS[1], "left")
    names = ["full batch", *(f"of {size}" for size in batch_sizes)]
    levels = [f"{name} {ending(curve):.2f}" for name, curve in zip(names, curves, strict=True)]
    above.set(title=f"Mini-batches walk where it is flatter, η = {rate:g}:\n{', '.join(levels)} of 2/η",
              ylim=(0, 1.45 * max(curve.sharpness.max() for curve in curves)))  # fmt: skip
    above.legend(loc="upper left", fontsize=9, ncols=2)
    below.set(title=f"Their costs at the end: {', '.join(costs_at_end(curves))}", xlabel="steps")


def draw_network(axes: np.ndarray, curves: Curves, courses: Sequence[str]) -> None:
    above, below = axes
    for series, curve in enumerate(curves, 5):
        draw_curve(axes, curve.steps, curve, series, f"η = {curve.learning_rate:g}")
        draw_edge(above, curve.learning_rate, colour_of(series), "right")
    highest = max(max(2 / curve.learning_rate, curve.sharpness.max()) for curve in curves)
    said = [f"{course} (η = {curve.learning_rate:g})" for curve, course in zip(curves, courses, strict=True)]
    above.set(title=";\n".join(said), ylim=(0, 1.3 * highest))
    above.legend(loc="upper right", ncols=len(curves))
    below.set(title=f"Its cost at the end: {' and '.join(costs_at_end(curves))}", xlabel="steps")
