"""Models: a pair of pure functions (init, apply), written for ONE example.

The film's network is `mlp()`: 784 pixels, two hidden layers of 16, 10 outputs, 13,002 parameters.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

Params = PyTree[Float[Array, "..."]]
Activation = Callable[[Array], Array]


class Layer(NamedTuple):
    """One layer's parameters, in the film's order: W a + b. Row j of W belongs to neuron j."""

    weights: Float[Array, "out in"]
    biases: Float[Array, "out"]


class Model(NamedTuple):
    """A model is what makes parameters and what turns ONE input into one output with them."""

    init: Callable[[Key[Array, ""]], Params]
    apply: Callable[[Params, Float[Array, "in"]], Float[Array, "out"]]


# N(0, 1/n) weights, n the number of inputs of the neuron: every weighted sum starts of order one.
scaled_normal = jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal", in_axis=-1, out_axis=-2)
# N(0, 1), whatever n: the start of the program in Nielsen's first chapter.
unit_normal = jax.nn.initializers.normal(1.0)


def mlp(
    layer_sizes: Sequence[int] = (784, 16, 16, 10),
    activation: Activation = jax.nn.sigmoid,
    output_activation: Activation = jax.nn.sigmoid,
    *,
    init_weights: jax.nn.initializers.Initializer = scaled_normal,
    init_biases: jax.nn.initializers.Initializer = jax.nn.initializers.zeros,
) -> Model:
    """The film's network: a_l = activation(W_l a_{l-1} + b_l), the last layer with its own activation.
    Its parameters, sum_l n_l (n_{l-1} + 1) of them, are a list of `Layer`. The random numbers of layer l do not depend
    on how many layers follow it. Raises ValueError if there are fewer than two layer sizes or one of them is below 1.

    >>> model = mlp()
    >>> params = model.init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(params)), model.apply(params, jnp.zeros(784)).shape
    (13002, (10,))
    """
    if len(layer_sizes) < 2 or min(layer_sizes) < 1:
        raise ValueError(f"layer_sizes is {tuple(layer_sizes)}; it needs two or more, each 1 or more: 784 16 16 10")

    def init(key: Key[Array, ""]) -> list[Layer]:
        layers = []
        for index, (num_in, num_out) in enumerate(pairwise(layer_sizes)):
            weights_key, biases_key = jax.random.split(jax.random.fold_in(key, index))
            weights = init_weights(weights_key, (num_out, num_in), jnp.float32)
            layers.append(Layer(weights, init_biases(biases_key, (num_out,), jnp.float32)))
        return layers

    def apply(params: list[Layer], inputs: Float[Array, "in"]) -> Float[Array, "out"]:
        activations = inputs
        for layer in params[:-1]:
            activations = activation(layer.weights @ activations + layer.biases)
        return output_activation(params[-1].weights @ activations + params[-1].biases)

    return Model(init, apply)
