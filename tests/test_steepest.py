"""Directions on a slope, where all shares are known; and Results on which the claims must hold, and must fail."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.one_example import steepest
from experiments.one_example.steepest import STEP_LENGTH, Result, Settings

SMALLEST = Settings(num_seeds=2, num_examples=100, num_directions=500)


def test_on_a_slope_the_steepest_way_is_the_gradient_and_the_signs_lose_what_the_sizes_say(x64):
    slopes = jnp.array([3.0, -4.0, *[0.0] * 98])
    between, first_order, actual = steepest.directions(
        lambda p: slopes @ p, jnp.zeros(100), slopes, jax.random.key(0), 500
    )
    np.testing.assert_allclose(first_order[:3], [1, 7 / (5 * np.sqrt(2)), 4 / 5])
    np.testing.assert_allclose(actual, STEP_LENGTH * 5 * first_order, rtol=1e-9)
    assert between.shape == (250,)


def test_the_best_random_direction_is_expected_as_drawn_ones_are():
    mean, deviation = steepest.best_of_random(500, 400)
    drawn = np.random.default_rng(0).normal(size=(2000, 500)).max(axis=1) / np.sqrt(400)
    assert abs(drawn.mean() - mean) < 3 * deviation / np.sqrt(2000)
    assert abs(drawn.std() / deviation - 1) < 0.1


def made_up(best_random=0.03, rms=1.0, others=0.2):
    between = np.full((2, 250), rms / np.sqrt(13_002))
    shares = np.array([[1.0, others, others, best_random]] * 2)
    return Result(between, shares, 0.01 * shares, 13_002)


def test_the_claims_hold_where_theory_does_and_fail_elsewhere():
    assert all(claim.holds for claim in steepest.claims(made_up(), SMALLEST))
    wrong = list(steepest.claims(made_up(best_random=0.06, rms=1.3, others=1.1), SMALLEST))
    assert not any(claim.holds for claim in wrong)


def test_the_finding_is_of_the_medians():
    assert "random directions 3.0%" in steepest.finding(made_up(), SMALLEST)
