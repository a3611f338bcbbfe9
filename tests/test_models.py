"""The network against the film's numbers and a loop over single weights."""

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest

from research import models

ACTIVATIONS = {"sigmoid": plain.sigmoid, "relu": lambda z: max(z, 0.0), "tanh": np.tanh}


def test_the_films_network_has_13002_parameters():
    layers = models.mlp().init(jax.random.key(0))
    counts = [(layer.weights.size, layer.biases.size) for layer in layers]
    assert counts == [(784 * 16, 16), (16 * 16, 16), (16 * 10, 10)]
    assert sum(map(sum, counts)) == 13_002


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("layer_sizes", [(3, 2), (3, 4, 2), (3, 4, 1, 5, 2)])
def test_apply_equals_a_loop_over_single_weights(name, layer_sizes, x64):
    key, inputs_key = jax.random.split(jax.random.key(1))
    model = models.mlp(layer_sizes, getattr(jax.nn, name), jax.nn.sigmoid, init_biases=models.unit_normal)
    params = model.init(key)
    inputs = jax.random.normal(inputs_key, layer_sizes[:1], jnp.float32)

    activations = [float(value) for value in inputs]
    for depth, (weights, biases) in enumerate(params, start=1):
        activate = ACTIVATIONS["sigmoid" if depth == len(params) else name]
        activations = [
            activate(sum(float(w) * a for w, a in zip(row, activations, strict=True)) + float(b))
            for row, b in zip(weights, biases, strict=True)
        ]
    np.testing.assert_allclose(model.apply(params, inputs), activations, rtol=1e-6)


@pytest.mark.parametrize("num_in", [4, 784])
def test_scaled_normal_has_variance_one_over_the_number_of_inputs(num_in):
    weights = models.scaled_normal(jax.random.key(2), (5000, num_in), jnp.float32)
    relative_error = 4 * np.sqrt(2 / weights.size)  # four standard errors of a variance
    assert float(jnp.var(weights)) * num_in == pytest.approx(1, rel=relative_error)


def test_biases_start_at_zero_and_weights_do_not():
    for layer in models.mlp().init(jax.random.key(3)):
        assert not layer.biases.any()
        assert layer.weights.all()


def test_a_layers_start_does_not_depend_on_the_layers_behind_it():
    key = jax.random.key(4)
    short, long = models.mlp((6, 5, 4)).init(key), models.mlp((6, 5, 4, 3)).init(key)
    np.testing.assert_array_equal(short[0].weights, long[0].weights)
    np.testing.assert_array_equal(short[1].weights, long[1].weights)


@pytest.mark.parametrize("layer_sizes", [(), (784,), (784, 0, 10)])
def test_impossible_layer_sizes_are_refused(layer_sizes):
    with pytest.raises(ValueError, match="layer_sizes is"):
        models.mlp(layer_sizes)
