"""Descent on a parabola: every axis by its own factor, and the claims."""

import numpy as np
import threefry

from experiments.hill import parabola as experiment

SMALLEST = experiment.Settings(num_seeds=2)


def test_every_axis_shrinks_by_its_own_factor_from_the_start_of_its_seed(ran):
    run, _ = ran("parabola")
    keys = [key for key, _ in threefry.seed_keys(run.settings.seed, run.settings.num_seeds)]
    starts = np.stack([threefry.normal(key, experiment.CURVATURES.shape) for key in keys])
    rates = experiment.FACTORS.astype(float) * 2 / experiment.CURVATURES[-1]
    curvatures = experiment.CURVATURES.astype(float)
    factors = np.abs(1 - rates[:, None] * curvatures)
    far = np.abs(starts[:, None, None]) * factors[:, None] ** np.arange(experiment.NUM_STEPS + 1)[:, None]
    np.testing.assert_allclose(run.result.distance, np.sqrt(np.sum(far**2, axis=-1)), rtol=1e-4)
    np.testing.assert_allclose(run.result.steepest, far[..., np.argmax(curvatures)], rtol=1e-4)


def made_up(per_step):
    """Two starts whose distance is multiplied by these numbers, one a rate, in every step."""
    series = np.array(per_step)[:, None] ** np.arange(20.0)
    return experiment.Result(np.stack([series, 3 * series]), np.stack([series, 3 * series]))


def test_claims_hold_where_every_rate_does_what_algebra_says_and_fail_elsewhere():
    as_theory = made_up(np.abs(1 - 2 * experiment.FACTORS.astype(float)))
    assert [claim.holds for claim in experiment.claims(as_theory, SMALLEST)] == [True, True]
    assert "diverges exactly" in experiment.finding(as_theory, SMALLEST)
    too_late = made_up([0.8, 0.98, 1.0, 0.99, 1.2])  # at 1.01 of 2/lambda it should diverge
    verdicts = list(experiment.claims(too_late, SMALLEST))
    assert [claim.holds for claim in verdicts] == [False, False]
    assert verdicts[0].measured == 2
    assert "8 of 10" in experiment.finding(too_late, SMALLEST)
