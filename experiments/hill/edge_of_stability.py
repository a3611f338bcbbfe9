"""How steep is the valley that full-batch and mini-batch descent walk in, beside 2 over the learning rate?

Gradient descent on a parabola diverges exactly where the curvature is above 2/eta, eta the learning rate (parabola).
Here the sharpness, the largest eigenvalue of the cost's Hessian, is followed along descents on a few hundred images:
of a network that is known for it (Cohen et al., arXiv:2103.00065: tanh, linear outputs, half the sum of squares), by
full batch and by mini-batches; and of the film's network and cost, or yours (--cost, --activation, --model, ...), whose
sigmoids flatten where they come near their targets. What mini-batches bring to 2/eta is said to be not the sharpness,
but the batch sharpness, how much each batch's cost curves along its own gradient (arXiv:2412.20553): it is followed at
larger rates, at which it can get there, until it stops growing.

Run:     python -m experiments edge_of_stability [--quick | --full]
Time:    default 60 s, --quick 15 s, --full 2.5 min, on 2 cores, compilation included
Result:  (10 seeds) full batch, at eta 0.2 and 0.4: the sharpness is 0.97 to 1.04 of 2/eta, with batches lower; the
         film's network 0.05 to 0.09 (last thirds). One claim fails: the batch sharpness rests at 0.87 at eta 0.6.
"""

import dataclasses
import math
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, MinLen
from jaxtyping import Float

from experiments.common import descents, experiment, plots, runs, valleys
from experiments.common.bounds import below_train, falling, of_train, require, rising
from experiments.common.claims import Claims, about, identity, prediction, within
from experiments.common.problem import Problem
from experiments.common.valleys import Curve, growth, last_third
from experiments.hill import edge_of_stability_figures as drawn

STOPPED = 0.05  # growth while the steps double for the last time; half of what is allowed to either side of 2/eta
COHEN = "Cohen et al. arXiv:2103.00065"


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_examples: Annotated[int | None, Ge(2), of_train] = 500
    """How many training images the cost is the mean over, from the first on."""
    learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(3), rising] = (0.1, 0.2, 0.4)
    """Of full-batch descent with tanh: the first two are compared at equal times; all but the first reach the edge."""
    num_steps: Annotated[int, Ge(1)] = 2000
    """Steps of every descent, a multiple of --num-looks."""
    batch_sizes: Annotated[tuple[int, ...], Ge(1), below_train, MinLen(1), falling] = (50, 10)
    """Mini-batch sizes, each at the second learning rate."""
    edge_learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1), rising] = (0.6, 0.8)
    """Of mini-batches of the smallest size, followed until their batch sharpness stops growing."""
    num_edge_steps: Annotated[int, Ge(1)] = 8000
    """Steps of these, a multiple of --num-looks."""
    network_learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1)] = (2.0, 4.0)
    """Of full-batch descent with the network and cost of --layer-sizes, --activation, --model, --cost, ..."""
    num_looks: Annotated[int, Ge(5)] = 40
    """At how many points of each path the sharpness is measured, besides the start."""

    def check(self) -> None:
        for flag, steps in (("--num-steps", self.num_steps), ("--num-edge-steps", self.num_edge_steps)):
            said = f"{flag} is {steps}; it must be a multiple of --num-looks, {self.num_looks}"
            require(steps % self.num_looks == 0, said)


QUICK = Settings(
    num_seeds=2, num_examples=300, learning_rates=(0.2, 0.3, 0.4), num_steps=500, batch_sizes=(10,),
    edge_learning_rates=(0.8,), num_edge_steps=500, network_learning_rates=(4.0,), num_looks=10,
)  # fmt: skip
FULL = Settings(num_seeds=10, num_edge_steps=32_000)


class Result(NamedTuple):
    full_batch: tuple[Curve, ...]  # tanh with linear outputs, one for every learning rate
    minibatch: tuple[Curve, ...]  # one for every batch size, falling
    edge: tuple[Curve, ...]  # of the smallest batches, one for every one of its learning rates
    batch_sharpness: Float[np.ndarray, "rates seeds points"]  # of these
    network: tuple[Curve, ...]  # that of the settings by full batch, one for every one of its learning rates


