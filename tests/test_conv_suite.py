"""The suite: how single gradients scatter, by hand; Results on which the claims must hold, and must fail."""

import dataclasses

import jax
import numpy as np
from conftest import make_examples, make_params

from experiments.common import cost_looks
from experiments.common.cost_looks import Scatter
from experiments.common.hills import View
from experiments.common.problem import Problem
from experiments.networks import conv_suite
from experiments.networks.conv_suite import Result, Settings
from research import costs, models

SMALLEST = Settings(num_epochs=1, statistics_examples=100, surface_examples=50, resolution=5, plain_learning_rate=0.5)


def test_the_scatter_is_that_of_gradients_taken_one_by_one(x64):
    examples = make_examples(jax.random.key(0), 30)
    posed = Problem(models.mlp((12, 5, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    params = make_params(jax.random.key(1), (12, 5, 4))
    ones = [jax.tree.map(lambda leaf, i=i: leaf[i], examples) for i in range(30)]
    slopes = np.stack([
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(jax.grad(posed.example_cost)(params, one))])
        for one in ones
    ])  # fmt: skip
    scale, error = cost_looks.scatter(posed, params, examples)
    assert error < 1e-6
    np.testing.assert_allclose(scale, slopes.var(axis=0).sum() / (slopes.mean(axis=0) ** 2).sum(), rtol=1e-5)


def found(error=1e-8, growth=20.0):
    """The second seed's noise scale grows `growth`-fold, the first one's 100-fold."""
    both = Scatter(np.array([[1, 100.0], [1, growth]]), np.full((2, 2), error))
    flat = View(np.arange(2.0), np.arange(2.0), np.ones((2, 2)), (np.zeros((3, 2)),), (np.zeros(3),))
    return Result(both, both, flat, error)


def test_the_claims_hold_on_a_good_result_and_fail_on_others():
    def fails(result):
        return [number for number, claim in enumerate(conv_suite.claims(result, Settings())) if not claim.holds]

    assert fails(found()) == []
    assert fails(found(error=1e-5)) == [0, 1]
    assert fails(found(growth=9)) == [2]  # in one seed is enough
    assert len(list(conv_suite.claims(found(), dataclasses.replace(Settings(), dataset="kmnist")))) == 2
