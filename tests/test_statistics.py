"""Statistics of every example's gradient, against numpy on the gradients written out, and the two ways against each
other."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import make_examples, make_params

from research import agreement, costs, gradients, sampling, sharding, statistics
from research.data import Examples
from research.models import mlp
from research.statistics import Moments

SIZES, NUM = (12, 5, 6, 4), 23
SIGMOID = jax.nn.sigmoid
ONE = gradients.example_cost(mlp(SIZES).apply, costs.sum_of_squares)
FACTORS = statistics.layer_factors(costs.sum_of_squares, SIGMOID, SIGMOID)


def rows(params, examples):
    """(examples, parameters): each example's gradient."""
    return plain.flat(plain.gradients(params, examples), leading=1)


def data():
    return make_params(jax.random.key(0)), make_examples(jax.random.key(1), NUM)


def assert_moments(found, wanted, rtol):
    for part, wanted_part in zip(found, wanted, strict=True):
        assert plain.relative_distance(part, wanted_part) < rtol


def both_ways(chunk_size):
    return (statistics.moments(ONE, chunk_size), statistics.layer_moments(FACTORS, chunk_size))


def both_sums(chunk_size):
    return (statistics.weighted_sums(ONE, chunk_size), statistics.layer_weighted_sums(FACTORS, chunk_size))


def test_formulas_take_arrays_as_they_take_numbers():
    scales, sizes = np.array([[3.0], [50.0]]), np.array([1, 10, 100])
    shares = sampling.finite_population(sizes, 200)
    cosines = statistics.expected_cosine(scales, sizes, 200)
    for column, size in enumerate(sizes.tolist()):
        assert np.asarray(shares)[column] == sampling.finite_population(size, 200)
        for row, scale in enumerate(scales[:, 0].tolist()):
            wanted = statistics.expected_cosine(scale, size, 200)
            assert float(cosines[row, column]) == pytest.approx(float(wanted), rel=1e-6)


@pytest.mark.parametrize("way", [0, 1], ids=["explicit", "layers"])
def test_moments_are_numpys_in_float64(way, x64):
    params, examples = data()
    gs = rows(params, examples)
    wanted = (gs.mean(axis=0), gs.var(axis=0), (gs**2).sum(axis=1))
    assert_moments(jax.jit(both_ways(10)[way])(params, examples), wanted, 1e-12)


def test_the_two_ways_agree_in_float32():
    params, examples = data()
    assert_moments(*(jax.jit(way)(params, examples) for way in both_ways(10)), 1e-5)


@pytest.mark.parametrize("chunk_size", [1, 23, 40, 101])  # of more than 100, nothing is written out
def test_chunks_of_any_size_give_the_moments_of_all(chunk_size, x64):
    one = lambda params, example: jnp.sum(jnp.sin(params * example.inputs))
    params, examples = jnp.arange(12.0), make_examples(jax.random.key(2), NUM + 80)
    found = jax.jit(statistics.moments(one, chunk_size))(params, examples)
    gs = np.cos(np.arange(12) * np.asarray(examples.inputs)) * np.asarray(examples.inputs)
    assert_moments(found, (gs.mean(axis=0), gs.var(axis=0), (gs**2).sum(axis=1)), 1e-13)


@pytest.mark.parametrize(("num", "ways"), [(2, [0]), (22, [1]), (23, [0, 1])])
def test_two_devices_that_share_a_run_find_the_moments_and_sums_of_all(num, ways, x64):
    params, examples = data()
    some = jax.tree.map(lambda leaf: leaf[:num], examples)
    weights = jnp.asarray(np.random.default_rng(4).normal(size=(num, 3)))

    def look(seed, moments, sums):
        return moments(params, some), sums(params, some, weights)

    gs = rows(params, some)
    for way in ways:
        asked = partial(look, moments=both_ways(10)[way], sums=both_sums(10)[way])
        shared = jax.jit(sharding.over_devices(asked, (0,)))(jnp.zeros(1))
        found, summed = jax.tree.map(lambda leaf: np.asarray(leaf)[0], shared)
        assert_moments(found, (gs.mean(axis=0), gs.var(axis=0), (gs**2).sum(axis=1)), 1e-12)
        assert plain.relative_distance(plain.flat(summed, leading=1), weights.T @ gs) < 1e-12
        assert len(shared[0].squared_norms.devices()) == 2


def test_a_small_scatter_round_a_large_mean_survives_float32():
    inputs = 1000 + np.random.default_rng(3).normal(size=(4000, 3)).astype(np.float32)
    one = lambda params, example: jnp.vdot(params, example.inputs)  # its gradient is the input
    found = jax.jit(statistics.moments(one, 100))(jnp.zeros(3), Examples(jnp.asarray(inputs), jnp.zeros((4000, 1))))
    np.testing.assert_allclose(found.variance, np.asarray(inputs, float).var(axis=0), rtol=1e-5)
    of_raw_sums = np.mean(inputs**2, axis=0) - np.mean(inputs, axis=0) ** 2
    assert np.abs(of_raw_sums - found.variance).max() > 0.01  # what the care is for


