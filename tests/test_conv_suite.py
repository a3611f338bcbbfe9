"""The suite: how single gradients scatter, by hand; Results on which the claims must hold, and must fail."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import LAST_OFF, make_examples, make_params

from experiments.common import cost_looks
from experiments.common.cost_looks import Scatter
from experiments.common.hills import View
from experiments.common.problem import Problem
from experiments.networks import conv_suite
from experiments.networks.conv_suite import Result, Settings
from research import costs, models

SMALLEST = Settings(num_epochs=1, statistics_examples=100, surface_examples=40, resolution=5, plain_learning_rate=0.5)


def test_the_scatter_is_that_of_gradients_taken_one_by_one(x64):
    examples = make_examples(jax.random.key(0), 30)
    posed = Problem(models.mlp((12, 5, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    params = make_params(jax.random.key(1), (12, 5, 4))
    ones = [jax.tree.map(lambda leaf, i=i: leaf[i], examples) for i in range(30)]
    slope = jax.jit(jax.grad(posed.example_cost))
    slopes = np.stack([
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(slope(params, one))])
        for one in ones
    ])  # fmt: skip
    scale, error = cost_looks.scatter(posed, params, examples)
    assert error < 1e-6
    np.testing.assert_allclose(scale, slopes.var(axis=0).sum() / (slopes.mean(axis=0) ** 2).sum(), rtol=1e-5)


def found(error=1e-8, surface_error=1e-8, growth=60.0):
    """Three seeds; in the last one the noise scale grows `growth`-fold, and the average is so far off at the end."""
    scale = np.array([[2.0, 500.0], [2.0, 200.0], [2.0, 2 * growth]])
    both = Scatter(scale, np.outer(LAST_OFF, (0, error)))
    flat = View(np.arange(2.0), np.arange(2.0), np.ones((2, 2)), (np.zeros((3, 2)),), (np.zeros(3),))
    return Result(both, both, flat, surface_error)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"error": 9.5e-7, "surface_error": 9.5e-7, "growth": 50.0}, []), ({"error": 1.05e-6}, [0]),
     ({"surface_error": 1.05e-6}, [1]), ({"growth": 48.0}, [2])],
)  # fmt: skip
def test_the_claims_hold_on_a_good_result_and_fail_where_one_seed_is_off(changes, failing):
    claims = list(conv_suite.claims(found(**changes), Settings()))
    assert [index for index, claim in enumerate(claims) if not claim.holds] == failing
    assert len(list(conv_suite.claims(found(), dataclasses.replace(Settings(), dataset="kmnist")))) == 2


def test_the_finding_is_of_the_medians():
    said = conv_suite.finding(found(error=2e-7), Settings())
    assert "gradient of the mean cost to 2e-07 of a typical one" in said
    assert "grows from 2 to 200 images" in said
