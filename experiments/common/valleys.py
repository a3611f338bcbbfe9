"""The sharpness along descents: the largest eigenvalue of the cost's Hessian, beside 2/eta.

A method's paths are remembered where they are looked at; cost and sharpness are computed there afterwards. Gradient
descent on a parabola diverges exactly where the sharpness is above 2/eta, eta the learning rate.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Int, PyTree

from experiments.common import descents, runs
from experiments.common.problem import CHUNK, Problem
from research import curvature, gradients, models, sharding, training
from research.data import Examples, unit_interval
from research.models import Params
from research.training import TrainState

BEFORE = 0.9  # of 2/eta: up to there a path counts as before the edge
ITERATIONS = 40  # of Lanczos; at the edge several eigenvalues lie close together, and 30 do not part them

SMALL_WEIGHTS = jax.nn.initializers.variance_scaling(0.25, "fan_in", "normal", in_axis=-1, out_axis=-2)


class Curve(NamedTuple):
    """What was seen along one method's paths, at one learning rate."""

    learning_rate: float
    steps: Int[np.ndarray, "points"]
    cost: Float[np.ndarray, "seeds points"]
    sharpness: Float[np.ndarray, "seeds points"]
    residual: Float[np.ndarray, "seeds points"]  # |H v - lambda v| / lambda of the pair that the sharpness belongs to

    @property
    def of_edge(self) -> np.ndarray:  # seeds, points: the sharpness in units of 2/eta
        return self.sharpness * self.learning_rate / 2


class Network(NamedTuple):
    problem: Problem
    objective: Callable  # (params, examples) -> mean cost
    start: Params  # every leaf leads with a seed axis
    look: Callable  # (path, examples) -> cost, sharpness, residual: compiled once for all paths of this network


def tanh_problem(problem: Problem) -> Problem:
    """tanh, tanh, linear, from weights half as large as usual; the mean image is taken off every image.
    With the mean image left in, or with larger weights, the start is sharper already than most 2/eta."""
    train = problem.train
    sizes = train.inputs.shape[1], 16, 16, train.targets.shape[1]
    model = models.mlp(sizes, jnp.tanh, lambda z: z, init_weights=SMALL_WEIGHTS)
    images = np.asarray(unit_interval(jnp.asarray(train.inputs)))
    centred: Any = images - images.mean(axis=0, keepdims=True)
    train = sharding.on_every_device(train._replace(inputs=centred))
    half_squares = lambda output, target: jnp.sum((output - target) ** 2) / 2  # half the film's cost
    return problem._replace(model=model, cost_fn=half_squares, train=train, activations=None, mlp=None)


def network_of(problem: Problem, init_keys: Array) -> Network:
    """A start for every key, and the way to look along its paths; the cost in one piece if there are few examples."""
    few = len(problem.train.inputs) <= CHUNK
    objective = gradients.mean_over_examples(problem.example_cost) if few else problem.cost

    def look_along(path: PyTree, train: Examples) -> tuple[Array, Array, Array]:
        def look(params: PyTree) -> tuple[Array, Array, Array]:
            top = curvature.top_eigenvalues(objective, params, train, jax.random.key(0), num_iterations=ITERATIONS)
            residual = curvature.residuals(objective, params, train, top)[0]
            return objective(params, train), top.values[0], residual / top.values[0]

        return jax.lax.map(look, path)

    look = runs.over_seeds(look_along, (0, None))
    return Network(problem, objective, descents.starts(problem, init_keys), look)


def descent(rate: float | Array) -> optax.GradientTransformation:
    """Gradient descent with its learning rate in its state, so that one compiled loop serves all rates."""
    return optax.inject_hyperparams(optax.sgd)(learning_rate=rate)


def follow(
    network: Network, label: str, rates: Sequence[float], loop: Callable, chunks: list
) -> list[tuple[Curve, Params]]:
    """Every seed's path at every rate, all together, remembered after every leg; then looked at, rate by rate."""
    train, num_seeds = network.problem.train, len(jax.tree.leaves(network.start)[0])
    start = jax.tree.map(lambda leaf: np.concatenate([leaf] * len(rates)), network.start)
    every_rate = jnp.repeat(jnp.asarray(rates, jnp.float32), num_seeds)
    state = TrainState(start, jax.vmap(lambda rate, params: descent(rate).init(params))(every_rate, start))
    run = runs.descend(label, loop, state, train, chunks)
    path = jax.tree.map(lambda at, then: np.concatenate([at[:, None], then], axis=1), start, run.history.observed)
    steps, found = np.concatenate([[0], run.steps]), []
    for index, rate in enumerate(rates):
        of_rate = jax.tree.map(lambda leaf, at=index: leaf[at * num_seeds : (at + 1) * num_seeds], path)
        found.append((Curve(rate, steps, *jax.device_get(network.look(of_rate, train))), of_rate))
    return found


