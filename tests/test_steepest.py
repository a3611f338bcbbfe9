"""Directions on a slope, where all shares are known; and Results on which the claims must hold, and must fail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import LAST_OFF, SAME_MEAN, SAME_MEDIAN

from experiments.one_example import steepest
from experiments.one_example.steepest import STEP_LENGTH, Result, Settings

SMALLEST = Settings(num_seeds=2, num_examples=100, num_directions=500, layer_sizes=(784, 3, 10))


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


BEST, DEVIATION = steepest.best_of_random(500, 13_002)


def made_up(off=0.0, rms=1.0, steep=0.2):
    """Three seeds that differ: the mean of the best random directions is so many standard errors off, the root mean
    square of the cosines as given; one parameter goes down as steeply as that in the last seed alone."""
    between = rms / np.sqrt(13_002) * np.tile([0.0, 0.0, 0.0, 2.0], (3, 63))
    shares = np.array([[1.0, 0.2, 0.2, 0.0]] * 3)
    shares[:, 2] += (steep - 0.2) * LAST_OFF
    shares[:, 3] = BEST + off * DEVIATION / np.sqrt(3) + 0.0005 * SAME_MEAN
    return Result(between, shares, 0.01 * shares, 13_002)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"steep": 0.95}, []), ({"steep": 1.05}, [0, 1]), ({"off": 2.5}, []), ({"off": -2.5}, []),
     ({"off": 2.7}, [2]), ({"off": -2.7}, [2]),
     ({"rms": 0.83}, []), ({"rms": 0.81}, [3]), ({"rms": 1.17}, []), ({"rms": 1.19}, [3])],
)  # fmt: skip
def test_the_claims_hold_where_theory_does_and_fail_elsewhere(changes, failing):
    found = list(steepest.claims(made_up(**changes), SMALLEST))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_medians_and_the_ranges():
    result = made_up()
    result.first_order[:, 3] = 0.03 + 0.001 * SAME_MEDIAN
    assert "random directions 3.0% (2.9% to 3.9%); medians" in steepest.finding(result, SMALLEST)
