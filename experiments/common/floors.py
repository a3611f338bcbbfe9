"""Floors: from one start a constant learning rate, and from halfway on the same batches with one that falls to 0.

What the cost lies higher with the constant rate, its mean over the second half, less the end of the falling one, is the
floor. Both had travelled equally far, the rate summed over the steps, so that progress along the valley cancels.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from experiments.common import descents, runs
from experiments.common.problem import Problem
from research import gradients, statistics, training
from research.data import Examples
from research.models import Params
from research.training import TrainState

REST = 0.3  # of a floor's height may its cost still change; as far off may theory be


class Floor(NamedTuple):
    """What every batch size did with every rate; looks are those of both halves, late ones those of the second."""

    cost: Float[np.ndarray, "seeds sizes rates looks"]  # on the training set, constant rate
    gradient_norm: Float[np.ndarray, "seeds sizes rates looks"]  # likewise
    falling_cost: Float[np.ndarray, "seeds sizes rates late"]  # with the falling rate
    falling_norm: Float[np.ndarray, "seeds sizes rates late"]  # likewise
    scatter: Float[np.ndarray, "seeds sizes rates"]  # tr(Sigma) at the end, with the constant rate
    batch_cost: Float[np.ndarray, "seeds sizes rates looks"]  # each batch's own, mean over the steps before a look

    @property
    def heights(self) -> np.ndarray:  # seeds, sizes, rates
        return settled(self.cost) - self.falling_cost[..., -1]

    @property
    def at_rest(self) -> np.ndarray:  # sizes, rates
        """Whether the cost has stopped changing: the batches' costs, in the mean of the seeds, differ between the two
        halves of the second half by at most REST of the floor's height, two standard errors included.
        These are means over all steps, the looks are few. A single seed has no standard error."""
        num_seeds, late = len(self.cost), self.batch_cost[..., self.cost.shape[-1] // 2 :]
        if num_seeds == 1:
            return np.zeros(self.cost.shape[1:3], bool)
        half = late.shape[-1] // 2
        changes = late[..., -half:].mean(axis=-1) - late[..., :half].mean(axis=-1)
        error = changes.std(axis=0, ddof=1) / num_seeds**0.5
        return np.abs(changes.mean(axis=0)) + 2 * error <= REST * np.median(self.heights, axis=0)


def settled(looks: np.ndarray) -> np.ndarray:
    """The mean over the second half of a run, by the trapezoid rule through its looks, the last axis.
    So the middle of what is averaged is the middle of the half, which is how far the falling rate goes.

    >>> float(settled(np.array([9.0, 1.0, 2.0, 3.0])))  # from the look at halftime on
    2.0
    """
    second = looks[..., looks.shape[-1] // 2 - 1 :]
    return (second[..., :-1] + second[..., 1:]).mean(axis=-1) / 2


def look(problem: Problem, params: Params, train: Examples) -> tuple[Array, Array]:
    """(cost, |G|) on the whole training set."""
    cost, gradient = jax.value_and_grad(problem.cost)(params, train)
    return cost, jnp.asarray(optax.tree.norm(gradient))


def stumble(problem: Problem, params: Params, train: Examples, rows: Array, rates: Array) -> tuple[Array, ...]:
    """The fields of Floor for one seed and batch size, from `params` through both halves of `rows` (2, looks, steps,
    batch)."""
    objective, num_steps = gradients.mean_over_examples(problem.example_cost), rows[0, ..., 0].size

    def half(rate: Array, share: Array, params: Params, rows: Array) -> tuple[Params, tuple[Array, Array, Array]]:
        """With a rate that has lost `share` of itself after `num_steps`: the end; cost, |G| and the batches' cost."""
        optimizer = optax.sgd(lambda count: rate * (1 - share * jnp.asarray(count, rate.dtype) / num_steps))
        state, step = TrainState(params, optimizer.init(params)), training.make_step(objective, optimizer)
        observe = lambda state: look(problem, state.params, train)
        state, history = training.minibatch_descent(step, state, train, rows, observe)
        return state.params, (*history.observed, history.costs.mean(axis=1))

    def of_rate(rate: Array) -> tuple[Array, ...]:
        constant_and_falling = jnp.arange(2, dtype=rate.dtype)
        middle, first = half(rate, constant_and_falling[0], params, rows[0])
        ends, second = jax.lax.map(lambda share: half(rate, share, middle, rows[1]), constant_and_falling)
        end = jax.tree.map(lambda leaf: leaf[0], ends)
        cost, norm, own = (jnp.concatenate([early, late[0]]) for early, late in zip(first, second, strict=True))
        scatter = statistics.total_variance(problem.statistics.moments(end, train))
        return cost, norm, second[0][1], second[1][1], scatter, own

    return jax.lax.map(of_rate, rates)


def in_halves(order: np.ndarray, batch_size: int, num_looks: int) -> np.ndarray:
    """(seeds, epochs, examples) -> (seeds, 2, looks, steps, batch); steps that do not divide are left out."""
    legs = descents.in_equal_legs(descents.in_batches(order, batch_size), 2 * num_looks)
    return legs.reshape(len(order), 2, num_looks, -1, batch_size)


def find(problem: Problem, params: Params, orders: dict[str, np.ndarray], settings: Any) -> list[Floor]:
    """For each order (seeds, epochs, examples) every batch size with every rate; leaves of `params` lead with seeds.
    Raises Diverged."""
    every_seed = runs.over_seeds(partial(stumble, problem), (0, None, 0, None))
    rates, floors = jnp.asarray(settings.learning_rates, jnp.float32), []
    for name, order in orders.items():
        found = []
        for size in settings.batch_sizes:
            halves = in_halves(order, size, settings.num_looks)
            found.append(jax.device_get(every_seed(params, problem.train, halves, rates)))
            for rate, cost in zip(settings.learning_rates, found[-1][0].swapaxes(0, 1), strict=True):
                label = f"batches of {size}, rate {rate:g}, from a trained start"
                runs.stop_if_diverged(label, np.repeat(cost, halves.shape[3], axis=1), 0)
            medians = ", ".join(f"{median:.4f}" for median in np.median(settled(found[-1][0]), axis=0))
            runs.console.print(f"constant rates {settings.learning_rates}, batches of {size} {name}: cost {medians}")
        floors.append(Floor(*(np.stack(each, axis=1) for each in zip(*found, strict=True))))
    return floors
