"""Mini-batches against the full gradient, on few images: measured as numpy finds it from the gradients written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples, make_params
from jax.flatten_util import ravel_pytree

from experiments.common import batch_gradients
from experiments.common.bounds import SettingsError
from experiments.common.problem import Problem
from experiments.mini_batches import minibatch_quality
from experiments.mini_batches.minibatch_quality import Batches, Quality, Result, Settings
from research import costs, gradients, sampling, statistics
from research.models import mlp

SMALLEST = Settings(num_seeds=2, checkpoints=(0.5,))


def test_what_is_measured_is_what_numpy_finds(x64):
    examples, params = make_examples(jax.random.key(0), 300), make_params(jax.random.key(1), (12, 4))
    activations = (jax.nn.sigmoid, jax.nn.sigmoid)
    problem = Problem(mlp((12, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1), activations)
    found = jax.jit(lambda p, e, k: batch_gradients.quality(problem, p, e, k))(params, examples, jax.random.key(2))
    found = Quality(*found[:-1], Batches(*found[-1]))
    grads = jax.jit(gradients.per_example_gradients(problem.example_cost))(params, examples)
    gs = np.asarray(jax.vmap(lambda tree: ravel_pytree(tree)[0])(grads))
    full = gs.mean(axis=0)
    squared = (full**2).sum()
    assert float(found.total_variance) == pytest.approx(gs.var(axis=0).sum(), rel=1e-10)
    assert float(found.squared_norm) == pytest.approx(squared, rel=1e-10)
    assert float(found.mean_error) < 1e-12
    cosines = gs @ full / np.linalg.norm(gs, axis=1) / np.sqrt(squared)
    assert float(found.batches.cosine[0]) == pytest.approx(cosines.mean(), rel=1e-10)
    assert float(found.batches.squared_error[0]) == pytest.approx(gs.var(axis=0).sum() / squared, rel=1e-10)
    order = np.asarray(jax.random.permutation(jax.random.split(jax.random.key(2))[0], 300)).reshape(3, 100)
    blocks = gs[order].mean(axis=1)
    hundred = batch_gradients.batch_sizes(300).index(100)
    errors = ((blocks - full) ** 2).sum(axis=1)
    assert float(found.batches.squared_error[hundred]) == pytest.approx(errors.mean() / squared, rel=1e-9)
    cosines = blocks @ full / np.linalg.norm(blocks, axis=1) / np.sqrt(squared)
    assert float(found.batches.cosine[hundred]) == pytest.approx(cosines.mean(), rel=1e-10)
    assert float(found.variance_from_batches) == pytest.approx(100 * 299 / 200 * errors.mean(), rel=1e-9)


def test_batches_of_several_blocks_scatter_as_drawn_without_replacement(x64):
    apart = jax.random.normal(jax.random.key(3), (40, 30))
    apart = apart - apart.mean(axis=0, keepdims=True)
    full = jnp.ones(30)
    found = jax.jit(batch_gradients.large_batches)(apart, full, jax.random.key(4))
    each = float(jnp.mean(jnp.sum(apart**2, axis=1))) / 30
    for times, fields in zip((1, 2, 5, 10, 20), found, strict=True):
        batches = Batches(*fields)
        wanted = each / times * sampling.finite_population(times, 40)
        assert float(batches.squared_error) == pytest.approx(wanted, rel=0.05)  # 1,000 draws
        assert float(batches.squared_norm) == pytest.approx(30 * (1 + wanted), rel=0.02)


def test_the_end_of_pretty_good():
    epochs = np.array([0.0, 1.0, 3.0])
    assert minibatch_quality.over_between(epochs, np.array([0.99, 0.95, 0.91])) == (3, np.inf)
    assert minibatch_quality.over_between(epochs, np.array([0.8, 0.7, 0.6])) == (0, 0)
    assert minibatch_quality.over_between(epochs, np.array([0.8, 1.0, 0.8])) == (1, 3)


def made_up(ratio=1.0, off=0.0, two=1.0, error=1e-7, growth=100.0, start=0.0):
    """Two seeds, the start and 5 epochs, sizes 10 to 10,000; theory's numbers, disturbed as said."""
    sizes, num = np.array([10, 100, 1000, 10_000]), 60_000
    scale = np.array([[1.0 + start, growth]] * 2)
    share = np.asarray(sampling.finite_population(sizes, num)) / sizes
    cosine = np.asarray(statistics.expected_cosine(scale[..., None], sizes, num)) + off
    errors = scale[..., None] * share * ratio
    variance = scale  # |G| = 1
    batches = Batches(cosine, errors, 1 + two * scale[..., None] / sizes)
    same = np.ones((2, 2))
    quality = Quality(same, same, variance, error * same, ratio * variance, 0.02 * variance, batches)
    return Result(np.array([0.0, 5.0]), sizes, quality, num)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"ratio": 1.06}, [2, 3]), ({"ratio": 0.9}, [2, 3, 4]), ({"off": -0.06}, [0, 1]), ({"two": 1.2}, [5]),
     ({"error": 1e-3}, [6]), ({"growth": 9.0}, [8, 9]), ({"start": 50.0}, [7, 8])],
)  # fmt: skip
def test_the_claims_hold_where_theory_does_and_fail_elsewhere(changes, failing):
    found = list(minibatch_quality.claims(made_up(**changes), Settings()))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_too_few_images_are_refused():
    examples = make_examples(jax.random.key(0), 399)
    problem = Problem(mlp((12, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    with pytest.raises(SettingsError, match="there are 399 training images; 400 or more are needed"):
        minibatch_quality.measure(problem, SMALLEST)