def by_full_batch(network: Network, rates: Sequence[float], num_steps: int, num_looks: int) -> tuple[Curve, ...]:
    """Full-batch descent at every rate; as many steps between two looks."""
    loop = partial(
        training.full_batch_descent, training.make_step(network.objective, descent(rates[0])),
        num_legs=1, steps_per_leg=num_steps // num_looks, observe=lambda state: state.params,
    )  # fmt: skip
    return tuple(curve for curve, _ in follow(network, "full batch", rates, loop, [()] * num_looks))


def by_minibatch(
    network: Network, rate: float, batch_size: int, order: np.ndarray, num_steps: int, num_looks: int
) -> tuple[Curve, np.ndarray]:
    """Mini-batch descent through `order` (seeds, epochs, examples), and its batch sharpness (seeds, points): the mean
    over the batches of the last epoch, on which no step is made."""
    objective = gradients.mean_over_examples(network.problem.example_cost)
    step = training.make_step(objective, descent(rate))
    loop = partial(training.minibatch_descent, step, observe=lambda state: state.params)
    rows = descents.in_batches(order[:, :-1], batch_size)[:, :num_steps]
    legs = [(rows[:, None],) for rows in np.split(rows, num_looks, axis=1)]

    def sharpness_along(path: PyTree, train: Examples, batches: Array) -> Array:
        return jax.lax.map(lambda params: curvature.batch_sharpness(objective, params, train, batches), path)

    ((curve, path),) = follow(network, f"batches of {batch_size}", [rate], loop, legs)
    along = runs.over_seeds(sharpness_along, (0, None, 0))
    return curve, np.asarray(along(path, network.problem.train, descents.in_batches(order[:, -1:], batch_size)))


def last_third(series: np.ndarray) -> np.ndarray:
    """Mean over the last third of the points, for every seed: (seeds, points) -> (seeds,).

    >>> last_third(np.array([[9.0, 9.0, 9.0, 9.0, 1.0, 3.0]])).tolist()
    [2.0]
    """
    return series[:, -(series.shape[1] // 3) :].mean(axis=1)


def growth(series: np.ndarray) -> np.ndarray:
    """By what share it grows, for every seed, while the steps double for the last time: from its mean over the second
    quarter of the points to that over the last half.

    >>> growth(np.array([[9.0, 9.0, 2.0, 2.0, 3.0, 2.0, 3.0, 2.0]])).tolist()
    [0.25]
    """
    quarter = series.shape[1] // 4
    return series[:, -2 * quarter :].mean(axis=1) / series[:, -3 * quarter : -2 * quarter].mean(axis=1) - 1


def apart_before_the_edge(slow: Curve, fast: Curve) -> np.ndarray:
    """The largest relative difference of two sharpnesses at equal times, learning rate times steps, for every seed.
    Over the looks at which both had gone equally far, up to the first point where the faster one's sharpness is above
    BEFORE of its 2/eta. NaN where the start is the only such look: a claim with NaN fails."""
    times = [curve.learning_rate * curve.steps for curve in (slow, fast)]
    of_slow, of_fast = np.nonzero(np.isclose(times[0][1:, None], times[1][None, 1:], rtol=1e-6))
    ratios = slow.sharpness[:, 1 + of_slow] / fast.sharpness[:, 1 + of_fast]
    before = np.cumprod(fast.of_edge <= BEFORE, axis=1).astype(bool)[:, 1 + of_fast]
    apart = np.max(np.abs(ratios - 1), axis=1, where=before, initial=0)
    return np.where(before.any(axis=1), apart, np.nan)


def ratio_at_equal_cost(minibatch: Curve, full_batch: Curve) -> np.ndarray:
    """Sharpness of the first over that of the second, each where it first came down to the lowest cost of both."""
    costs = minibatch.cost, full_batch.cost
    target = np.maximum(*(cost.min(axis=1) for cost in costs))
    points = [np.argmax(cost <= target[:, None], axis=1) for cost in costs]
    seeds = np.arange(len(target))
    return minibatch.sharpness[seeds, points[0]] / full_batch.sharpness[seeds, points[1]]
