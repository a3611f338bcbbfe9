"""Which layer is at fault: damage in one of them, and activations put back (activation patching); plain layers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from research import backprop
from research.backprop import Functions
from research.data import Examples
from research.models import Layer


def damaged(params: list[Layer], key: Key[Array, ""]) -> list[Layer]:
    """For every layer, the network with the weights of that layer shuffled: every leaf gains a leading layer axis.

    >>> layers = [Layer(jnp.array([[1.0, 2.0]]), jnp.zeros(1)), Layer(jnp.array([[3.0]]), jnp.zeros(1))]
    >>> damaged(layers, jax.random.key(0))[0].weights[1].tolist()  # the second is damaged: the first is as it was
    [[1.0, 2.0]]
    """
    networks = []
    for at_fault, layer in enumerate(params):
        shuffled = jax.random.permutation(jax.random.fold_in(key, at_fault), layer.weights.ravel())
        mixed = layer._replace(weights=shuffled.reshape(layer.weights.shape))
        networks.append([*params[:at_fault], mixed, *params[at_fault + 1 :]])
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)


def cost_when_patched(
    functions: Functions, broken: list[Layer], whole: list[Layer], few: Examples
) -> Float[Array, "layers"]:
    """The broken network's mean cost when one layer's activations are those of the whole network, for every layer.

    >>> two, three = (Layer(jnp.array([[number]]), jnp.zeros(1)) for number in (2.0, 3.0))
    >>> functions = Functions(lambda output, _: output[0], lambda z: z, lambda z: z)
    >>> one = Examples(jnp.ones((1, 1)), jnp.zeros((1, 1)))
    >>> cost_when_patched(functions, [two, three], [two, two], one).tolist()  # damage in the second layer
    [6.0, 4.0]
    """

    def activations(params: list[Layer], seen: Array) -> list[Array]:
        return backprop.feed_forward(params, seen, *functions[1:]).activations

    def of_one(example: Examples) -> Array:
        _, *restored, last = activations(whole, example.inputs)
        answers = [activations(broken[layer:], seen)[-1] for layer, seen in enumerate(restored, start=1)]
        return jnp.stack([functions.cost_fn(each, example.targets) for each in [*answers, last]])

    return jnp.mean(jax.lax.map(of_one, few, batch_size=100), axis=0)
