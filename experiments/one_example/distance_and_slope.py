"""Is an output nudged in proportion to its distance from its target?

The film says so. With the film's cost the nudge of the activation is 2 (y - a), exactly; what reaches bias and weights
is that times the slope of the sigmoid, 2 (y - a) a (1 - a), which is never more than 8/27 and nothing where the neuron
is saturated, however wrong. With cross-entropy of the weighted sums it is y - a again (Nielsen, chapter 3). Looked at
on two digits of each class in untrained networks with weights from N(0, 1), where many outputs are saturated; cost and
output activation of the settings change nothing here.

Run:     python -m experiments distance_and_slope [--quick | --full]
Time:    default 4 s, --quick 4 s, --full 3 s on 2 cores, compilation included
Result:  nudges are exactly 2 (y - a), but the most wrong of 2,000 outputs, 0.9999 away from its target, is pulled with
         0.0003 only (20 digits, 10 seeds).
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from experiments.common import descents, experiment, plots, runs, wishes
from experiments.common.claims import Claims, at_most, identity
from experiments.common.problem import Problem, plain_layers
from research import costs, data
from research.backprop import Functions
from research.data import Examples
from research.models import Layer

DIGITS = 20  # two of each class


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """None of their own."""


QUICK = Settings(num_seeds=2)
FULL = Settings(num_seeds=10)


class Result(NamedTuple):
    distance: Float[np.ndarray, "seeds digits classes"]  # y - a
    nudge: Float[np.ndarray, "seeds digits classes"]  # quadratic cost: of the activation
    pull: Float[np.ndarray, "seeds digits classes"]  # quadratic cost: of the weighted sum, hence of bias and weights
    cross_entropy_pull: Float[np.ndarray, "seeds digits classes"]


def distances(activation: Callable, params: list[Layer], example: Examples) -> tuple[Any, ...]:
    """The outputs of one example in a network with sigmoid outputs, asked by both costs; in the order of `Result`."""
    *_, quadratic = wishes.tell(Functions(costs.sum_of_squares, activation, jax.nn.sigmoid), params, example)[1]
    *_, logistic = wishes.tell(Functions(costs.sigmoid_cross_entropy, activation, jax.nn.identity), params, example)[1]
    return example.targets - quadratic.activations, quadratic.nudges, quadratic.pulls, logistic.pulls


def measure(problem: Problem, settings: Settings) -> Result:
    activation, _ = plain_layers(problem, "the outputs are followed by hand")
    rows = wishes.few_of_each(np.argmax(np.asarray(problem.train.targets), axis=1), DIGITS)
    digits = jax.device_get(data.take(problem.train, rows))
    starts = descents.starts(problem, runs.seed_keys(settings.seed, settings.num_seeds)[0])
    saturated = [Layer(layer.weights * layer.weights.shape[-1] ** 0.5, layer.biases) for layer in starts]
    look = runs.over_seeds(jax.vmap(partial(distances, activation), (None, 0)), (0, None))
    return Result(*look(saturated, digits))


def claims(result: Result, settings: Settings) -> Claims:
    yield identity("T17", "no weighted sum is pulled harder than 8/27, however far from its target",
                   np.max(np.abs(result.pull)), at_most(8 / 27 + 1e-6),
                   "largest |pull|", "the maximum of 2 d^2 (1 - d), at d = 2/3")  # fmt: skip
    yield identity("T17", "with cross-entropy the pull is the distance itself",
                   np.max(np.abs(result.cross_entropy_pull - result.distance)), at_most(1e-6),
                   "largest difference", "Nielsen, chapter 3: delta = a - y")  # fmt: skip


def most_wrong(result: Result) -> tuple[float, float]:
    """(distance, pull) of the output that is farthest from its target."""
    far = int(np.argmax(np.abs(result.distance)))
    return float(result.distance.ravel()[far]), float(result.pull.ravel()[far])


def finding(result: Result, settings: Settings) -> str:
    distance, pull = most_wrong(result)
    return (
        f"Of {result.distance.size:,} outputs the most wrong is {abs(distance):.4f} away from its target, yet bias and "
        f"weights are pulled with {abs(pull):.4f} only; with cross-entropy the pull is the distance."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, (panels,) = plots.new_figure(15, 5.8, columns=3, sharex=True)
    line, distance = np.linspace(-1, 1, 201), result.distance
    for axes, title, ylabel, theory, wanted in zip(
        panels,
        ("The nudge of the activation:\nproportional, exactly 2 (y - a)",
         "What reaches bias and weights: x slope of the sigmoid\nnot proportional, and nothing when saturated",
         "With cross-entropy instead:\nproportional again, exactly y - a"),
        ("-dC/da", *["-dC/dz: the nudge of the bias"] * 2),
        (2 * line, 2 * line * np.abs(line) * (1 - np.abs(line)), line),
        result[1:], strict=True,
    ):  # fmt: skip
        axes.plot(line, theory, color="0.5", linewidth=1.5)
        for marker, colour, chosen in ("^", plots.COLOURS[0], distance > 0), ("v", plots.COLOURS[1], distance <= 0):
            axes.scatter(distance[chosen], wanted[chosen], marker=marker, color=colour, s=18, alpha=0.5)
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set(title=title, xlabel="distance from the target, y - a", ylabel=ylabel, xticks=(-1, -0.5, 0, 0.5, 1))
    plots.note(panels[0], "outputs that\nshould rise", (0.5, 1), (10, -10), va="top", color=plots.COLOURS[0])
    plots.note(panels[0], "that should fall", (-0.5, -1), (-10, 10), ha="right", color=plots.COLOURS[1])
    away, pull = most_wrong(result)
    panels[1].annotate(f"the most wrong output: {abs(away):.4f} away,\nyet its pull is only {abs(pull):.4f}",
                       (away, pull), (0.03, 0.93), textcoords="axes fraction", va="top", fontsize=9.5,
                       arrowprops={"arrowstyle": "->", "color": "0.3"})  # fmt: skip
    says = "'In proportion' is exact for the activation's nudge; a saturated neuron, however wrong, hardly moves"
    foot = f"every output for {distance.shape[1]} digits, untrained, weights from N(0, 1); lines: theory"
    return {"distance_and_slope": plots.headline(figure, says, foot)}
