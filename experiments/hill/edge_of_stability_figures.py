"""Sharpness in units of 2/eta along descents: by full batch, by mini-batches, and of the network of the settings."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from experiments.common.valleys import Curve, last_third


def figure(result: Any, settings: Any) -> Figure:
    whole, ((careful, drunk, network),) = plots.new_figure(17, 6.4, columns=3, sharex=True)
    rate, name = settings.learning_rates[1], name_of_network(settings)
    for series, curve in enumerate(result.full_batch):
        draw(careful, curve, series, f"η = {curve.learning_rate:g}")
    draw(drunk, result.full_batch[1], 1, "full batch")
    for series, (size, curve) in enumerate(zip(settings.batch_sizes, result.minibatch, strict=True), 3):
        draw(drunk, curve, series, f"batches of {size}")
        along = np.median(result.batch_sharpness[series - 3], axis=0) * rate / 2
        drunk.plot(curve.steps, along, "x", color=plots.COLOURS[series % len(plots.COLOURS)], markersize=5,
                   label=f"batch sharpness, batches of {size}")  # fmt: skip
    for series, curve in enumerate(result.network, 5):
        draw(network, curve, series, f"η = {curve.learning_rate:g}")
    careful.set_title("tanh, linear outputs, full batch: it rises to 2/η")
    drunk.set_title(f"The same with mini-batches, η = {rate:g}: it is flatter there")
    network.set_title(f"{name[0].upper()}{name[1:]}, full batch")
    for axis in (careful, drunk, network):
        plots.reference_line(axis, 1, "")
        axis.set(xlabel="steps", ylabel="sharpness, in units of 2/η", ylim=(0, 1.4 * axis.get_ylim()[1]))
        axis.legend(loc="upper right", fontsize=9)
    stays = all(abs(ending(curve) - 1) < 0.1 for curve in result.full_batch[1:])
    ends = "flattens out again" if max(map(ending, result.network)) < 0.9 else "ends near it or above"
    says = f"tanh: the valley steepens to what the careful man's step allows, 2/η, {'and stays' if stays else 'nearly'}"
    foot = (
        "sharpness: largest eigenvalue of the Hessian, median and range; above 2/η descent on a parabola diverges\n"
        "ends: mean of the last third, cost at the end; tanh: 16 and 16 hidden neurons"
    )
    return plots.headline(whole, f"{says}; {name} {ends}", foot)


def draw(axis: Axes, curve: Curve, series: int, name: str) -> None:
    label = f"{name}: ends at {ending(curve):.2f}, cost {np.median(curve.cost[:, -1]):.3f}"
    plots.seed_band(axis, curve.steps, curve.of_edge, series, label)


def ending(curve: Curve) -> float:
    """Median over seeds of the mean over the last third of the points, in units of 2/eta."""
    return float(np.median(last_third(curve.of_edge)))


def name_of_network(settings: Any) -> str:
    return "the film's network" if settings.is_the_films else "your network or cost"
