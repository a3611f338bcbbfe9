"""Sharpness in units of 2/eta along descents: by full batch, by mini-batches, and of the network of the settings."""

from typing import Any

import numpy as np

from experiments.common import plots
from experiments.common.valleys import Curve, last_third

REACHED = 0.9  # of 2/eta: it has come there


def figure(result: Any, settings: Any) -> plots.Figure:
    whole, ((careful, drunk, edge),) = plots.new_figure(17, 6, columns=3)
    name, smallest = name_of_network(settings), settings.batch_sizes[-1]
    for series, curve in enumerate(result.full_batch):
        draw(careful, curve, series, f"η = {curve.learning_rate:g}")
    for series, curve in enumerate(result.network, 5):
        draw(careful, curve, series, f"{name},\nη = {curve.learning_rate:g}")
    draw(drunk, result.full_batch[1], 1, "full batch")
    for series, (size, curve) in enumerate(zip(settings.batch_sizes, result.minibatch, strict=True), 3):
        draw(drunk, curve, series, f"batches of {size}")
    for series, (curve, along) in enumerate(zip(result.edge, result.batch_sharpness, strict=True), 2):
        of_edge = along * curve.learning_rate / 2
        label = f"batch sharpness,\nη = {curve.learning_rate:g}: {np.median(last_third(of_edge)):.2f}"
        plots.seed_band(edge, curve.steps, of_edge, series, label)
    draw(edge, result.edge[-1], 5, f"sharpness,\nη = {result.edge[-1].learning_rate:g}")
    careful.set_title("Full batch, tanh: the sharpness rises to 2/η")
    drunk.set_title(f"With mini-batches, η = {settings.learning_rates[1]:g}, it is lower")
    edge.set_title(f"Batches of {smallest}: the batch sharpness, each\nbatch's curvature along its own gradient")
    for axis in (careful, drunk, edge):
        plots.reference_line(axis, 1, "")
        axis.set(xlabel="steps", ylabel="sharpness, in units of 2/η", ylim=(0, axis.get_ylim()[1]))
        axis.locator_params(axis="x", nbins=4)
    level = np.median(last_third(result.batch_sharpness[-1])) * result.edge[-1].learning_rate / 2
    rates = [f"{curve.learning_rate:g}" for curve in result.full_batch if ending(curve) > REACHED]
    reached = f" (tanh, η = {' and '.join(rates)})" if rates else ""
    says = (
        f"The careful man's sharpness comes to what his step allows, 2/η{reached}; the drunk man's stays below, his "
        f"batch sharpness comes to {level:.2f} of it at η = {result.edge[-1].learning_rate:g}"
    )
    foot = (
        "sharpness: largest eigenvalue of the Hessian, median and range; above 2/η descent on a parabola diverges; "
        "tanh: 16 and 16 hidden neurons, linear outputs; in the names: mean of the last third"
    )
    return plots.headline(whole, says, foot)


def draw(axis: plots.Axes, curve: Curve, series: int, name: str) -> None:
    plots.seed_band(axis, curve.steps, curve.of_edge, series, f"{name}: {ending(curve):.2f}")


def ending(curve: Curve) -> float:
    """Median over seeds of the mean over the last third of the points, in units of 2/eta."""
    return float(np.median(last_third(curve.of_edge)))


def name_of_network(settings: Any) -> str:
    return "the film's network" if settings.is_the_films else "your network or cost"
