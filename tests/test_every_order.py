"""Every order: the flow against a solved one, ends against numpy, and the claims on made-up slopes."""

import itertools
from functools import partial

import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEDIAN

from experiments.common import descents
from experiments.mini_batches import every_order
from experiments.mini_batches.every_order import RATES, Result, Settings

SMALLEST = Settings(num_seeds=2, num_batches=3, batch_size=5, layer_sizes=(784, 10))


def test_the_flow_of_a_parabola_shrinks_exponentially(x64):
    end = every_order.flow(lambda point: 3 * point, jnp.array([2.0, -1.0]), jnp.asarray(0.2))
    np.testing.assert_allclose(end, np.array([2.0, -1.0]) * np.exp(-0.6), rtol=3e-5)


def slope_of(batch, start, at):
    """The gradient on one batch, as `at`: all numbers of layers like `start` in a row."""
    return plain.flat(plain.gradient(plain.unflat(at, start), batch))


def mean_end(slopes, start, rate, orders):
    """Where the steps of every order of batches lead, on average."""
    ends = []
    for order in orders:
        at = start
        for k in order:
            at = at - rate * slopes[k](at)
        ends.append(at)
    return np.mean(ends, axis=0)


def turned(slope, point):
    """The gradient of |slope|^2, twice the Hessian times the slope, by differences."""
    nudge = 1e-4 * slope(point)
    return (slope(point + nudge) - slope(point - nudge)) / 1e-4


def flow(slope, at, time):
    """Four steps of Runge and Kutta."""
    for _ in range(4):
        first = slope(at)
        second = slope(at - time / 8 * first)
        third = slope(at - time / 8 * second)
        at = at - time / 24 * (first + 2 * second + 2 * third + slope(at - time / 4 * third))
    return at


def distances(slopes, start, rate):
    """What Result holds of one seed and rate; `slopes`, one of every batch, are functions of a flat point."""
    slope = lambda at: np.mean([each(at) for each in slopes], axis=0)
    squares = lambda at: np.mean([turned(each, at) for each in slopes], axis=0)  # slope of mean_k |grad C_k|^2
    shuffled = mean_end(slopes, start, rate, itertools.permutations(range(3)))
    apart = shuffled - mean_end(slopes, start, rate, itertools.product(range(3), repeat=3))
    formula = -(rate**2) * 3 / 4 * (squares(start) - turned(slope, start))
    plain_end = flow(slope, start, 3 * rate)
    modified_end = flow(lambda at: slope(at) + rate / 4 * squares(at), start, 3 * rate)
    off = [np.linalg.norm(shuffled - end) for end in (start, plain_end, modified_end)]
    return [*off, np.linalg.norm(apart - formula) / np.linalg.norm(formula)]


def test_distances_are_those_of_plain_steps_and_flows_on_the_first_batches_of_every_seed(ran):
    run, _ = ran("every_order")
    train, _, starts, _ = plain.begin(run.settings)
    rows = descents.in_batches(plain.shuffles(run.settings, 600, 1), 5)[:, :3]
    for seed, start in enumerate(starts):
        batches = [plain.rows(train, batch) for batch in rows[seed]]
        slopes = [partial(slope_of, batch, start) for batch in batches]
        for index in (0, 3, 6):
            found = [numbers[seed, index] for numbers in run.result]
            np.testing.assert_allclose(found, distances(slopes, plain.flat(start), RATES[index]), rtol=3e-3)


def made_up(*off):
    """Three seeds whose distances go as the rate to theory's orders, 2, 3 and 1, but for so much in the last."""
    powers = (order + each * LAST_OFF[:, None] for order, each in zip((2, 3, 1), off, strict=True))
    return Result(np.full((3, len(RATES)), 2.0) + SAME_MEDIAN[:, None] / 9, *(RATES**power for power in powers))


@pytest.mark.parametrize(
    ("off", "failing"),
    [((0.095, -0.095, 0.095), []), ((-0.095, 0.095, -0.095), []), ((0.105, 0, 0), [0]), ((0, 0.105, 0), [1]),
     ((0, 0, 0.105), [2]), ((-0.105, -0.105, -0.105), [0, 1, 2])],
)  # fmt: skip
def test_the_claims_fail_where_the_slope_of_one_seed_is_off(off, failing):
    found = list(every_order.claims(made_up(*off), SMALLEST))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_medians_at_a_rate_of_a_tenth():
    said = every_order.finding(made_up(0, 0, 0), SMALLEST)  # 0.1^2 / 2 and 0.1^3 / 2
    assert "misses the mean end of all orders of 3 batches by 0.5% of the way" in said
    assert said.endswith("with the shuffle's own term by 0.05% (medians).")
