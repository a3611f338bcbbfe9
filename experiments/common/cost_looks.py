"""Three looks at one cost, for which nothing is trained: are its gradients right, what do the outputs ask for, how far
do the examples scatter?"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import runs
from experiments.common.problem import Problem, plain_layers
from research import backprop, data, gradients, models, statistics
from research.data import Examples

CHECKED = 100  # examples over which gradients are checked, in float64
DIRECTIONS = 20  # random directions of the central differences
EPSILON = 1e-5  # and their step
BY_HAND = "new_cost follows what the outputs ask for by hand"


class Wishes(NamedTuple):
    targets: Float[np.ndarray, "examples classes"]
    outputs: Float[np.ndarray, "examples classes"]
    nudges: Float[np.ndarray, "examples classes"]  # -dC/da
    deltas: Float[np.ndarray, "examples classes"]  # dC/dz


class Scatter(NamedTuple):
    """From the gradients of all examples, before training and after it."""

    noise_scale: Float[np.ndarray, "seeds 2"]  # tr Sigma / |G|^2: the batch size at which noise and signal are equal
    average_error: Float[np.ndarray, "seeds 2"]  # |average of all gradients - gradient of the mean| over |g_i|


def check_gradients(problem: Problem, params: list) -> tuple[float, float]:
    """In float64: largest deviation of jax.grad from backpropagation by hand over the largest component, and of its
    slopes along random directions from central differences over their root mean square."""
    functions = (problem.cost_fn, *plain_layers(problem, BY_HAND))
    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    ways = np.random.default_rng(0).standard_normal((DIRECTIONS, num_parameters)) / num_parameters**0.5

    def three_ways(params: list, ways: Array, examples: Examples) -> tuple[Array, Array, Array]:
        point, unravel = ravel_pytree(params)

        def hill(point: Array) -> Array:
            return gradients.mean_over_examples(problem.example_cost)(unravel(point), examples)

        one_by_one = jax.vmap(lambda example: backprop.backpropagate(params, example, *functions).grads)
        both_ways = EPSILON * jnp.stack([ways, -ways], axis=1).reshape(-1, len(point))
        ends = jax.lax.map(lambda step: hill(point + step), both_ways)
        by_hand = ravel_pytree(gradients.average(one_by_one(examples)))[0]
        return jax.grad(hill)(point), by_hand, (ends[::2] - ends[1::2]) / (2 * EPSILON)

    few = data.take(problem.train, slice(CHECKED))
    grad, by_hand, rises = runs.in_float64(jax.jit(three_ways))(params, ways, few)
    off = abs(rises - ways @ grad).max() / (rises**2).mean() ** 0.5
    return float(abs(grad - by_hand).max() / abs(grad).max()), float(off)


def wishes(problem: Problem, params: list, examples: Examples) -> Wishes:
    """Every example's outputs, nudges and deltas, by backpropagation by hand."""
    activations = plain_layers(problem, BY_HAND)

    def of_one(example: Examples) -> tuple[Array, ...]:
        backward = backprop.backpropagate(params, example, problem.cost_fn, *activations)
        outputs = backprop.feed_forward(params, example.inputs, *activations).activations[-1]
        return example.targets, outputs, backward.nudges[-1], backward.grads[-1].biases

    in_unit = examples._replace(inputs=data.unit_interval(examples.inputs))
    return Wishes(*map(np.asarray, jax.jit(jax.vmap(of_one))(in_unit)))


def scatters(problem: Problem, places: Sequence[models.Params], examples: Examples) -> Scatter:
    """At the start and at the end, of every seed: every leaf of a place leads with a seed axis."""
    of_seeds = runs.over_seeds(partial(scatter, problem), (0, None))
    found = [of_seeds(place, examples) for place in places]
    return Scatter(*(np.stack(each, axis=1) for each in zip(*found, strict=True)))


def scatter(problem: Problem, params: models.Params, examples: Examples) -> tuple[Array, Array]:
    """The fields of Scatter for one seed at one place; for any network."""
    found = problem.explicit.moments(params, examples)
    off = jax.tree.map(jnp.subtract, found.mean, jax.grad(problem.cost)(params, examples))
    error = jnp.sqrt(statistics.squared_norm(off)) / jnp.sqrt(jnp.mean(found.squared_norms))
    return statistics.noise_scale(found), error


def a_real_two(train: Examples) -> Examples:
    """The first 2 of the training images (of the last class where there are fewer than three): one row."""
    labels = np.asarray(train.targets).argmax(axis=1)
    row = int(np.argmax(labels == min(2, train.targets.shape[-1] - 1)))
    return data.take(train, slice(row, row + 1))
