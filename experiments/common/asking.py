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

from experiments.common import descents, experiment, runs
from experiments.common.problem import Problem
from research import gradients, training
from research.data import Examples
from research.models import Params
from research.training import History, TrainState


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the training between the two times at which the examples are asked."""

    num_seeds: Annotated[int, Ge(1)] = 2
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
        addend = Tally(
            mean_square=jax.tree.map(jnp.square, gradient),
            more=jax.tree.map(lambda leaf: (leaf < 0).astype(leaf.dtype), gradient),
            less=jax.tree.map(lambda leaf: (leaf > 0).astype(leaf.dtype), gradient),
        )
        return jax.tree.map(jnp.add, total, addend), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    total, _ = jax.lax.scan(add, Tally(zeros, zeros, zeros), examples)
    return Tally(*(flat(tree) / len(examples.inputs) for tree in total))


def shuffles(seed: int, num_networks: int, num_shuffles: int, num_examples: int) -> np.ndarray:
    """Orders of the examples: (networks, shuffles, examples); numpy's, which need no compiling."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(num_examples) for _ in range(num_networks * num_shuffles)]
    return np.stack(orders).reshape(num_networks, num_shuffles, num_examples)


def untrained_and_trained(problem: Problem, settings: Any) -> Params:
    """Every seed's start, then where it has come to after some epochs; every leaf is (2 seeds, ...)."""
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    start = descents.starts(problem, init_keys)
    optimizer = optax.sgd(settings.learning_rate)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)

    def loop(state: TrainState, train: Examples, schedule: Array) -> tuple[TrainState, History]:
        return training.minibatch_descent(step, state, train, schedule, lambda state: ())

    num_examples = len(problem.train.inputs)
    order = shuffles(settings.seed, settings.num_seeds, settings.num_epochs, num_examples)
    schedule = descents.in_batches(order, min(100, num_examples))[:, None]
    state = TrainState(start, jax.vmap(optimizer.init)(start))
    end = runs.descend("training", loop, state, problem.train, [(schedule,)]).state.params
    return jax.tree.map(lambda *parts: np.concatenate(parts), start, end)


def tallies(problem: Problem, params: Params) -> Tally:
    """Of every network: leaves (networks, params)."""
    of_one = jax.jit(runs.over_seeds(lambda params, train: tally(problem.example_cost, params, train), (0, None)))
    return jax.tree.map(np.asarray, of_one(params, problem.train))


def listening(problem: Problem, settings: Any) -> tuple[np.ndarray, list[int]]:
    """Who is listened to first: every seed's own shuffle (seeds, examples) with one example of each class in front, and
    in which order the classes come: a 2, a 5, then the others."""
    labels, num_classes = np.asarray(problem.train.targets).argmax(axis=1), problem.train.targets.shape[1]
    classes = [label for label in dict.fromkeys((2, 5, *range(num_classes))) if label in labels]
    rngs = [np.random.default_rng([settings.seed, index]) for index in range(settings.num_seeds)]
    return np.stack([listening_order(labels, rng.permutation(len(labels)), classes) for rng in rngs]), classes


def listening_order(labels: np.ndarray, shuffle: np.ndarray, classes: list[int]) -> np.ndarray:
    """The shuffle with the first example of each class moved to the front, in the order of `classes`.

    >>> listening_order(np.array([5, 2, 5, 0]), np.array([2, 0, 3, 1]), [2, 5, 0]).tolist()
    [1, 2, 3, 0]
    """
    firsts = np.array([shuffle[labels[shuffle] == label][0] for label in classes])
    return np.concatenate([firsts, shuffle[~np.isin(shuffle, firsts)]])
