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
from experiments.common.problem import Problem
from research import costs
from research.models import mlp

SMALLEST = Settings(num_seeds=1, num_shuffles=1, num_examples=200)


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


@pytest.mark.parametrize(("factor", "holds"), [(1.0, True), (0.7, False), (1.3, False)])
def test_the_claim_fails_where_the_mean_settles_otherwise(factor, holds):
    counts = np.array([1, 10, 100])
    expected = np.array([[3.0, 1.0, 0.0]] * 2)
    result = Result(counts, factor * expected[:, None], expected)
    assert [claim.holds for claim in running_mean.claims(result, SMALLEST)] == [holds]
