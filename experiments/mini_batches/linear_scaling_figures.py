"""How far apart k steps and one end, and the cost that they come to."""

from typing import Any

import numpy as np

from experiments.common import plots


def steps(result: Any, x: np.ndarray, settings: Any, headline: str) -> plots.Figure:
    """Left the distance between k steps and one, all on one line; right the cost that they come to."""
    figure, axes = plots.new_figure(15, 6, columns=3)
    draw_distance(axes[0, 0], result, x, settings.num_batches)
    largest = int(np.argmax(settings.num_batches))
    for axis, (place, locals_) in zip(axes[0, 1:], result.places.items(), strict=True):
        draw_cost(axis, locals_[largest], x, settings.num_batches[largest])
        axis.set_title(f"What they come to, {place}")
    for axis in axes[0]:
        plots.limit_line(axis, 2, "k η = 2/λ")
        axis.set(xscale="log", xlabel="k η λ", ylim=(None, 1.25 * axis.get_ylim()[1]))
    foot = f"medians and ranges; λ: sharpness of the cost of the k B examples, B = {settings.batch_size}"
    return plots.headline(figure, headline, foot)


def in_units_of_theory(local: Any, num_batches: int) -> np.ndarray:
    """The distance, median over seeds, in units in which the theory is x^2."""
    return np.median(local.distance * ((num_batches * local.sharpness) ** 2 / local.theory)[:, None], axis=0)


def off_theory(result: Any, x: np.ndarray, numbers: tuple[int, ...], near: float) -> tuple[float, float]:
    """(x, the largest share of all places and k by which the median distance is off the second order), at the x that is
    nearest to this."""
    at = int(np.abs(np.log(x / near)).argmin())
    pairs = [pair for locals_ in result.places.values() for pair in zip(locals_, numbers, strict=True)]
    return x[at], max(float(abs(in_units_of_theory(*pair)[at] / x[at] ** 2 - 1)) for pair in pairs)


def draw_distance(axis: plots.Axes, result: Any, x: np.ndarray, numbers: tuple[int, ...]) -> None:
    """Every place and k on theory's line; a place fills its marks or not, a k has a shape and a colour."""
    axis.plot(x, x**2, color="0.2", linewidth=1.2)
    for fill, locals_ in zip(("full", "none"), result.places.values(), strict=True):
        for series, (number, local) in enumerate(zip(numbers, locals_, strict=True)):
            style: Any = {"color": plots.COLOURS[series % 7], "marker": plots.MARKERS[series % 6], "fillstyle": fill}
            axis.plot(x, in_units_of_theory(local, number), linestyle="", markersize=6, **style)
    for series, number in enumerate(numbers):
        plots.note(axis, f"{plots.SIGNS[series % 6]} k = {number}", (0.03, 0.95), (0, -14 * series),
                   plots.IN_PANEL, color=plots.COLOURS[series % 7])  # fmt: skip
    plots.note(axis, "line: theory, η² |Σⱼ Hⱼ Σ$_{i<j}$ gᵢ|\n" + "\n".join(
        f"{word}: {place}" for word, place in zip(("filled", "open"), result.places, strict=True)), (0.03, 0.95),
        (0, -14 * len(numbers)), plots.IN_PANEL, va="top")  # fmt: skip
    axis.set(yscale="log", title="How far apart they end")
    axis.set_ylabel("distance between the ends, in units of |Σⱼ Hⱼ Σ$_{i<j}$ gᵢ| / (k λ)²")


def draw_cost(axis: plots.Axes, local: Any, x: np.ndarray, num_batches: int) -> None:
    shown = x >= 0.03
    costs = {f"after {num_batches}\nsteps, η": local.after_many, f"after one,\n{num_batches} η": local.after_one}
    for series, (label, cost) in enumerate(costs.items()):
        plots.seed_band(axis, x[shown], (cost / local.start[:, None])[:, shown], series, label)
    plots.reference_line(axis, 1, "before")
    plots.panel(axis, y="cost of the k B examples, over that before", log_y=(0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10))
