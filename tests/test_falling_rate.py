"""Results on which the claims about a falling rate must hold, and must fail."""

import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEDIAN

from experiments.common.descents import Curve
from experiments.hill import falling_rate
from experiments.hill.falling_rate import Result, Settings

SMALLEST = Settings(num_seeds=2, num_epochs=3, batch_size=60, layer_sizes=(784, 10))


def test_both_rates_end_where_plain_descent_on_the_same_batches_ends(ran):
    run, _ = ran("falling_rate")
    settings, result, (train, test, starts, _) = run.settings, run.result, plain.begin(run.settings)
    num_steps = settings.num_epochs * (len(train.inputs) // settings.batch_size)
    falling = plain.falling(settings.learning_rate, num_steps)
    orders = plain.shuffles(settings, len(train.inputs), settings.num_epochs)
    for seed, (start, order) in enumerate(zip(starts, orders, strict=True)):
        batches = order.reshape(num_steps, -1)
        for rate, curve, norm in (
            (settings.learning_rate, result.constant, result.constant_norm),
            (falling, result.falling, result.falling_norm),
        ):
            passed = plain.descend(start, train, batches, rate)
            some = [0, len(curve.steps) // 2, -1]
            looks = [passed[step] for step in curve.steps[some]]
            cost, accuracy = [plain.costs(at, train).mean() for at in looks], [plain.accuracy(at, test) for at in looks]
            np.testing.assert_allclose(curve.cost[seed, some], cost, rtol=1e-4)
            np.testing.assert_allclose(curve.accuracy[seed, some], accuracy, atol=0.011)  # two of 200
            assert curve.steps[-1] == num_steps
            gradient = plain.flat(plain.gradient(passed[-1], train))
            np.testing.assert_allclose(norm[seed], np.linalg.norm(gradient), rtol=1e-4)


def made_up(cost=0.5, norm=0.5):
    """Three seeds; with the falling rate the cost and the gradient end at half of what they are with the constant one,
    in the last seed at these shares."""
    steps, ends = np.array([10, 20]), 0.2 + 0.01 * SAME_MEDIAN
    constant = Curve(steps, np.stack([ends + 3, ends], axis=1), np.full((3, 2), 0.9))
    falling = constant._replace(cost=np.stack([ends + 3, ends * np.where(LAST_OFF, cost, 0.5)], axis=1))
    return Result(constant, falling, ends, ends * np.where(LAST_OFF, norm, 0.5))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({"cost": 0.95, "norm": 0.95}, []), ({"norm": 1.05}, [0]), ({"cost": 1.05}, [1])],
)  # fmt: skip
def test_one_seed_that_ends_higher_is_enough_to_fail(changes, failing):
    found = list(falling_rate.claims(made_up(**changes), SMALLEST))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_gives_the_medians_and_the_range_of_the_seeds():
    said = falling_rate.finding(made_up(cost=0.3, norm=0.7), SMALLEST)
    assert (
        "the cost is 0.100 with a rate that falls to 0 and 0.200 with a constant one, seed by seed 0.30 to 0.50" in said
    )
    assert "the gradient is 0.50 to 0.70 times as long" in said
