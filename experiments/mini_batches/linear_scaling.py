"""Is one step on k batches, with k times the learning rate, worth k steps on one batch each, and until when?

From one point the network takes k steps on batches of B with the learning rate eta, and, from the same point, one step
on all k B examples with k eta (the linear scaling rule; Goyal et al., arXiv:1706.02677). To second order in eta the two
ends differ, since step j sees its gradient eta sum_{i<j} g_i further down, by

    eta^2 sum_j H_j sum_{i<j} g_i,     g_j, H_j: gradient and Hessian of batch j's cost at the common start

Measured in float64 for rates eta = x / (k lambda), lambda the sharpness of the k B examples' cost: for x << 1 the
second order rules; at x = 2 the one large step leaps over the valley, on a parabola to the height that it came from.

Run:     python -m experiments linear_scaling [--quick | --full]
Time:    default 15 s, --quick 10 s, --full 25 s, on 2 cores, compilation included
Result:  slope 2.000 at the start and 1.999 after training (6 seeds, k = 2, 8, 32); after training the large step raises
         its cost, in the earliest of 18 cases, from between 1.1 and 1.6 of 2/lambda on, at the start never up to 5.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt, MinLen
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PyTree

from experiments.common import descents, experiment, plots, runs
from experiments.common.bounds import BatchSize, Count, different, require
from experiments.common.claims import Claims, about, at_least, identity, prediction, within
from experiments.common.descents import Method
from experiments.common.problem import Problem
from experiments.mini_batches import linear_scaling_figures as drawn
from research import curvature, data, fits, gradients, training
from research.data import Examples
from research.training import TrainState

XS = np.logspace(-4, 1, 31)  # k eta lambda: from where the second order is all, to five times where the rule must break
SMALL = XS < 1.001e-2  # there the third order is about a hundredth, and rounding in float64 far smaller
LANCZOS = 40  # products with H for each sharpness


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 2
    """How many runs, each with its own start and its own shuffles."""
    batch_size: Annotated[int, Ge(1)] = 100
    """Examples in each of the k batches that one step is compared with."""
    num_batches: Annotated[tuple[int, ...], Ge(2), MinLen(1), different] = (2, 8, 32)
    """k, how many batches are taken together; all of them must fit into the training set."""
    training_batch_size: BatchSize = 10
    """Batch size of the training."""
    training_rate: Annotated[float, Gt(0)] = 0.5
    """Its learning rate."""
    num_epochs: Annotated[int, Ge(1)] = 2
    """Its passes over the training set."""


QUICK = Settings(num_batches=(8,), training_batch_size=20, training_rate=1.0, num_epochs=1)
FULL = Settings(num_seeds=6)


class Local(NamedTuple):
    """For every rate of XS."""

    distance: Float[np.ndarray, "seeds rates"]  # between the two ends
    error: Float[np.ndarray, "seeds rates"]  # |difference - eta^2 times the theory's vector| / |the latter|
    theory: Float[np.ndarray, "seeds"]  # |sum_j H_j sum_{i<j} g_i|
    sharpness: Float[np.ndarray, "seeds"]  # of the cost of all k B examples
    start: Float[np.ndarray, "seeds"]  # their cost at the point
    after_many: Float[np.ndarray, "seeds rates"]  # and after the k steps
    after_one: Float[np.ndarray, "seeds rates"]  # and after the one


class Result(NamedTuple):
    """The comparison at two places, for every k of the settings."""

    at_the_start: tuple[Local, ...]
    after_training: tuple[Local, ...]

    @property
    def places(self) -> dict[str, tuple[Local, ...]]:
        return {"at the start": self.at_the_start, "after training": self.after_training}


def compare(one: Callable, num_batches: int, params: PyTree, examples: Examples, key: Array) -> tuple[Array, ...]:
    """The fields of Local for one seed; `examples` are divided into `num_batches` in their order."""
    objective = gradients.mean_over_examples(one)
    schedule = jnp.arange(len(examples.inputs)).reshape(1, num_batches, -1)
    term = second_order(objective, params, data.take(examples, schedule[0]))
    steepest = curvature.sharpness(objective, params, examples, key, num_iterations=LANCZOS)

    def both(rate: Array) -> tuple[Array, Array, Array, Array]:
        many = after(objective, rate, params, examples, schedule)
        one_step = after(objective, num_batches * rate, params, examples, schedule.reshape(1, 1, -1))
        difference = ravel_pytree(many)[0] - ravel_pytree(one_step)[0]
        error = jnp.linalg.norm(difference - rate**2 * term) / jnp.linalg.norm(rate**2 * term)
        return jnp.linalg.norm(difference), error, objective(many, examples), objective(one_step, examples)

    distance, error, *costs = jax.lax.map(both, jnp.asarray(XS) / (num_batches * steepest))
    return distance, error, jnp.linalg.norm(term), steepest, objective(params, examples), *costs


def second_order(objective: Callable, params: PyTree, batches: Examples) -> Array:
    """sum_j H_j sum_{i<j} g_i, flat: what the ends differ by, over eta^2, as eta goes to 0; batches: (k, B, ...)."""
    product = curvature.hessian_vector_product(objective)

    def add(sums: tuple[PyTree, PyTree], batch: Examples) -> tuple[tuple[PyTree, PyTree], None]:
        so_far, term = sums
        more = jax.grad(objective)(params, batch), product(params, batch, so_far)
        return jax.tree.map(jnp.add, (so_far, term), more), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    return ravel_pytree(jax.lax.scan(add, (zeros, zeros), batches)[0][1])[0]


def after(objective: Callable, rate: Array, params: PyTree, examples: Examples, schedule: Array) -> PyTree:
    """The parameters after one pass through the schedule by plain descent."""
    optimizer = optax.sgd(rate)
    state = TrainState(params, optimizer.init(params))
    step = training.make_step(objective, optimizer)
    return training.minibatch_descent(step, state, examples, schedule, lambda state: ())[0].params


def measure(problem: Problem, settings: Settings) -> Result:
    needed, num_examples = settings.batch_size * max(settings.num_batches), len(problem.train.inputs)
    require(
        needed <= num_examples,
        f"--batch-size times --num-batches comes to {needed} examples; there are {num_examples} for training",
    )
    start, order = descents.begin(problem, settings, settings.num_epochs)
    method = Method("the training", settings.training_batch_size, optax.sgd(settings.training_rate))
    end = descents.follow(problem, method, start, order, num_legs=1).end
    keys = jax.random.split(jax.random.key(settings.seed), settings.num_seeds)
    train = jax.device_get(problem.train)

    def at(params: PyTree, epochs: int) -> tuple[Local, ...]:
        found = []
        for num_batches in settings.num_batches:
            few = data.take(train, order[:, 0, : num_batches * settings.batch_size])
            every_seed = runs.over_seeds(partial(compare, problem.example_cost, num_batches), (0, 0, 0))
            found.append(Local(*runs.in_float64(every_seed)(params, few, keys)))
            if not (found[-1].distance[:, SMALL] > 0).all():  # NaN neither
                raise runs.Stuck(epochs)
        return tuple(found)

    runs.console.print("k steps against one ...")
    return Result(at(start, 0), at(end, settings.num_epochs))


def slopes(local: Local) -> np.ndarray:
    """Of every seed: d log(distance) / d log(eta) over the small rates, by least squares."""
    return np.array([fits.log_log_slope(XS[SMALL], distance[SMALL]) for distance in local.distance])


def first_rise(local: Local) -> np.ndarray:
    """Of every seed: the first k eta, in 2/lambda, with which the large step raises its cost; else the largest."""
    raised = local.after_one > local.start[:, None]
    return np.where(raised.any(axis=1), XS[raised.argmax(axis=1)], XS[-1]) / 2


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    for place, locals_ in result.places.items():
        slope = np.concatenate([slopes(local) for local in locals_])
        yield identity("E10", f"{place}, k steps of eta and one of k eta end apart in the order eta^2",
                       slope[np.abs(slope - 2).argmax()], about(2, by=0.1),
                       "log-log slope, farthest from 2 of all seeds and k", "Taylor, second order")  # fmt: skip
        yield identity("E10", f"{place}, the ends are eta^2 sum_j H_j sum_(i<j) g_i apart (k eta lambda = {XS[0]:g})",
                       max(float(local.error[:, 0].max()) for local in locals_), within(0, 1e-3, 0),
                       "largest relative error of the vector", "Taylor, second order")  # fmt: skip
        yield prediction("E10", f"below k eta = 2/sharpness the one large step lowers its cost, {place}",
                         min(float(first_rise(local).min()) for local in locals_), at_least(1),
                         f"least k eta that raises it, in 2/sharpness; {XS[-1] / 2:g} if none does",
                         "exact on a parabola")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    slope = np.median([slopes(local) for locals_ in result.places.values() for local in locals_])
    (near, off_near), (limit, off_limit) = (drawn.off_theory(result, XS, settings.num_batches, x) for x in (0.1, 2))
    return (
        f"One step on k batches at k times the rate ends where k steps on one batch each end, but for a distance that "
        f"goes as the rate to the power {slope:.2f}. Theory's length of it, to second order, is up to "
        f"{100 * off_near:.0f} % off at k eta = {near:.1f}/sharpness, {100 * off_limit:.0f} % at {limit:.1f}/sharpness "
        "(medians of the seeds, worst k and place)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"k_steps_and_one": drawn.steps(result, XS, settings, finding(result, settings).partition(". ")[0])}
