"""Every number of one example's way forward and back, and the laws that they obey, each as a number.

`examine` measures on one example in one network what the film says of it in words: which requests are large, which sign
a column has, which weights are strengthened. The gradient by hand is held against `jax.grad`, and so are the nudges of
every layer, the pixels included. Errors are relative, shares are shares of 1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import PyTree

from research import backprop, data
from research.backprop import Functions
from research.data import Examples
from research.models import Layer


class Numbers(NamedTuple):
    """One layer of one example's way forward and back."""

    sums: Array
    activations: Array
    slopes: Array
    nudges: Array
    pulls: Array


def tell(functions: Functions, params: list[Layer], example: Examples) -> tuple[Array, list[Numbers]]:
    """(nudges of the pixels, every number of every layer) of one example in one network."""
    sums, activations = backprop.feed_forward(params, example.inputs, *functions[1:])
    grads, nudges = backprop.backpropagate(params, example, *functions)
    slopes = [backprop.slope(*pair) for pair in zip(layer_functions(functions, params), sums, strict=True)]
    pulls = [-layer.biases for layer in grads]
    return nudges[0], [Numbers(*each) for each in zip(sums, activations[1:], slopes, nudges[1:], pulls, strict=True)]


def layer_functions(functions: Functions, params: list[Layer]) -> list[Callable]:
    """The activation of every layer, first hidden one first."""
    return [*[functions.activation] * (len(params) - 1), functions.output_activation]


def examine(functions: Functions, one: Callable, params: list[Layer], example: Examples) -> tuple[dict, list[Array]]:
    """(every check of one example but the rank, its requests for the weights of every layer); `one` is the cost of one
    example as a function of the parameters."""
    grads, nudges = backprop.backpropagate(params, example, *functions)
    *befores, output = backprop.feed_forward(params, example.inputs, *functions[1:]).activations
    pulls = [-layer.biases for layer in grads]
    asked = list(map(backprop.avenues, params, pulls, befores))
    requests, last, target = [each.weights for each in asked], asked[-1], example.targets
    signs = jnp.sign(params[-1].weights)
    rises = (last.biases > 0)[:, None] & (signs != 0)
    falls = (last.biases < 0)[:, None] & (signs != 0)
    behind_dark = (jnp.max(jnp.abs(w), where=(a == 0)[None], initial=0) for w, a in zip(requests, befores, strict=True))
    checks = {
        "by_hand": relative_error(grads, jax.grad(one)(params, example)),
        "nudges": relative_error(nudges, nudges_by_autodiff(functions, params, example)),
        "column_sum": worst(map(column_error, params, pulls, asked)),
        "brightness": -worst(-share_in_order(*pair) for pair in zip(requests, befores, strict=True)),
        "dark": worst(behind_dark),
        "strongest": mean_of(jnp.array(list(map(strongest_joins_brightest, requests, pulls, befores)))),
        "wanted": share(rises, jnp.sign(last.columns) == signs),
        "unwanted": share(falls, jnp.sign(last.columns) == -signs),
        "drawn_wrong": share(rises | falls, jnp.sign(last.columns) != signs),
        "weakened": share(last.weights != 0, last.weights < 0),
        "nudge_signs": mean_of(jnp.sign(nudges[-1]) == jnp.sign(target - output)),
        "proportional": jnp.max(jnp.abs(nudges[-1] / (target - output) - 2)),
    }
    return checks, requests


def nudges_by_autodiff(functions: Functions, params: list[Layer], example: Examples) -> list[Array]:
    """-dC/da of every layer, by jax.grad with respect to a shift that is added to its activations."""

    def cost(shifts: list[Array]) -> Array:
        activations = data.unit_interval(example.inputs) + shifts[0]
        for layer, activate, shift in zip(params, layer_functions(functions, params), shifts[1:], strict=True):
            activations = activate(layer.weights @ activations + layer.biases) + shift
        return functions.cost_fn(activations, example.targets)

    sizes = [params[0].weights.shape[1], *(len(layer.biases) for layer in params)]
    return jax.tree.map(jnp.negative, jax.grad(cost)([jnp.zeros(size) for size in sizes]))


def column_error(layer: Layer, pull: Array, asked: backprop.Avenues) -> Array:
    """Relative error of the sum of a layer's columns against W^T pull."""
    return relative_error(asked.columns.sum(axis=0), layer.weights.T @ pull)


def relative_error(found: PyTree, wanted: PyTree) -> Array:
    """|found - wanted| / |wanted| over all leaves; 0 where both are nothing."""
    distance, length = optax.tree.norm(jax.tree.map(jnp.subtract, found, wanted)), jnp.asarray(optax.tree.norm(wanted))
    return jnp.asarray(distance / jnp.maximum(length, jnp.finfo(length.dtype).tiny))


def share_in_order(requests: Array, activations: Array) -> Array:
    """Share of neighbours, sorted by brightness, of which the brighter has the bigger (or the same) request."""
    sizes = jnp.abs(requests)[:, jnp.argsort(jnp.abs(activations))]
    return mean_of(sizes[:, 1:] >= sizes[:, :-1]) if sizes.shape[1] > 1 else jnp.float32(1)


def distance_from_rank_one(requests: Array | np.ndarray) -> np.ndarray:
    """The second singular value over the first, of every matrix; 0 where there is no second.

    By numpy: jax's SVD, called from several CPU devices inside one program, can wait for itself for ever.

    >>> bool(distance_from_rank_one(np.outer([1.0, 2.0], [3.0, -4.0])) < 1e-15)
    True
    """
    values = np.linalg.svd(np.asarray(requests, float), compute_uv=False)
    shares = values[..., 1:2] / np.maximum(values[..., :1], np.finfo(np.float32).tiny)
    return np.asarray(np.max(shares, axis=-1, initial=0.0))


def strongest_joins_brightest(requests: Array, pull: Array, activations: Array) -> Array:
    """Whether no weight gets more strengthening than that from the brightest neuron to the one pulled up most.

    True too where no neuron of the layer is pulled up, for there is nothing to strengthen there. It need not be where
    activations are below 0.
    """
    return (pull.max() <= 0) | (requests[jnp.argmax(pull), jnp.argmax(activations)] == requests.max())


def mean_of(holds: Array) -> Array:
    """Share of the entries that hold, exactly 1 where all do: a mean of n ones may be rounded."""
    return 1 - jnp.mean(~holds)


def share(among: Array, holds: Array) -> Array:
    """Share of the entries of `among` for which it holds; 1 where there are none."""
    return jnp.where(among.any(), jnp.sum(among & holds) / jnp.maximum(jnp.sum(among), 1), 1.0)


def worst(values: Any) -> Array:
    """The largest of some numbers."""
    return jnp.max(jnp.stack(list(values)))


def few_of_each(labels: np.ndarray, most: int) -> np.ndarray:
    """Rows of the first few examples of each class, equally many of each and no more than `most` in all.

    >>> few_of_each(np.array([1, 0, 1, 1, 0]), 4).tolist()
    [0, 1, 2, 4]
    """
    classes = np.unique(labels)[:most]
    return np.sort(np.concatenate([np.flatnonzero(labels == each)[: most // len(classes)] for each in classes]))
