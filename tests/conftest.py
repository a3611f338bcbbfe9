"""Strictness for every test, and the small data they share."""

import jax
import jax.numpy as jnp
import pytest

from research.data import Examples
from research.models import Layer, mlp

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def x64():
    """float64 for the identities."""
    with jax.enable_x64(True):
        yield


def make_examples(key: jax.Array, num_examples: int, num_pixels: int = 12, num_classes: int = 4) -> Examples:
    """Random inputs in [0, 1] with random one-hot targets, in the default precision."""
    inputs_key, labels_key = jax.random.split(key)
    inputs = jax.random.uniform(inputs_key, (num_examples, num_pixels), jnp.result_type(float))
    labels = jax.random.randint(labels_key, (num_examples,), 0, num_classes)
    return Examples(inputs, jax.nn.one_hot(labels, num_classes, dtype=inputs.dtype))


def make_params(key: jax.Array, layer_sizes=(12, 5, 6, 4)) -> list[Layer]:
    """A start in the default precision with biases that are not zero."""
    init = mlp(layer_sizes, init_biases=jax.nn.initializers.normal(1.0)).init
    return jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(float)), init(key))
