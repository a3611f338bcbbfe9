"""Every example is asked what it wants of every parameter, by a network that is untrained and one that is trained."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from experiments.common import descents, experiment, runs
from experiments.common.bounds import Count
from experiments.common.descents import Method
from experiments.common.problem import Problem
from experiments.common.wish_tables import parameter_name, sizes_of
from research import gradients
from research.data import Examples
from research.models import Params
from research.training import TrainState


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the training between the two times at which the examples are asked; every seed is a start."""

    num_seeds: Count = 2
    """How many starts, each with its own shuffles; tables show the first."""
    num_epochs: Annotated[int, Ge(1)] = 1
    """Passes over the training set, in mini-batches of 100, before the examples are asked a second time."""
    learning_rate: Annotated[float, Gt(0)] = 4.0
    """Learning rate of these passes; full_batch_vs_sgd found it best for batches of 100."""


def flat(tree: Params) -> Array:
    """All parameters in one row, in the film's numbering w_0, w_1, ...: layer by layer, weights before biases."""
    return ravel_pytree(tree)[0]


def flat_rows(tree: Params) -> np.ndarray:
    """`flat` for every index of the leaves' leading axis: (examples or networks, params)."""
    return np.concatenate([np.reshape(leaf, (len(leaf), -1)) for leaf in jax.tree.leaves(tree)], axis=1)


def nudges(one: Callable) -> Callable[[Params, Examples], Params]:
    """What every example wants for every parameter: minus the gradient of its own cost, by vmap(grad).

    >>> squared = lambda params, example: jnp.sum((params - example.inputs) ** 2)
    >>> nudges(squared)(jnp.float32(0.0), Examples(jnp.array([[1.0], [3.0]]), jnp.zeros((2, 1)))).tolist()
    [2.0, 6.0]
    """
    return lambda params, examples: jax.tree.map(jnp.negative, gradients.per_example_gradients(one)(params, examples))


class Tally(NamedTuple):
    """How the nudges of all examples scatter, for every parameter."""

    mean_square: Params
    more: Params  # share of the examples that want the parameter larger
    less: Params


def tally(one: Callable, params: Params, examples: Examples) -> Tally:
    """Asks one example after the other and keeps only sums: quicker than a batch on a CPU, whose cache holds them."""

    def add(total: Tally, example: Examples) -> tuple[Tally, None]:
        gradient = jax.grad(one)(params, example)
        more = jax.tree.map(lambda leaf: (leaf < 0).astype(leaf.dtype), gradient)
        less = jax.tree.map(lambda leaf: (leaf > 0).astype(leaf.dtype), gradient)
        return jax.tree.map(jnp.add, total, Tally(jax.tree.map(jnp.square, gradient), more, less)), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    total, _ = jax.lax.scan(add, Tally(zeros, zeros, zeros), examples)
    return Tally(*(flat(tree) / len(examples.inputs) for tree in total))


def tallies(problem: Problem, params: Params) -> Tally:
    """Of every network: leaves (networks, params)."""
    of_one = runs.over_seeds(lambda params, train: tally(problem.example_cost, params, train), (0, None))
    return jax.tree.map(np.asarray, of_one(params, problem.train))


class Wishes(NamedTuple):
    """What some examples, the columns, want of some parameters of one network, the rows, and what all want."""

    names: np.ndarray  # of the parameters
    labels: Int[np.ndarray, "columns"]
    wanted: Float[np.ndarray, "rows columns"]
    minus_gradient: Float[np.ndarray, "rows"]  # of all examples' mean cost
    more: Float[np.ndarray, "rows"]  # share of all examples that want the parameter larger
    less: Float[np.ndarray, "rows"]


def wishes(problem: Problem, params: Params, scatter: Tally, rows: np.ndarray, columns: np.ndarray) -> Wishes:
    """Of these parameters by these examples, for one network."""
    examples = jax.tree.map(lambda leaf: np.asarray(leaf)[columns], problem.train)
    wanted = flat_rows(jax.jit(nudges(problem.example_cost))(params, examples))[:, rows].T
    minus_gradient = -np.asarray(flat(jax.jit(jax.grad(problem.cost))(params, problem.train)))[rows]
    names = np.array([parameter_name(row, sizes_of(params)) for row in rows.tolist()])
    labels = examples.targets.argmax(axis=1)
    return Wishes(names, labels, wanted, minus_gradient, scatter.more[rows], scatter.less[rows])


def shuffles(seed: int, num_networks: int, num_shuffles: int, num_examples: int) -> np.ndarray:
    """Orders of the examples: (networks, shuffles, examples); numpy's, which need no compiling."""
    orders = np.tile(np.arange(num_examples), (num_networks, num_shuffles, 1))
    return np.random.default_rng(seed).permuted(orders, axis=2)


def untrained_and_trained(problem: Problem, settings: Any) -> Params:
    """Every seed's start, then where it has come to after some epochs; every leaf is (2 seeds, ...)."""
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    start, num_examples = descents.starts(problem, init_keys), len(problem.train.inputs)
    method = Method("training", min(100, num_examples), optax.sgd(settings.learning_rate))
    order = shuffles(settings.seed, settings.num_seeds, settings.num_epochs, num_examples)
    schedule = descents.in_batches(order, method.batch_size)[:, None]
    loop = descents.minibatch_legs(problem, method, observe=lambda *_: ())
    state = TrainState(start, jax.vmap(method.optimizer.init)(start))
    end = runs.descend(method.label, loop, state, (problem.train, problem.test), [(schedule,)]).state.params
    return jax.tree.map(lambda *parts: np.concatenate(parts), start, end)