def test_moments_of_a_cost_that_is_no_network():
    one = lambda params, example: params["a"] ** 2 * example.inputs[0] + jnp.sum(params["b"])
    found = statistics.moments(one, 2)(
        {"a": jnp.float32(1.5), "b": jnp.zeros((2, 2))}, Examples(jnp.arange(5.0)[:, None], jnp.zeros((5, 1)))
    )
    assert float(found.mean["a"]) == pytest.approx(6.0)
    assert float(found.variance["a"]) == pytest.approx(9 * 2.0)
    np.testing.assert_allclose(found.squared_norms, (3 * np.arange(5)) ** 2 + 4)


def test_layers_take_any_cost_and_activation(x64):
    cost = lambda output, target: jnp.sum(jnp.cosh(output - target)) + jnp.prod(output)
    one = gradients.example_cost(mlp(SIZES, jnp.tanh, jax.nn.identity).apply, cost)
    factors = statistics.layer_factors(cost, jnp.tanh, jax.nn.identity)
    params, examples = data()
    ways = (statistics.moments(one, 10), statistics.layer_moments(factors, 10))
    assert_moments(*(jax.jit(way)(params, examples) for way in ways), 1e-12)


@pytest.mark.parametrize("way", [0, 1], ids=["explicit", "layers"])
def test_weighted_sums_are_a_matrix_product(way, x64):
    params, examples = data()
    weights = jnp.asarray(np.random.default_rng(4).normal(size=(NUM, 3)))
    found = plain.flat(jax.jit(both_sums(10)[way])(params, examples, weights), leading=1)
    np.testing.assert_allclose(found, weights.T @ rows(params, examples), rtol=1e-11, atol=1e-13)


def test_the_two_ways_to_weighted_sums_agree_in_float32():
    params, examples = data()
    weights = jnp.asarray(np.random.default_rng(4).normal(size=(NUM, 3)), jnp.float32)
    ways = both_sums(10)
    assert plain.relative_distance(*(jax.jit(sums)(params, examples, weights) for sums in ways)) < 1e-5


def test_a_chunk_of_nothing_is_refused():
    params, examples = data()
    with pytest.raises(ValueError, match="chunk_size is 0"):
        statistics.moments(ONE, 0)(params, examples)


def made_up_moments():
    gs = np.random.default_rng(0).normal(size=(40, 7)) + 0.5
    return gs, Moments(jnp.array(gs.mean(axis=0)), jnp.array(gs.var(axis=0)), jnp.array((gs**2).sum(axis=1)))


def test_one_scatter_seen_in_four_numbers(x64):
    gs, found = made_up_moments()
    sigma = np.cov(gs.T, bias=True)
    squared = float(statistics.squared_norm(found.mean))
    assert float(statistics.total_variance(found)) == pytest.approx(np.trace(sigma), rel=1e-13)
    assert float(statistics.noise_scale(found)) == pytest.approx(np.trace(sigma) / squared, rel=1e-13)
    assert float(jnp.mean(found.squared_norms)) == pytest.approx(np.trace(sigma) + squared, rel=1e-13)
    diversity = (gs**2).sum() / (gs.sum(axis=0) ** 2).sum()
    assert float(agreement.gradient_diversity(found)) == pytest.approx(diversity, rel=1e-12)
    assert diversity == pytest.approx((1 + float(statistics.noise_scale(found))) / 40, rel=1e-12)


def test_the_expected_cosine_is_that_of_drawn_batches(x64):
    rng = np.random.default_rng(1)
    gs = rng.normal(size=(500, 400)) + 0.3  # many dimensions: |g_B| hardly varies
    gs -= gs.mean(axis=0) - 0.3
    scale = gs.var(axis=0).sum() / (gs.mean(axis=0) ** 2).sum()
    for size in (5, 50, 400):
        drawn = np.stack([gs[rng.permutation(500)[:size]].mean(axis=0) for _ in range(300)])
        cosines = drawn.sum(axis=1) / np.linalg.norm(drawn, axis=1) / 400**0.5
        assert cosines.mean() == pytest.approx(float(statistics.expected_cosine(scale, size, 500)), abs=0.005)
    assert float(statistics.expected_cosine(scale, 500, 500)) == 1.0


def test_two_batches_give_the_moments_of_what_they_were_drawn_from(x64):
    gs = np.random.default_rng(2).normal(size=(6, 3)) + 0.5
    trace, squared = gs.var(axis=0).sum(), (gs.mean(axis=0) ** 2).sum()
    pairs = np.stack(np.meshgrid(range(6), range(6), indexing="ij"), axis=-1).reshape(-1, 2)
    small = np.mean([(gs[list(pair)].mean(axis=0) ** 2).sum() for pair in pairs])  # all draws of 2 with replacement
    triples = np.stack(np.meshgrid(*[range(6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    big = np.mean([(gs[list(triple)].mean(axis=0) ** 2).sum() for triple in triples])
    found = sampling.two_batch_estimate(small, big, 2, 3)
    assert found.total_variance == pytest.approx(trace, rel=1e-12)
    assert found.squared_norm == pytest.approx(squared, rel=1e-12)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 2), (0, 2)])
def test_two_batches_of_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="the sizes are"):
        sampling.two_batch_estimate(1.0, 1.0, *sizes)
