"""Descents in which some layers rest, and which share of the improvement each layer carries; networks of plain layers.

To first order a step -eta G lowers the cost by eta |G|^2, a sum over all parameters: every group has its share.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from research import training
from research.data import Examples
from research.models import Layer
from research.training import Step, TrainState


def go(params: list[Layer], grads: list[Layer], rate: Array | float, free: Float[Array, "layers"]) -> list[Layer]:
    """params - rate * grads in the layers where `free` is 1; where it is 0 a layer rests.

    >>> layers = [Layer(jnp.array([[2.0]]), jnp.array([4.0]))] * 2
    >>> [layer.biases.tolist() for layer in go(layers, layers, 0.5, jnp.array([0.0, 1.0]))]
    [[4.0], [2.0]]
    """
    return [
        jax.tree.map(lambda p, g, f=f: p - rate * f * g, layer, slopes)
        for layer, slopes, f in zip(params, grads, free, strict=True)
    ]


def at_once(objective: Callable, rate: float, free: Float[Array, "layers"]) -> Step:
    """All partial derivatives at the same point, then one step of the free layers together: the film's.

    >>> product = lambda params, batch: params[0].biases[0] * params[1].biases[0]
    >>> batch = Examples(jnp.zeros((1, 1)), jnp.zeros((1, 1)))
    >>> start = TrainState([Layer(jnp.zeros((1, 1)), jnp.array([bias])) for bias in (2.0, 3.0)], ())
    >>> state, cost = at_once(product, 1.0, jnp.ones(2))(start, batch)
    >>> [layer.biases.tolist() for layer in state.params], float(cost)
    ([[-1.0], [1.0]], 6.0)
    """

    def step(state: TrainState, batch: Examples) -> tuple[TrainState, Array]:
        cost, grads = jax.value_and_grad(objective)(state.params, batch)
        return TrainState(go(state.params, grads, rate, free), ()), cost

    return step


def last_first(objective: Callable, rate: float, last: Float[Array, "layers"]) -> Step:
    """First a step of the last layer, v; then one of all others, w, with their derivatives taken at the new v.

    >>> product = lambda params, batch: params[0].biases[0] * params[1].biases[0]
    >>> batch = Examples(jnp.zeros((1, 1)), jnp.zeros((1, 1)))
    >>> start = TrainState([Layer(jnp.zeros((1, 1)), jnp.array([bias])) for bias in (2.0, 3.0)], ())
    >>> state, _ = last_first(product, 1.0, jnp.array([0.0, 1.0]))(start, batch)
    >>> [layer.biases.tolist() for layer in state.params]  # v = 3 - 2, then w = 2 - 1
    [[1.0], [1.0]]
    """

    def step(state: TrainState, batch: Examples) -> tuple[TrainState, Array]:
        cost, grads = jax.value_and_grad(objective)(state.params, batch)
        with_new_v = go(state.params, grads, rate, last)
        return TrainState(go(with_new_v, jax.grad(objective)(with_new_v, batch), rate, 1 - last), ()), cost

    return step


def batches(key: Array, num_examples: int, batch_size: int, num_steps: int) -> Int[Array, "steps batch"]:
    """Rows of `num_steps` mini-batches, as many epochs of fresh shuffles as that takes.

    >>> batches(jax.random.key(0), num_examples=5, batch_size=2, num_steps=3).shape
    (3, 2)
    """
    num_epochs = -(-num_steps // (num_examples // batch_size))
    schedule = training.shuffled_schedule(key, num_examples, batch_size, num_epochs)
    return schedule.reshape(-1, batch_size)[:num_steps]


def squares(grads: list[Layer]) -> Float[Array, "layers 2"]:
    """|g|^2 of the weights and of the biases of every layer.

    >>> squares([Layer(jnp.array([[1.0, 2.0]]), jnp.array([3.0]))]).tolist()
    [[5.0, 9.0]]
    """
    return jnp.stack([jnp.stack([jnp.sum(weights**2), jnp.sum(biases**2)]) for weights, biases in grads])


def shares(grads: list[Layer]) -> Float[Array, "layers 2"]:
    """Which share of the first-order improvement, |G|^2 per unit of the learning rate, each group carries.

    >>> shares([Layer(jnp.array([[1.0]]), jnp.array([1.0])), Layer(jnp.array([[1.0]]), jnp.array([1.0]))]).tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    return squares(grads) / squares(grads).sum()
