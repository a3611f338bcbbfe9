"""How steep is the valley that full-batch and mini-batch descent walk in, beside 2 over the learning rate?

Gradient descent on a parabola diverges exactly where the curvature is above 2/eta, eta the learning rate (parabola).
Here the sharpness, the largest eigenvalue of the cost's Hessian, is followed along descents on a few hundred images:
of a network that is known for it (Cohen et al., arXiv:2103.00065: tanh, linear outputs, half the sum of squares), by
full batch and by mini-batches, these with the batch sharpness beside it (arXiv:2412.20553); and of the film's network
and cost, or yours (--cost, --activation, --model, ...), whose sigmoids flatten where they come near their targets.

Run:     python -m experiments edge_of_stability [--quick | --full]
Time:    default 45 s, --quick 15 s, --full 80 s, on 2 cores, compilation included
Result:  (10 seeds, last third of 2,000 steps) tanh, full batch, at eta 0.2 and 0.4: the sharpness is 0.97 to 1.04 of
         2/eta (at 0.1 0.36 to 0.44, still on its way); at 0.2, batches of 50 and 10: 0.58 to 0.68 and 0.25 to 0.38. The
         film's network, full batch, ends at 0.06 to 0.09. One claim does not hold: the batch sharpness is not at 2/eta,
         it is 0.30 to 0.35 of it.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt, MinLen
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.common import descents, experiment, runs, valleys
from experiments.common.bounds import below_train, falling, of_train, require, rising
from experiments.common.claims import Claim, about, identity, prediction, within, worst
from experiments.common.problem import Problem
from experiments.common.valleys import Curve, last_third
from experiments.hill import edge_of_stability_figures as drawn
from research import models, sharding
from research.data import unit_interval

SMALL_WEIGHTS = jax.nn.initializers.variance_scaling(0.25, "fan_in", "normal", in_axis=-1, out_axis=-2)
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
    network_learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1)] = (2.0, 4.0)
    """Of full-batch descent with the network and cost of --layer-sizes, --activation, --model, --cost, ..."""
    num_looks: Annotated[int, Ge(5)] = 40
    """At how many points of each path the sharpness is measured, besides the start."""

    def check(self) -> None:
        said = f"--num-steps is {self.num_steps}; it must be a multiple of --num-looks, {self.num_looks}"
        require(self.num_steps % self.num_looks == 0, said)


QUICK = Settings(
    num_seeds=2, num_examples=300, learning_rates=(0.2, 0.3, 0.4), num_steps=500, batch_sizes=(10,),
    network_learning_rates=(4.0,), num_looks=10,
)  # fmt: skip
FULL = Settings(num_seeds=10)


class Result(NamedTuple):
    full_batch: tuple[Curve, ...]  # tanh with linear outputs, one for every learning rate
    minibatch: tuple[Curve, ...]  # one for every batch size, falling
    batch_sharpness: Float[np.ndarray, "sizes seeds points"]
    network: tuple[Curve, ...]  # that of the settings by full batch, one for every one of its learning rates


def tanh_problem(problem: Problem) -> Problem:
    """tanh, tanh, linear, from weights half as large as usual; the mean image is taken off every image.

    With the mean image left in, or with larger weights, the start is sharper already than most 2/eta.
    """
    train = problem.train
    sizes = train.inputs.shape[1], 16, 16, train.targets.shape[1]
    model = models.mlp(sizes, jnp.tanh, lambda z: z, init_weights=SMALL_WEIGHTS)
    images = np.asarray(unit_interval(jnp.asarray(train.inputs)))
    centred: Any = images - images.mean(axis=0, keepdims=True)
    train = sharding.on_every_device(train._replace(inputs=centred))
    half_squares = lambda output, target: jnp.sum((output - target) ** 2) / 2  # half the film's cost
    return problem._replace(model=model, cost_fn=half_squares, train=train, activations=None, mlp=None)


def measure(problem: Problem, settings: Settings) -> Result:
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    tanh, own = (valleys.network_of(each, init_keys) for each in (tanh_problem(problem), problem))
    num_examples, rates = len(problem.train.inputs), settings.learning_rates
    size = settings.num_steps, settings.num_looks
    num_epochs = math.ceil(settings.num_steps / (num_examples // settings.batch_sizes[0]))
    order = descents.shuffles(shuffle_keys, num_examples, num_epochs + 1)  # the last is only looked at
    minibatch = [valleys.by_minibatch(tanh, rates[1], batch, order, *size) for batch in settings.batch_sizes]
    network = valleys.by_full_batch(own, settings.network_learning_rates, *size)
    if any((curve.sharpness[:, -1] == 0).any() for curve in network):  # where no example has a gradient
        raise runs.Stuck(settings.num_steps)
    return Result(
        full_batch=valleys.by_full_batch(tanh, rates, *size),
        minibatch=tuple(curve for curve, _ in minibatch),
        batch_sharpness=np.stack([along for _, along in minibatch]),
        network=network,
    )


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    if settings.dataset == Settings.dataset:
        yield from tanh_claims(result, settings)
    if settings.is_the_films:
        hovering = [last_third(curve.of_edge) for curve in result.network]
        yield prediction("E11", "the film's network does not hover: its sharpness ends below 2/eta (mean of the last "
                         "third)", np.max(hovering), within(0, 0.9), "of 2/eta, largest",
                         "sigmoids flatten near their targets; seen on sklearn's digits before")  # fmt: skip


def tanh_claims(result: Result, settings: Settings) -> Iterator[Claim]:
    full_batch, minibatch = result.full_batch, result.minibatch
    hovering = np.array([last_third(curve.of_edge) for curve in full_batch[1:]])
    levels = np.array([last_third(curve.sharpness) for curve in (full_batch[1], *minibatch)])
    slow, fast = settings.learning_rates[:2]
    yield prediction("E11", "tanh, linear outputs: the sharpness hovers at 2/eta (mean of the last third of the path)",
                     100 * np.max(np.abs(hovering - 1)), within(0, 10, 0), "% away from 2/eta, largest",
                     COHEN)  # fmt: skip
    yield prediction("E11", f"before the edge, learning rates {slow:g} and {fast:g} are as sharp after equal times eta "
                     "* steps", 100 * np.max(valleys.apart_before_the_edge(*full_batch[:2])), within(0, 1, 0),
                     "% apart, largest", f"both follow gradient flow; {COHEN}")  # fmt: skip
    yield prediction("E11", "the smaller the batch, the less sharp, after equally many steps at the same learning rate",
                     np.max(levels[1:] / levels[:-1]), within(0, 1),
                     "sharpness over that of the next larger batch, largest", COHEN)  # fmt: skip
    at_equal_cost = [valleys.ratio_at_equal_cost(curve, full_batch[1]) for curve in minibatch]
    yield prediction("E11", "mini-batches are less sharp than the full batch at equal cost too", np.max(at_equal_cost),
                     within(0, 1), "sharpness over the full batch's, largest", COHEN)  # fmt: skip
    along = np.array([np.median(last_third(each)) for each in result.batch_sharpness]) * fast / 2
    yield prediction("E11", "with mini-batches it is the batch sharpness that comes to 2/eta (mean of the last third)",
                     1 + worst(along - 1), about(1, by=0.1), "of 2/eta, median, farthest from 1", "arXiv:2412.20553",
                     "flaw: nothing says that it gets there at this rate; larger ones, 0.6 to 0.8 for batches of 10, "
                     "followed until it stops growing would decide")  # fmt: skip
    residual = max(np.max(curve.residual) for curve in (*full_batch, *minibatch))
    yield identity("E11", "the iteration has come to an eigenvalue: |Hv - lambda v| is small beside lambda",
                   100 * residual, within(0, 1, 0), "%, largest", "definition of an eigenvalue")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    full_batch = [f"{drawn.ending(curve):.2f} at rate {curve.learning_rate:g}" for curve in result.full_batch[1:]]
    along = [np.median(last_third(each)) * settings.learning_rates[1] / 2 for each in result.batch_sharpness]
    minibatch = [f"batches of {size} {drawn.ending(curve):.2f} (batch sharpness {own:.2f})"
                 for size, curve, own in zip(settings.batch_sizes, result.minibatch, along, strict=True)]  # fmt: skip
    network = [f"at rate {curve.learning_rate:g} it starts at {np.median(curve.of_edge[:, 0]):.2f} and ends at "
               f"{drawn.ending(curve):.2f}" for curve in result.network]  # fmt: skip
    return (
        "Sharpness in units of 2/eta, mean of the last third of the path: tanh with linear outputs, full batch "
        f"{', '.join(full_batch)}; at rate {settings.learning_rates[1]:g} {', '.join(minibatch)}. That of "
        f"{drawn.name_of_network(settings)}: {'; '.join(network)}."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    return {"edge_of_stability": drawn.figure(result, settings)}
