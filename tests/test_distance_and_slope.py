"""Outputs as wrong as can be, and Results on which the claims must hold, and must fail."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from conftest import make_examples, make_params

from experiments.one_example import distance_and_slope
from experiments.one_example.distance_and_slope import Result, Settings
from research import data

SMALLEST = Settings(num_seeds=2)


def test_pull_is_the_distance_with_cross_entropy_and_dies_of_saturation_with_the_quadratic_cost(x64):
    params = [layer._replace(biases=layer.biases + 20) for layer in make_params(jax.random.key(2))]
    example = data.take(make_examples(jax.random.key(3), 1), 0)
    found = Result(*jax.jit(partial(distance_and_slope.distances, jax.nn.sigmoid))(params, example))
    unwanted = example.targets == 0
    assert float(jnp.max(found.distance[unwanted])) < -0.999  # as wrong as can be
    assert float(jnp.max(jnp.abs(found.pull))) < 1e-3
    np.testing.assert_allclose(found.nudge, 2 * found.distance, rtol=1e-12)
    np.testing.assert_allclose(found.cross_entropy_pull, found.distance, rtol=1e-12, atol=1e-15)


def by_formula(slope=lambda a: a * (1 - a)):
    """Outputs from 0 to 1 whose targets are all 0, and the costs' derivatives."""
    a = np.linspace(0, 1, 28).reshape(1, 2, 14)
    return Result(-a, -2 * a, -2 * a * slope(a), -a)


def test_the_claims_hold_by_the_formula_and_fail_without_the_slope_and_with_half_the_pull():
    assert all(claim.holds for claim in distance_and_slope.claims(by_formula(), SMALLEST))
    without, right = distance_and_slope.claims(by_formula(lambda a: 1), SMALLEST)
    assert (without.holds, right.holds) == (False, True)
    halved = by_formula()._replace(cross_entropy_pull=by_formula().distance / 2)
    assert [claim.holds for claim in distance_and_slope.claims(halved, SMALLEST)] == [True, False]


def test_the_finding_is_about_the_output_that_is_most_wrong():
    assert "1.0000 away from its target, yet bias and weights are pulled with 0.0000" in distance_and_slope.finding(
        by_formula(), SMALLEST
    )
