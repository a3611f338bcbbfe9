"""Damage on a network whose weights are known, and a cost that is known when activations are put back."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_examples, make_params

from research import costs, data, gradients, patching
from research.backprop import Functions
from research.models import Layer, mlp

FILM = Functions(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)


def test_damage_shuffles_the_weights_of_one_layer_and_touches_nothing_else():
    rng = np.random.default_rng(0)
    params = [
        Layer(jnp.array(rng.normal(size=(4, 3))), jnp.ones(4)),
        Layer(jnp.array(rng.normal(size=(2, 4))), jnp.ones(2)),
    ]
    networks = jax.jit(patching.damaged)(params, jax.random.key(0))
    for at_fault in (0, 1):
        for index, (layer, whole) in enumerate(zip(networks, params, strict=True)):
            assert (layer.weights[at_fault] == whole.weights).all() == (index != at_fault)
            np.testing.assert_array_equal(
                np.sort(layer.weights[at_fault], axis=None), np.sort(whole.weights, axis=None)
            )
            np.testing.assert_array_equal(layer.biases[at_fault], whole.biases)


def test_patched_at_the_damaged_layer_or_behind_it_the_network_is_whole_and_before_it_nothing_changes(x64):
    """Against the network with its first layers exchanged for those of the undamaged one: the same activations."""
    whole, few = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 4)
    broken = data.take(jax.jit(patching.damaged)(whole, jax.random.key(2)), 1)  # the second of three layers
    costs_when_patched = jax.jit(partial(patching.cost_when_patched, FILM))(broken, whole, few)
    cost = gradients.mean_over_examples(gradients.example_cost(mlp((12, 5, 6, 4)).apply, costs.sum_of_squares))
    wanted = [cost([*whole[:layer], *broken[layer:]], few) for layer in (1, 2, 3)]
    np.testing.assert_allclose(costs_when_patched, wanted, rtol=1e-12)
    assert float(wanted[0]) == pytest.approx(float(cost(broken, few)))
    assert float(wanted[1]) == pytest.approx(float(cost(whole, few)))
