"""What rules of learning ask of the weights of plain layers: backpropagation, feedback alignment, and Hebb's."""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
from jax import Array

from research import backprop
from research.backprop import Functions
from research.data import Examples
from research.models import Layer


def requests(functions: Functions, params: list[Layer], backwards: list[Layer], example: Examples) -> list[Layer]:
    """What one example asks of weights and biases when its wishes go backwards through the weights of `backwards`:
    through those of the network itself it is minus the gradient."""
    sums, seen = backprop.feed_forward(params, example.inputs, *functions[1:])
    wish, asked = -jax.grad(functions.cost_fn)(seen[-1], example.targets), []
    activate = [*[functions.activation] * (len(params) - 1), functions.output_activation]
    for layer in reversed(range(len(params))):
        pull = wish * backprop.slope(activate[layer], sums[layer])
        asked.insert(0, Layer(jnp.outer(pull, seen[layer]), pull))
        wish = backwards[layer].weights.T @ pull
    return asked


def hebbs(functions: Functions, params: list[Layer], example: Examples) -> list[Layer]:
    """What fires together wires together: activation x activation before, for biases x 1."""
    seen = backprop.feed_forward(params, example.inputs, *functions[1:]).activations
    return [Layer(jnp.outer(after, before), after) for before, after in pairwise(seen)]


def correlation(pull: Array, after: Array, before: Array) -> Array:
    """Of pull_j x before_k with after_j x before_k over all weights jk: means of products are products of means."""
    square, mean = jnp.mean(before**2), jnp.mean(before)

    def covariance(one: Array, other: Array) -> Array:
        return jnp.mean(one * other) * square - jnp.mean(one) * jnp.mean(other) * mean**2

    return covariance(pull, after) / jnp.sqrt(covariance(pull, pull) * covariance(after, after))


def first_order(num_outputs: int) -> float:
    """The correlation before training, to first order in weights of variance 1/n about activations of 1/2.
    Then v = Var(a_k) = 1/64 in the layer before, Var(a_j) = (1/4 + v)/16, and pull_j = +-1/4 - (a_j - 1/2)/2.

    >>> round(first_order(10), 2)
    -0.47
    """
    variance = 1 / 64
    square = 1 / 4 + variance
    spread, mean = square / 16, (2 - num_outputs) / num_outputs / 4
    both = (mean / 2 - spread / 2) * square - mean / 2 / 4
    pulls, outputs = (1 / 16 + spread / 4) * square - mean**2 / 4, (1 / 4 + spread) * square - 1 / 16
    return both / math.sqrt(pulls * outputs)
