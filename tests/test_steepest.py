"""A plain network that goes the four ways; and Results on which the claims must hold, and must fail."""

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
import threefry
from helpers import LAST_OFF, SAME_MEAN, SAME_MEDIAN

from experiments.one_example import steepest
from experiments.one_example.steepest import STEP_LENGTH, Result, Settings

# With this seed some random direction goes farther up than the best one goes down, in both starts.
SMALLEST = Settings(seed=3, num_seeds=2, num_examples=100, num_directions=1000, layer_sizes=(784, 1, 10))


def test_on_a_slope_the_best_single_parameter_may_go_either_way(x64):
    slopes = jnp.array([3.0, -4.0, *[0.0] * 98])
    go = lambda key: steepest.directions(lambda p: slopes @ p, jnp.zeros(100), slopes, key, 500)
    _, first_order, actual = jax.jit(go)(jax.random.key(0))
    np.testing.assert_allclose(first_order[:3], [1, 7 / (5 * np.sqrt(2)), 4 / 5])
    np.testing.assert_allclose(actual, STEP_LENGTH * 5 * first_order, rtol=1e-9)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def check_seed(between, first_order, actual, params, key, train):
    """Holds one seed's numbers against a plain network that goes the four ways; random ones are tried in two blocks."""
    down = unit(-plain.flat(plain.gradient(params, train)))
    blocks = [unit(threefry.normal(each, (steepest.BLOCK, len(down)))) for each in threefry.split(key, 2)]
    np.testing.assert_allclose(between, np.ravel([(b[::2] * b[1::2]).sum(axis=1) for b in blocks]), atol=1e-5)
    random, best = np.concatenate(blocks), np.abs(down).argmax()
    single = np.sign(down[best]) * np.eye(len(down))[best]
    ways = np.stack([down, unit(np.sign(down)), single, random[(random @ down).argmax()]])
    np.testing.assert_allclose(first_order, ways @ down, rtol=1e-4)
    ends = [plain.unflat(plain.flat(params) + STEP_LENGTH * way, params) for way in ways]
    decrease = plain.costs(params, train).mean() - [plain.costs(end, train).mean() for end in ends]
    np.testing.assert_allclose(actual, decrease, rtol=1e-4)


def test_every_seed_goes_the_four_ways_as_a_plain_network_does(ran):
    run, _ = ran("steepest")
    result, (train, _, starts, _) = run.result, plain.begin(run.settings)
    assert result.num_parameters == plain.flat(starts[0]).size
    for seed, (_, key) in enumerate(threefry.seed_keys(run.settings.seed, run.settings.num_seeds)):
        check_seed(*(each[seed] for each in result[:3]), starts[seed], key, train)


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
    found = list(steepest.claims(made_up(**changes), Settings(num_directions=500)))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_medians_and_the_ranges():
    result = made_up()
    result.first_order[:, 3] = 0.03 + 0.001 * SAME_MEDIAN
    assert "random directions 3.0% (2.9% to 3.9%); medians" in steepest.finding(result, SMALLEST)
