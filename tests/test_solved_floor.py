"""The floor in the case that can be solved: theory's variance reproduces itself, and a run has it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.hill import solved_floor as experiment
from research import sampling
from research.data import Examples

SMALLEST = experiment.Settings(num_seeds=2, num_steps=10)


@pytest.mark.parametrize("eta_h", experiment.ETA_H)
def test_the_stationary_variance_reproduces_itself(eta_h):
    rate, batch_size, variance = eta_h / experiment.CURVATURE, 4, 0.7
    found = sampling.stationary_variance(rate, experiment.CURVATURE, experiment.CURVATURE**2 * variance, batch_size)
    assert found == pytest.approx((1 - eta_h) ** 2 * found + eta_h**2 * variance / batch_size)


def test_the_gradient_of_an_example_has_the_variance_that_the_theory_takes():
    x = np.random.default_rng(0).normal(size=(50, 1))
    slopes = jax.vmap(jax.grad(experiment.parabola), (None, 0))(0.3, Examples(jnp.asarray(x), jnp.zeros((50, 1))))
    assert np.var(np.asarray(slopes)) == pytest.approx(experiment.CURVATURE**2 * np.var(x), rel=1e-5)


def test_the_variance_of_a_run_is_the_one_of_the_theory():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 1), dtype=np.float32)
    rows = rng.integers(0, 100, (experiment.CHAINS, experiment.BURN_IN + 1000, 2), dtype=np.int32)
    found = jax.jit(experiment.variances)(Examples(x, np.zeros_like(x)), rows)
    h = experiment.CURVATURE
    theory = [sampling.stationary_variance(eta_h / h, h, h**2 * np.var(x), 2) for eta_h in experiment.ETA_H]
    # 256 x 1000 steps, of which 5 % are independent where eta h is 0.05: 1.2 % standard error
    np.testing.assert_allclose(np.asarray(found) / theory, 1, atol=0.05)


@pytest.mark.parametrize(("farthest", "holds"), [(1.029, True), (1.031, False), (0.971, True), (0.969, False)])
def test_the_claim_is_about_the_ratio_that_is_farthest_off(farthest, holds):
    ratios = np.ones((2, 5))
    ratios[1, 3] = farthest
    (claim,) = experiment.claims(experiment.Result(ratios), SMALLEST)
    assert (claim.measured, claim.holds) == (pytest.approx(farthest), holds)
    said = experiment.finding(experiment.Result(ratios), SMALLEST)
    assert f"at most {abs(100 * farthest - 100):.1f} % off, for η h from 0.05 to 1.9." in said
