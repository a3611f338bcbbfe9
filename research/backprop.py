"""Backpropagation by hand: what one example asks for, layer by layer, from the outputs back to the pixels.

No automatic differentiation goes through the network: `jax.grad` is asked only for the derivative of the cost at the
outputs and for that of the activation, a function of one number. Nudges and pulls are written in the film's direction,
as what should CHANGE to lower the cost: minus the derivative. Layer 0 is the pixels, layer L = len(params) the outputs.

    z_l = W_l a_{l-1} + b_l,   a_l = activation(z_l)
    nudge_l = -dC/da_l                       what the activations should do
    pull_l  = -dC/dz_l = nudge_l * activation'(z_l)
    three avenues of neuron j:  bias pull_j,  weight pull_j a_k,  previous activation pull_j w_jk
    nudge_{l-1} = sum over j of column j = W_l^T pull_l      and so on, backwards
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from research.data import Examples, unit_interval
from research.models import Activation, Layer


class Forward(NamedTuple):
    """Every number of one forward pass."""

    weighted_sums: list[Array]  # z_1 .. z_L
    activations: list[Array]  # a_0 .. a_L


class Avenues(NamedTuple):
    """What the neurons of one layer ask for, each along its three avenues."""

    biases: Float[Array, "out"]  # pull_j
    weights: Float[Array, "out in"]  # pull_j a_k: of rank one; nothing where the neuron before is dark
    columns: Float[Array, "out in"]  # pull_j w_jk: row j is what neuron j wants from the layer before


class Backward(NamedTuple):
    """The gradient of one example's cost, and its wishes for every layer of activations."""

    grads: list[Layer]  # dC/dW, dC/db: the descent step goes the other way
    nudges: list[Array]  # nudges[l] = -dC/da of layer l, the pixels (0) to the outputs


class Functions(NamedTuple):
    """What a network of plain layers computes with, besides its parameters."""

    cost_fn: Callable
    activation: Activation
    output_activation: Activation


def feed_forward(params: list[Layer], inputs: Array, activation: Activation, output_activation: Activation) -> Forward:
    """All weighted sums and activations of one example; `activations[-1]` is what the network answers.

    >>> params = [Layer(jnp.array([[2.0, 1.0]]), jnp.array([-1.0]))]
    >>> feed_forward(params, jnp.array([1.0, 0.5]), jnp.tanh, lambda z: z).activations[-1].tolist()
    [1.5]
    """
    check_plain(params)
    weighted_sums, activations = [], [unit_interval(inputs)]
    for layer, activate in zip(params, _activations_of(params, activation, output_activation), strict=True):
        weighted_sums.append(layer.weights @ activations[-1] + layer.biases)
        activations.append(activate(weighted_sums[-1]))
    return Forward(weighted_sums, activations)


def slope(activation: Activation, weighted_sums: Float[Array, "n"]) -> Float[Array, "n"]:
    """activation'(z) of every neuron; the activation must work on each number alone (softmax does not).

    >>> slope(jnp.tanh, jnp.array([0.0])).tolist()
    [1.0]
    """
    return jax.vmap(jax.grad(activation))(weighted_sums)


def avenues(layer: Layer, pull: Float[Array, "out"], previous: Float[Array, "in"]) -> Avenues:
    """The three avenues of every neuron of one layer, given how hard each is pulled and what it sees.

    >>> asked = avenues(Layer(jnp.array([[3.0, -1.0]]), jnp.array([0.0])), jnp.array([0.5]), jnp.array([1.0, 0.0]))
    >>> asked.biases.tolist(), asked.weights.tolist(), asked.columns.tolist()
    ([0.5], [[0.5, 0.0]], [[1.5, -0.5]])
    """
    return Avenues(biases=pull, weights=jnp.outer(pull, previous), columns=pull[:, None] * layer.weights)


def backpropagate(
    params: list[Layer], example: Examples, cost_fn: Callable, activation: Activation, output_activation: Activation
) -> Backward:
    """The film's routine for one example: the wishes of the outputs, then backwards, layer by layer.
    For any cost of (output, target) and any activations that work number by number. The gradient equals that of
    `jax.grad`. Raises ValueError if `params` is not a list of `Layer`.
    Source: the film from 3:30 on; Nielsen, chapter 2, BP1-BP4.

    >>> params = [Layer(jnp.array([[2.0]]), jnp.array([0.0]))]
    >>> example = Examples(jnp.array([1.0]), jnp.array([0.0]))  # C = (2 x)^2
    >>> backward = backpropagate(params, example, lambda output, target: output[0] ** 2, jnp.tanh, lambda z: z)
    >>> backward.grads[0].weights.tolist(), backward.nudges[0].tolist()
    ([[4.0]], [-8.0])
    """
    weighted_sums, activations = feed_forward(params, example.inputs, activation, output_activation)
    nudges = [-jax.grad(cost_fn)(activations[-1], example.targets)]
    grads = []
    functions = _activations_of(params, activation, output_activation)
    for layer, activate, sums, previous in zip(
        reversed(params), reversed(functions), reversed(weighted_sums), reversed(activations[:-1]), strict=True
    ):
        asked = avenues(layer, nudges[0] * slope(activate, sums), previous)
        grads.insert(0, Layer(weights=-asked.weights, biases=-asked.biases))
        nudges.insert(0, asked.columns.sum(axis=0))
    return Backward(grads, nudges)


def check_plain(params: list[Layer]) -> None:
    """Raises ValueError unless `params` is a list of `Layer`, the only network that is followed by hand."""
    if not (isinstance(params, list) and params and all(isinstance(layer, Layer) for layer in params)):
        raise ValueError(
            "backpropagation by hand needs plain layers, a list of research.models.Layer as from models.mlp, but got "
            f"{type(params).__name__}; for other models use jax.grad"
        )


def _activations_of(params: list[Layer], activation: Activation, output_activation: Activation) -> list[Activation]:
    return [*[activation] * (len(params) - 1), output_activation]
