"""The convolutional network: its convolution is JAX's own; and what it cannot be put to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_examples

from experiments.common import filters, two_networks
from experiments.common.bounds import SettingsError
from experiments.common.problem import Problem
from experiments.common.two_networks import Settings
from research import costs, flax_models, models


def test_its_convolution_is_that_of_jax_forward_and_backward(x64):
    rng = np.random.default_rng(0)
    images, kernel = rng.normal(size=(3, 9, 8, 2)), rng.normal(size=(5, 3, 2, 4))

    def plain(images, kernel):
        return jax.lax.conv_general_dilated(images, kernel, (2, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def ours(images, kernel):
        return filters.convolve(images, kernel, (2, 1), "VALID")

    def all_of(fun):
        value, pull = jax.vjp(fun, images, kernel)
        return value, *pull(jnp.cos(value))

    for found, wanted in zip(jax.jit(lambda: all_of(ours))(), jax.jit(lambda: all_of(plain))(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="only VALID"):
        filters.convolve(images, kernel, (2, 1), "SAME")


def test_it_has_5994_parameters_and_answers_with_a_number_a_class():
    model = flax_models.from_nnx(filters.network((28, 28, 1), 10))
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 5994  # 8 (25+1) + 16 (200+1) + 10 (256+1)
    assert jax.eval_shape(model.apply, params, jnp.zeros(784)).shape == (10,)


def test_images_too_small_for_filters_are_refused_in_one_sentence():
    examples = make_examples(jax.random.key(0), 10)
    posed = Problem(models.mlp((12, 4)), costs.softmax_cross_entropy, examples, examples, (3, 4, 1))
    with pytest.raises(SettingsError, match=r"images of 3 x 4 pixels are too small.*give a --model of your own"):
        two_networks.pose(posed, Settings(batch_size=2))


@pytest.mark.parametrize("shape", [(28, 10, 1), (10, 28, 1)])
def test_images_must_be_large_enough_for_filters_in_both_directions(shape):
    with pytest.raises(ValueError, match=f"images of {shape[0]} x {shape[1]} pixels are too small"):
        filters.network(shape, 10)


def test_a_network_of_ones_own_stands_beside_plain_layers():
    examples = make_examples(jax.random.key(0), 10)
    posed = Problem(models.mlp((12, 4)), costs.softmax_cross_entropy, examples, examples, (3, 4, 1))
    own, plain = two_networks.pose(posed, Settings(batch_size=2, model="my:own", layer_sizes=(12, 3, 4)))
    assert own.model is posed.model
    assert plain.num_parameters == 13 * 3 + 4 * 4


def test_too_large_batches_are_refused():
    examples = make_examples(jax.random.key(0), 20)
    posed = Problem(models.mlp((12, 4)), costs.softmax_cross_entropy, examples, examples, (3, 4, 1))
    with pytest.raises(SettingsError, match="--batch-size is 5, too large for 20 images; give at most 4"):
        two_networks.pose(posed, Settings(batch_size=5))


def test_what_is_usual_does_not_hang_on_the_spelling():
    assert Settings(cost="softmax_cross_entropy", output_activation="identity", layer_sizes=(784, 16, 16, 10)).are_usual
    others = {"cost": "research.costs:huber", "activation": "relu", "dataset": "kmnist", "layer_sizes": (784, 10),
              "init_weights": "unit_normal", "output_activation": "sigmoid", "model": "my_nets:net"}  # fmt: skip
    assert not any(Settings(**{name: other}).are_usual for name, other in others.items())
    assert [name for name, other in others.items() if Settings(**{name: other}).have_usual_outputs] == [
        "activation", "dataset", "layer_sizes", "init_weights"
    ]  # fmt: skip
