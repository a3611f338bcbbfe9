"""Teaching: schedules of chosen examples, Nielsen's recipe and the film's, and what a network then answers."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.common import descents
from experiments.common.descents import Method
from experiments.common.problem import Problem, name_of
from research import costs, models
from research.data import Examples, unit_interval
from research.models import Layer, Params
from research.training import TrainState

BATCH = 10
CHUNK = 1000  # images that are read at a time
FILMS_RATE = 1.5  # Nielsen's 3.0 for the quadratic cost, without his 1/2


class Recipe(NamedTuple):
    """A network with its cost, how it is taught, and every seed's start: leaves lead with seeds."""

    problem: Problem
    method: Method
    starts: Params


def nielsens(problem: Problem, init_keys: Array) -> Recipe:
    """The recipe of his figure on more data: 784-30-10, cross-entropy of sigmoid outputs, all parameters from N(0, 1),
    batches of 10, rate 0.5; the weights, not the biases, decay by 0.5 * 0.0001 a step."""
    sizes = (problem.train.inputs.shape[-1], 30, problem.train.targets.shape[-1])
    normal, activations = models.unit_normal, (jax.nn.sigmoid, jax.nn.identity)
    model = models.mlp(sizes, *activations, init_weights=normal, init_biases=normal)
    decay = optax.add_decayed_weights(1e-4, mask=lambda params: [Layer(True, False) for _ in params])  # pyright: ignore
    posed = problem._replace(model=model, cost_fn=costs.sigmoid_cross_entropy, activations=activations)
    method = Method(f"{'-'.join(map(str, sizes))}, cross-entropy", BATCH, optax.chain(decay, optax.sgd(0.5)))
    return Recipe(posed, method, descents.starts(posed, init_keys))


def films(problem: Problem, init_keys: Array) -> Recipe:
    """The network and the cost of the settings, the film's by default; plain layers are named by their sizes."""
    starts, network = descents.starts(problem, init_keys), "your network"
    if problem.mlp is not None:
        *_, num_inputs = starts[0].weights.shape
        network = "-".join(map(str, [num_inputs, *(layer.biases.shape[-1] for layer in starts)]))
    return Recipe(problem, Method(f"{network}, {name_of(problem.cost_fn)}", BATCH, optax.sgd(FILMS_RATE)), starts)


def begin(optimizer: optax.GradientTransformation, starts: Params, times: int = 1) -> TrainState:
    """Every seed's start, so many times over: leaves (times * seeds, ...)."""
    params = jax.tree.map(lambda leaf: np.tile(leaf, (times,) + (1,) * (leaf.ndim - 1)), starts)
    return TrainState(params, jax.vmap(optimizer.init)(params))


def rows_of(rng: np.random.Generator, chosen: np.ndarray, num_steps: int) -> np.ndarray:
    """(steps, BATCH) rows of the chosen examples: shuffle after shuffle, in one line cut into batches. A batch of fewer
    than BATCH examples holds each of them several times; its mean is then theirs."""
    num_shuffles = math.ceil(num_steps * BATCH / len(chosen))
    shuffles = rng.permuted(np.tile(chosen.astype(np.int32), (num_shuffles, 1)), axis=1)
    return shuffles.ravel()[: num_steps * BATCH].reshape(num_steps, BATCH)


def outputs(apply: Callable, params: Params, inputs: Array) -> Array:
    """What the network answers to every image: (images, classes)."""
    return jax.lax.map(lambda one: apply(params, unit_interval(one)), inputs, batch_size=min(CHUNK, len(inputs)))


def answers(apply: Callable, params: Params, inputs: Array) -> Array:
    """What the network calls every image: the class of its largest output."""
    return jnp.argmax(outputs(apply, params, inputs), axis=1)


def confusion(apply: Callable, params: Params, examples: Examples) -> Array:
    """Share of the examples with this true class (row) that are called that class (column); all sum to 1.

    >>> examples = Examples(jnp.array([[0.2, 0.9]]), jnp.array([[1.0, 0.0]]))
    >>> confusion(lambda params, inputs: inputs, (), examples).tolist()  # a 0 that is called 1
    [[0.0, 1.0], [0.0, 0.0]]
    """
    targets = examples.targets
    called = jax.nn.one_hot(answers(apply, params, examples.inputs), targets.shape[1], dtype=targets.dtype)
    return targets.T @ called / len(targets)


def listening(problem: Problem, settings: Any) -> tuple[np.ndarray, list[int]]:
    """Who is listened to first: every seed's own shuffle (seeds, examples) with one example of each class in front, and
    in which order the classes come: a 2, a 5, then the others."""
    labels, num_classes = np.asarray(problem.train.targets).argmax(axis=1), problem.train.targets.shape[1]
    classes = [label for label in dict.fromkeys((2, 5, *range(num_classes))) if label in labels]
    rngs = [np.random.default_rng([settings.seed, index]) for index in range(settings.num_seeds)]
    return np.stack([listening_order(labels, rng.permutation(len(labels)), classes) for rng in rngs]), classes


def listening_order(labels: np.ndarray, shuffle: np.ndarray, classes: list[int]) -> np.ndarray:
    """The shuffle with the first example of each class moved to the front, in the order of `classes`."""
    firsts = np.array([shuffle[labels[shuffle] == label][0] for label in classes])
    return np.concatenate([firsts, shuffle[~np.isin(shuffle, firsts)]])
