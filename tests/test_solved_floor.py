"""The floor in the case that can be solved: theory's variance reproduces itself, and a run has it."""

import numpy as np
import pytest

from experiments.hill import solved_floor as experiment
from research import sampling

SMALLEST = experiment.Settings(num_seeds=2, num_steps=10)


@pytest.mark.parametrize("eta_h", experiment.ETA_H)
def test_the_stationary_variance_reproduces_itself(eta_h):
    rate, batch_size, variance = eta_h / experiment.CURVATURE, 4, 0.7
    found = sampling.stationary_variance(rate, experiment.CURVATURE, experiment.CURVATURE**2 * variance, batch_size)
    assert found == pytest.approx((1 - eta_h) ** 2 * found + eta_h**2 * variance / batch_size)


def test_the_variance_of_a_run_is_that_of_the_walk_with_its_draws(ran):
    run, _ = ran("solved_floor")
    rng, (h, eta_h) = np.random.default_rng(run.settings.seed), (experiment.CURVATURE, np.array(experiment.ETA_H))
    x = rng.standard_normal((experiment.EXAMPLES, 1), dtype=np.float32)[:, 0].astype(float)
    num_steps = experiment.BURN_IN + run.settings.num_steps
    for batch_size, found in zip(experiment.BATCHES, run.result.ratios, strict=True):
        size = (run.settings.num_seeds, experiment.CHAINS, num_steps, batch_size)
        means = x[rng.integers(experiment.EXAMPLES, size=size, dtype=np.int32)].mean(axis=-1)
        theta, late = np.full((*size[:2], len(eta_h)), x.mean()), []
        for step in range(num_steps):
            theta = theta - eta_h * (theta - means[..., step, None])
            if step >= experiment.BURN_IN:
                late.append((theta - x.mean()) ** 2)
        theory = [sampling.stationary_variance(each / h, h, h**2 * x.var(), batch_size) for each in eta_h]
        np.testing.assert_allclose(found, np.mean(late, axis=(0, 1, 2)) / theory, rtol=1e-4)


@pytest.mark.parametrize(("farthest", "holds"), [(1.029, True), (1.031, False), (0.971, True), (0.969, False)])
def test_the_claim_is_about_the_ratio_that_is_farthest_off(farthest, holds):
    ratios = np.ones((2, 5))
    ratios[1, 3] = farthest
    (claim,) = experiment.claims(experiment.Result(ratios), SMALLEST)
    assert (claim.measured, claim.holds) == (pytest.approx(farthest), holds)
    said = experiment.finding(experiment.Result(ratios), SMALLEST)
    assert f"at most {abs(100 * farthest - 100):.1f} % off, for η h from 0.05 to 1.9." in said
