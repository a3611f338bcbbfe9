"""The running mean: over all orders it is as far away as theory says; and the claim."""

import itertools
from functools import partial

import jax
import numpy as np
import pytest
from conftest import make_examples, make_params
from test_disputes import ONE, nudges_in_a_loop

from experiments.all_examples import running_mean
from experiments.all_examples.running_mean import Result, Settings
from experiments.common import asking, descents, runs
from experiments.common.problem import Problem
from research import costs
from research.models import mlp

SMALLEST = Settings(num_seeds=2, num_shuffles=3, num_examples=200, layer_sizes=(784, 10))


def test_over_all_orders_the_running_mean_is_as_far_away_as_theory_says(x64):
    params, examples = make_params(jax.random.key(5)), make_examples(jax.random.key(6), 5)
    problem = Problem(mlp((12, 5, 6, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    wanted = nudges_in_a_loop(params, examples)
    gradient, scale = jax.jit(partial(running_mean.gradient_and_scale, problem))(params, examples)
    covariance = np.trace(np.cov(wanted.T, bias=True))
    assert float(scale) == pytest.approx(covariance / np.sum(wanted.mean(axis=0) ** 2))
    orders = np.array(list(itertools.permutations(range(5))))
    distances = jax.jit(jax.vmap(partial(running_mean.running_distance, ONE), (None, None, 0, None)))(
        params, gradient, orders, examples
    )
    expected = running_mean.expected_distance(np.array(scale), np.arange(1, 6), 5)
    np.testing.assert_allclose(np.sqrt((np.asarray(distances) ** 2).mean(axis=0)), expected, atol=1e-12)


def test_in_every_order_the_mean_of_all_examples_is_the_gradient_of_its_own_network(ran):
    result = ran("running_mean")[0].result
    np.testing.assert_allclose(result.distance[..., result.counts == 200], 0, atol=1e-4)


def test_the_untrained_networks_come_first():
    examples = make_examples(jax.random.key(0), 20)
    problem = Problem(mlp((12, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    settings = Settings(num_seeds=2, learning_rate=1.0)
    both = asking.untrained_and_trained(problem, settings)
    starts = descents.starts(problem, runs.seed_keys(settings.seed, 2)[0])
    jax.tree.map(lambda leaf, start: np.testing.assert_array_equal(leaf[:2], start), both, starts)
    assert all((leaf[2:] != leaf[:2]).any() for leaf in jax.tree.leaves(both))


@pytest.mark.parametrize(("factor", "holds"), [(0.79, False), (0.81, True), (1.24, True), (1.26, False)])
def test_the_claim_fails_where_the_mean_settles_otherwise(factor, holds):
    counts, squares = np.array([1, 10, 100]), np.array([[0.4], [0.4], [2.2]])  # whose mean is 1
    expected = np.array([[3.0, 1.0, 0.0]] * 2)
    result = Result(counts, factor * np.sqrt(squares) * expected[:, None], expected)
    assert [claim.holds for claim in running_mean.claims(result, SMALLEST)] == [holds]


def test_the_finding_is_of_the_median_order_and_the_median_seed():
    counts, reached = (
        np.array([1, 10, 100, 1000]),
        np.array([1, 2, 1, 3, 3, 2]),
    )  # of three seeds, untrained and trained
    orders = np.stack([0 * reached, reached, reached + 1], axis=1)[..., None]
    result = Result(counts, np.where(np.arange(4) >= orders, 0.05, 0.5), np.ones((6, 4)))
    said = running_mean.finding(result, SMALLEST)
    assert "some 10 (10 to 100) examples before training and 1,000 (100 to 1,000) of 1,000 after" in said
