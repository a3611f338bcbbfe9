"""Flax modules as models: with the same weights they are the plain network, and they go through the same functions."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import make_examples, make_params
from flax import linen, nnx
from jax.flatten_util import ravel_pytree

from research import costs, flax_models, gradients, models, statistics, training

SIZES = (12, 5, 4)
PLAIN = models.mlp(SIZES)


class Plain(nnx.Module):
    """The film's kind of network in nnx."""

    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(*pair, rngs=rngs) for pair in pairwise(SIZES)])

    def __call__(self, inputs):
        for layer in self.layers:
            inputs = jax.nn.sigmoid(layer(inputs))
        return inputs


class PlainLinen(linen.Module):
    """The same in linen."""

    @linen.compact
    def __call__(self, inputs):
        for size in SIZES[1:]:
            inputs = jax.nn.sigmoid(linen.Dense(size)(inputs))
        return inputs


def for_nnx(layers):
    return {"layers": {index: for_dense(layer) for index, layer in enumerate(layers)}}


def for_linen(layers):
    return {f"Dense_{index}": for_dense(layer) for index, layer in enumerate(layers)}


def for_dense(layer):
    return {"kernel": np.swapaxes(layer.weights, -1, -2), "bias": np.asarray(layer.biases)}


KINDS = {
    "nnx": (flax_models.from_nnx(Plain), for_nnx),
    "linen": (flax_models.from_linen(PlainLinen(), SIZES[0]), for_linen),
}
each_kind = pytest.mark.parametrize(("model", "convert"), KINDS.values(), ids=KINDS)


def check_same(found, wanted, tolerance):
    """Compares two pytrees of one structure, relative to the norm of the wanted."""
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    found, wanted = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for tree in (found, wanted))
    assert np.linalg.norm(found - wanted) <= tolerance * np.linalg.norm(wanted)


@partial(jax.jit, static_argnums=0)
def all_of(model, params, examples):
    """(outputs, per-example gradients, params after five steps of descent, costs on the way)."""
    one, optimizer = gradients.example_cost(model.apply, costs.sum_of_squares), optax.sgd(0.7)
    outputs = jax.vmap(model.apply, (None, 0))(params, examples.inputs)
    step = training.make_step(gradients.mean_over_examples(one), optimizer)
    state = training.TrainState(params, optimizer.init(params))
    state, history = training.full_batch_descent(step, state, examples, 1, 5, lambda state: ())
    return outputs, gradients.per_example_gradients(one)(params, examples), state.params, history.costs


def check_equal_to_the_plain_network(model, convert, tolerance):
    layers, examples = make_params(jax.random.key(0), SIZES), make_examples(jax.random.key(1), 9)
    outputs, nudges, end, seen = all_of(PLAIN, layers, examples)
    wanted_of_flax = outputs, convert(nudges), convert(end), seen
    for each, wanted in zip(all_of(model, convert(layers), examples), wanted_of_flax, strict=True):
        check_same(each, wanted, tolerance)


@each_kind
def test_the_same_weights_give_the_plain_networks_outputs_gradients_and_path_float64(model, convert, x64):
    check_equal_to_the_plain_network(model, convert, 1e-13)


def test_the_same_weights_give_the_plain_networks_outputs_gradients_and_path_float32():
    check_equal_to_the_plain_network(*KINDS["nnx"], 1e-6)


@each_kind
def test_parameters_are_plain_arrays_that_flatten_and_come_back(model, convert):
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(model.init, jax.random.key(2)))
    assert jax.tree.structure(params) == jax.tree.structure(convert(make_params(jax.random.key(0), SIZES)))
    flat, unflatten = ravel_pytree(params)
    assert flat.shape == (sum(after * (before + 1) for before, after in pairwise(SIZES)),)
    check_same(unflatten(flat), params, 0)


def test_starts_of_many_seeds_by_vmap_under_jit_are_those_of_a_loop():
    model, keys = KINDS["nnx"][0], jax.random.split(jax.random.key(3), 3)
    together = jax.jit(jax.vmap(model.init))(keys)
    init = jax.jit(model.init)
    for index, key in enumerate(keys):
        check_same(jax.tree.map(lambda leaf, at=index: leaf[at], together), init(key), 1e-6)
    kernels = [np.asarray(leaf) for leaf in jax.tree.leaves(together) if leaf.ndim == 3]
    assert all((leaf[0] != leaf[1]).any() for leaf in kernels)


def test_a_convolution_has_per_example_gradients_whose_average_is_the_gradient(x64):
    def shifted(rngs):  # 12 pixels as 4 x 3, one filter of 2 x 2 with stride 2, then one weighted sum a class
        return nnx.Sequential(
            lambda pixels: pixels.reshape(4, 3, 1),
            nnx.Conv(1, 2, (2, 2), strides=2, padding="VALID", rngs=rngs),
            jnp.ravel,
            nnx.Linear(4, 4, rngs=rngs),
        )

    model, examples = flax_models.from_nnx(shifted), make_examples(jax.random.key(4), 7)
    rng, shapes = np.random.default_rng(5), jax.eval_shape(model.init, jax.random.key(5))
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), shapes)
    one = gradients.example_cost(model.apply, costs.softmax_cross_entropy)
    found = jax.jit(statistics.moments(one, chunk_size=7))(params, examples)
    check_same(found.mean, jax.jit(jax.grad(gradients.mean_over_examples(one)))(params, examples), 1e-13)
    kernel, bias = (np.asarray(params["layers"][1][name]) for name in ("kernel", "bias"))
    patches = np.asarray(examples.inputs[0]).reshape(4, 3)
    by_hand = [np.tensordot(patches[2 * row : 2 * row + 2, :2], kernel[:, :, 0], 2) + bias for row in range(2)]
    last = params["layers"][3]
    outputs = np.concatenate(by_hand) @ np.asarray(last["kernel"]) + np.asarray(last["bias"])
    np.testing.assert_allclose(model.apply(params, examples.inputs[0]), outputs, rtol=1e-12)


def test_batch_statistics_and_dropout_are_refused_with_one_sentence():
    refused = [
        (lambda rngs: nnx.Sequential(nnx.Linear(3, 2, rngs=rngs), nnx.BatchNorm(2, rngs=rngs)), "keeps BatchStat; a"),
        (lambda rngs: nnx.Sequential(nnx.Linear(3, 2, rngs=rngs), nnx.Dropout(0.5)), "Sequential keeps Dropout; a"),
        (lambda rngs: nnx.Sequential(nnx.Dropout(0.5, rngs=rngs)), "keeps Dropout, RngCount, RngKey; a model"),
    ]
    for make_module, sentence in refused:
        with pytest.raises(ValueError, match=sentence):
            flax_models.from_nnx(make_module)
    with pytest.raises(ValueError, match="BatchNorm keeps batch_stats; a"):
        flax_models.from_linen(linen.BatchNorm(use_running_average=True), 3)
    with pytest.raises(ValueError, match="Dropout keeps random numbers; a"):
        flax_models.from_linen(linen.Dropout(0.5, deterministic=False), 3)