def measure(problem: Problem, settings: Settings) -> Result:
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    tanh, own = (valleys.network_of(each, init_keys) for each in (valleys.tanh_problem(problem), problem))
    num_examples, rates, smallest = len(problem.train.inputs), settings.learning_rates, settings.batch_sizes[-1]
    num_steps, long, looks = settings.num_steps, settings.num_edge_steps, settings.num_looks
    needed = [(num_steps, settings.batch_sizes[0]), (long, smallest)]
    num_epochs = max(math.ceil(steps / (num_examples // size)) for steps, size in needed)
    order = descents.shuffles(shuffle_keys, num_examples, num_epochs + 1)  # the last is only looked at
    minibatch = [valleys.by_minibatch(tanh, rates[1], size, order, num_steps, looks) for size in settings.batch_sizes]
    edge = [valleys.by_minibatch(tanh, rate, smallest, order, long, looks) for rate in settings.edge_learning_rates]
    network = valleys.by_full_batch(own, settings.network_learning_rates, num_steps, looks)
    if any((curve.sharpness[:, -1] == 0).any() for curve in network):  # where no example has a gradient
        raise runs.Stuck(settings.num_steps)
    return Result(
        full_batch=valleys.by_full_batch(tanh, rates, num_steps, looks),
        minibatch=tuple(curve for curve, _ in minibatch),
        edge=tuple(curve for curve, _ in edge),
        batch_sharpness=np.stack([along for _, along in edge]),
        network=network,
    )


def claims(result: Result, settings: Settings) -> Claims:
    if settings.dataset == Settings.dataset:
        yield from tanh_claims(result, settings)
        yield from edge_claims(result, settings)
    if settings.is_the_films:
        hovering = [last_third(curve.of_edge) for curve in result.network]
        yield prediction("E11", "the film's network does not hover: its sharpness ends below 2/eta (mean of the last "
                         "third)", np.max(hovering), within(0, 0.9), "of 2/eta, largest",
                         "sigmoids flatten near their targets; seen on sklearn's digits before")  # fmt: skip


def tanh_claims(result: Result, settings: Settings) -> Claims:
    full_batch, minibatch = result.full_batch, result.minibatch
    hovering = np.array([last_third(curve.of_edge) for curve in full_batch[1:]])
    levels = np.array([last_third(curve.sharpness) for curve in (full_batch[1], *minibatch)])
    slow, fast = settings.learning_rates[:2]
    yield prediction("E11", "tanh, linear outputs: the sharpness hovers at 2/eta (mean of the last third of the path)",
                     100 * np.max(np.abs(hovering - 1)), within(0, 10, 0), "% away from 2/eta, largest",
                     COHEN)  # fmt: skip
    yield prediction("E11", f"before the edge, rates {slow:g} and {fast:g} are as sharp after equal times eta * steps",
                     100 * np.max(valleys.apart_before_the_edge(*full_batch[:2])), within(0, 1, 0),
                     "% apart, largest", f"both follow gradient flow; {COHEN}")  # fmt: skip
    yield prediction("E11", "at one rate and after equal steps: the smaller the batch, the less sharp",
                     np.max(levels[1:] / levels[:-1]), within(0, 1),
                     "sharpness over that of the next larger batch, largest", COHEN)  # fmt: skip
    at_equal_cost = [valleys.ratio_at_equal_cost(curve, full_batch[1]) for curve in minibatch]
    yield prediction("E11", "mini-batches are less sharp than the full batch at equal cost too", np.max(at_equal_cost),
                     within(0, 1), "sharpness over the full batch's, largest", COHEN)  # fmt: skip
    residual = max(np.max(curve.residual) for curve in (*full_batch, *minibatch, *result.edge))
    yield identity("E11", "the iteration has come to an eigenvalue: |Hv - lambda v| is small beside lambda",
                   100 * residual, within(0, 1, 0), "%, largest", "definition of an eigenvalue")  # fmt: skip


def at_rest(along: np.ndarray) -> bool:
    """Whether a batch sharpness (seeds, points) has stopped growing: the mean of the seeds, and two standard errors
    more, is below STOPPED."""
    grown = growth(along)
    return len(grown) > 1 and bool(grown.mean() + 2 * grown.std(ddof=1) / len(grown) ** 0.5 < STOPPED)


def edge_claims(result: Result, settings: Settings) -> Claims:
    size = settings.batch_sizes[-1]
    for curve, along in zip(result.edge, result.batch_sharpness, strict=True):
        if at_rest(along):
            yield prediction("N5", f"batches of {size}, rate {curve.learning_rate:g}: the batch sharpness comes to "
                             "rest at 2/eta (mean of the last third)",
                             np.median(last_third(along)) * curve.learning_rate / 2, about(1, by=0.1),
                             "of 2/eta, median", "arXiv:2412.20553", "finding: it comes to rest below; by then the "
                             "cost, and what drives it on, is nearly 0, as it is at the larger rate; more images, "
                             "that cannot all be learnt, would decide")  # fmt: skip
    yield prediction("N5", f"the full sharpness of batches of {size} stays below 2/eta there (mean of the last third)",
                     np.max([last_third(curve.of_edge) for curve in result.edge]), within(0, 1), "of 2/eta, largest",
                     "arXiv:2412.20553")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    full_batch, network = (
        ", ".join(f"{drawn.ending(curve):.2f} at rate {curve.learning_rate:g}" for curve in curves)
        for curves in (result.full_batch, result.network)
    )
    minibatch = [f"{drawn.ending(curve):.2f} by batches of {size}"
                 for size, curve in zip(settings.batch_sizes, result.minibatch, strict=True)]  # fmt: skip
    edge = [f"{np.median(last_third(along)) * curve.learning_rate / 2:.2f} at rate {curve.learning_rate:g}, "
            f"{'at rest' if at_rest(along) else 'still growing'}, sharpness "
            f"{drawn.ending(curve):.2f}"
            for curve, along in zip(result.edge, result.batch_sharpness, strict=True)]  # fmt: skip
    return (
        "In units of 2/eta, mean of the last third of the path, medians: tanh with linear outputs, sharpness by full "
        f"batch {full_batch}, at rate {settings.learning_rates[1]:g} {', '.join(minibatch)}; batch sharpness of "
        f"batches of {settings.batch_sizes[-1]} {'; '.join(edge)}. The sharpness of "
        f"{drawn.name_of_network(settings)}: {network}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"edge_of_stability": drawn.figure(result, settings)}
