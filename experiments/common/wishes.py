"""Every number of one example's way forward and back, and what the film says of it in words, each as a number.

`examine` holds the gradient by hand against `jax.grad`, and so the nudges of every layer, the pixels included; it asks
which weights' nudges are large and which sign a column has. Errors are relative, shares are shares of 1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, PyTree

from research import backprop
from research.backprop import Functions
from research.data import Examples
from research.models import Layer


class Numbers(NamedTuple):
    """One layer on one example's way forward and back; of many examples with a leading axis."""

    sums: Float[np.ndarray, "digits out"]
    activations: Float[np.ndarray, "digits out"]
    slopes: Float[np.ndarray, "digits out"]
    nudges: Float[np.ndarray, "digits out"]
    pulls: Float[np.ndarray, "digits out"]


class Checks(NamedTuple):
    """What is claimed of one example in one network; of many with leading axes."""

    by_hand: Float[np.ndarray, "networks seeds digits"]  # error of the gradient by hand against jax.grad
    nudges: Float[np.ndarray, "networks seeds digits"]  # of all activations, pixels included: error against jax.grad
    column_sum: Float[np.ndarray, "networks seeds digits"]  # error of the sum of columns against W^T pull
    brightness: Float[np.ndarray, "networks seeds digits"]  # neighbours by brightness whose nudges are in this order
    strongest: Float[np.ndarray, "networks seeds digits"]  # layers whose greatest strengthening joins the brightest and
    # the neuron that most wants to rise
    wanted: Float[np.ndarray, "networks seeds digits"]  # in columns of outputs that should rise: the weight's sign
    unwanted: Float[np.ndarray, "networks seeds digits"]  # in columns of the others: the opposite sign
    nudge_signs: Float[np.ndarray, "networks seeds digits"]  # share of outputs that are nudged towards their target
    proportional: Float[np.ndarray, "networks seeds digits"]  # largest distance of nudge / (y - a) from the film's 2


def tell(functions: Functions, params: list[Layer], example: Examples) -> tuple[Array, list[Numbers]]:
    """(nudges of the pixels, every number of every layer) of one example in one network."""
    sums, activations = backprop.feed_forward(params, example.inputs, *functions[1:])
    grads, nudges = backprop.backpropagate(params, example, *functions)
    slopes = map(backprop.slope, layer_functions(functions, params), sums)
    pulls = [-layer.biases for layer in grads]
    numbers: tuple[Any, ...] = (sums, activations[1:], slopes, nudges[1:], pulls)
    return nudges[0], [Numbers(*each) for each in zip(*numbers, strict=True)]


def layer_functions(functions: Functions, params: list[Layer]) -> list[Callable]:
    """The activation of every layer, first hidden one first."""
    return [*[functions.activation] * (len(params) - 1), functions.output_activation]


def examine(functions: Functions, one: Callable, params: list[Layer], example: Examples) -> Checks:
    """Every check of one example; `one` is its cost as a function of the parameters."""
    grads, nudges = backprop.backpropagate(params, example, *functions)
    activations = backprop.feed_forward(params, example.inputs, *functions[1:]).activations
    pulls = [-layer.biases for layer in grads]
    asked = list(map(backprop.avenues, params, pulls, activations[:-1]))
    weight_nudges, columns = [each.weights for each in asked], asked[-1].columns
    distance, signs = example.targets - activations[-1], jnp.sign(params[-1].weights)
    column_errors = [
        relative_error(each.columns.sum(axis=0), layer.weights.T @ pull)
        for each, layer, pull in zip(asked, params, pulls, strict=True)
    ]
    checks: dict[str, Any] = {
        "by_hand": relative_error(grads, jax.grad(one)(params, example)),
        "nudges": relative_error(nudges, nudges_by_autodiff(functions, params, activations, example.targets)),
        "column_sum": jnp.max(jnp.stack(column_errors)),
        "brightness": jnp.min(jnp.stack(list(map(share_in_order, weight_nudges, activations[:-1])))),
        "strongest": share(jnp.stack(list(map(strongest_joins_brightest, weight_nudges, pulls, activations[:-1])))),
        "wanted": share(jnp.sign(columns) == signs, (pulls[-1] > 0)[:, None] & (signs != 0)),
        "unwanted": share(jnp.sign(columns) == -signs, (pulls[-1] < 0)[:, None] & (signs != 0)),
        "nudge_signs": share(jnp.sign(nudges[-1]) == jnp.sign(distance)),
        "proportional": jnp.max(jnp.abs(nudges[-1] / distance - 2)),
    }
    return Checks(**checks)


def nudges_by_autodiff(
    functions: Functions, params: list[Layer], activations: list[Array], target: Array
) -> list[Array]:
    """-dC/da of every layer: jax.grad of the cost that the layers after it make of its activations."""

    def cost_from(layer: int, activations: Array) -> Array:
        for after, activate in zip(params[layer:], layer_functions(functions, params)[layer:], strict=True):
            activations = activate(after.weights @ activations + after.biases)
        return functions.cost_fn(activations, target)

    return [-jax.grad(partial(cost_from, layer))(seen) for layer, seen in enumerate(activations)]


def relative_error(found: PyTree, wanted: PyTree) -> Array:
    """|found - wanted| / |wanted| over all leaves; 0 where both are nothing."""
    distance, length = optax.tree.norm(jax.tree.map(jnp.subtract, found, wanted)), jnp.asarray(optax.tree.norm(wanted))
    return jnp.asarray(distance / jnp.maximum(length, jnp.finfo(length.dtype).tiny))


def share_in_order(weight_nudges: Array, activations: Array) -> Array:
    """Share of neighbours, sorted by brightness, of which the brighter has the larger (or the same) nudge."""
    sizes = jnp.abs(weight_nudges)[:, jnp.argsort(jnp.abs(activations))]
    return share(sizes[:, 1:] >= sizes[:, :-1])


def strongest_joins_brightest(weight_nudges: Array, pull: Array, activations: Array) -> Array:
    """Whether no weight is strengthened more than that from the brightest neuron to the one pulled up most.
    True too where no neuron of the layer is pulled up, for there is nothing to strengthen there. It need not be where
    activations are below 0."""
    return (pull.max() <= 0) | (weight_nudges[jnp.argmax(pull), jnp.argmax(activations)] == weight_nudges.max())


def share(holds: Array, among: Array | bool = True) -> Array:
    """Share of the entries for which it holds, of all or of those `among`; 1 where there are none."""
    among = jnp.broadcast_to(among, holds.shape)
    return jnp.where(among.any(), jnp.sum(among & holds) / jnp.maximum(jnp.sum(among), 1), 1.0)


def few_of_each(labels: np.ndarray, most: int) -> np.ndarray:
    """Rows of the first few examples of each class, equally many of each and no more than `most` in all.

    >>> few_of_each(np.array([1, 0, 1, 1, 0]), 4).tolist()
    [0, 1, 2, 4]
    """
    classes = np.unique(labels)[:most]
    return np.sort(np.concatenate([np.flatnonzero(labels == each)[: most // len(classes)] for each in classes]))
