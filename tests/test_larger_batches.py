"""Whole trainings with batch and rate scaled together: the diagonals of the grid, where the rule breaks, the claims."""

import dataclasses
from itertools import product

import numpy as np
import plain
import pytest
from helpers import SAME_MEDIAN

from experiments.common import descents
from experiments.mini_batches import larger_batches as experiment

SMALLEST = experiment.Settings(
    num_seeds=2, num_examples=100, batch_sizes=(10, 20), learning_rates=(0.1, 0.2, 0.4), num_epochs=3,
    layer_sizes=(784, 10),
)  # fmt: skip
FOUR = dataclasses.replace(SMALLEST, batch_sizes=(1, 2, 4, 8), learning_rates=(0.5, 1.0, 2.0, 4.0), layer_sizes=())


def made_up(settings, ratios, sharpness):
    """Three seeds; along the only diagonal `ratios` are the median costs over the first, and where each ends it is so
    sharp."""
    cost = np.ones((3, len(settings.batch_sizes), len(settings.learning_rates)))
    apart = np.outer(SAME_MEDIAN, np.arange(len(ratios)) > 0)
    cost[:, np.arange(len(ratios)), experiment.diagonals(settings)[0]] = (ratios + 0.1 * apart) * np.array(
        [[2.0], [3.0], [4.0]]
    )
    sharpness = sharpness * (1 + 0.1 * SAME_MEDIAN[:, None]) * np.ones(len(ratios))
    return experiment.Result(cost, cost, sharpness[None])


def test_diagonals_are_the_rates_that_can_be_scaled_with_every_batch_size():
    settings = dataclasses.replace(SMALLEST, batch_sizes=(10, 20, 80), learning_rates=(0.3, 0.5, 0.6, 1.0, 2.4, 4.0))
    assert experiment.diagonals(settings) == [[0, 2, 4], [1, 3, 5]]


def test_every_training_ends_where_plain_descent_does_and_as_steep(ran):
    run, _ = ran("larger_batches")
    found, settings, (train, test, starts, _) = run.result, run.settings, plain.begin(run.settings)
    orders = plain.shuffles(settings, len(train.inputs), settings.num_epochs)
    for (size, batch), (seed, start) in product(enumerate(settings.batch_sizes), enumerate(starts)):
        rows = descents.in_batches(orders, batch)[seed]
        ends = [plain.descend(start, train, rows, rate)[-1] for rate in settings.learning_rates]
        costs = [plain.costs(params, train).mean() for params in ends]
        np.testing.assert_allclose(found.cost[seed, size], costs, rtol=1e-4)
        accuracies = [plain.accuracy(params, test) for params in ends]
        np.testing.assert_allclose(found.accuracy[seed, size], accuracies, atol=0.0051)  # one of 200
        steep = [plain.sharpness(ends[rate + size], train) for rate in (0, 1)]  # twice the batch, twice the rate
        np.testing.assert_allclose(found.sharpness[:, seed, size], steep, rtol=1e-3)


def test_rates_without_a_diagonal_are_refused():
    with pytest.raises(ValueError, match=r"--learning-rates 0.5 0.7: for one of them at least, all its multiples"):
        dataclasses.replace(SMALLEST, learning_rates=(0.5, 0.7)).check()


def test_the_rule_breaks_where_the_cost_is_a_tenth_higher():
    lines = experiment.lines_of(made_up(FOUR, [1, 1, 1.21, np.nan], 0.25), FOUR)
    np.testing.assert_allclose(lines.units, [[1 / 16, 1 / 8, 1 / 4, 1 / 2]])  # of 2/0.25
    np.testing.assert_allclose(lines.settled, lines.units)
    np.testing.assert_allclose(lines.ratios, [[1, 1, 1.21, np.inf]])
    assert experiment.breaks(lines.units[0], lines.ratios[0]) == (1 / 8, 1 / 4)
    assert experiment.breaks(lines.units[0], np.ones(4)) == (1 / 2, np.inf)


def test_nothing_is_claimed_of_rates_that_were_not_tried():
    (found,) = experiment.claims(made_up(FOUR, [1, 1, 1.21, np.nan], 0.25), FOUR)
    assert found.measured == pytest.approx(1 / 8)  # nothing else below a tenth, nothing beyond 1


WIDE = dataclasses.replace(FOUR, batch_sizes=(1, 2, 8, 64, 128), learning_rates=(0.5, 1.0, 4.0, 32.0, 64.0))
SHARP = np.array([0.2, 0.2, 0.48, 0.05, 0.03])  # the first makes the rates 1/20, 1/10, 4/10, ... of 2/sharpness


@pytest.mark.parametrize(
    ("ratios", "sharpness", "failing"),
    [((1, 1.05, 1.21, 9, 1.21), 1, []), ((1, 1.095, 1.21, 9, 1.21), 1, []), ((1, 1.105, 1.21, 9, 1.21), 1, [0, 3]),
     ((1, 0.905, 1.21, 9, 1.21), 1, []), ((1, 0.895, 1.21, 9, 1.21), 1, [0]), ((1, 1, 1.21, 9, 1.11), 1, []),
     ((1, 1, 1.21, 9, 1.09), 1, [1]), ((1, 1, 1.05, 9, 1.21), 1, []), ((1, 1, 1.05, 9, 1.21), (1, 1, 1.08, 1, 1), [2]),
     ((1, 1.05, 1.21, 9, 1.21), (0.95, 1, 1, 1, 1), [3]), ((1, 1, 1, 1, 1), 1, [1, 3])],
)  # fmt: skip
def test_claims_hold_where_trainings_behave_as_in_a_parabola_and_fail_where_not(ratios, sharpness, failing):
    found = list(experiment.claims(made_up(WIDE, ratios, SHARP * sharpness), WIDE))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_says_up_to_where_and_how_far_the_next_rate_is():
    said = experiment.finding(made_up(WIDE, (1, 1.05, 1.21, 9, 1.21), SHARP), WIDE)
    assert "up to 0.10 to 0.10 of 2/sharpness, and more at the next rate tried, 2 times as large." in said
    assert "do not show from where on" in experiment.finding(made_up(WIDE, np.ones(5), SHARP), WIDE)
