"""Whole trainings with batch and rate scaled together: the diagonals of the grid, where the rule breaks, the claims."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SAME_MEDIAN

from experiments.common import descents
from experiments.common.problem import Problem
from experiments.mini_batches import larger_batches as experiment
from research.data import Examples
from research.models import Model

SMALLEST = experiment.Settings(
    num_seeds=2, batch_sizes=(10, 20), learning_rates=(0.5, 1.0), num_epochs=1, layer_sizes=(784, 10)
)
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


def test_the_sharpness_is_that_of_where_each_training_of_a_diagonal_ended(monkeypatch):
    """A training ends at B + eta times its start, in a valley that is theta^2 steep there."""

    def train_with(problem, params, shared, rows, rates):
        return rates, rates, params * (rows.shape[-1] + rates)

    monkeypatch.setattr(experiment, "train_with", train_with)
    train = Examples(jnp.zeros((8, 1)), jnp.zeros((8, 1)))
    model = Model(lambda key: jax.random.uniform(key, (), minval=1, maxval=2), lambda theta, x: theta + 0 * x)
    problem = Problem(model, lambda output, target: jnp.sum(output**4) / 12, train, train, (1, 1, 1))
    settings = dataclasses.replace(FOUR, batch_sizes=(1, 2, 4), learning_rates=(0.5, 1.0, 2.0, 4.0))
    starts = descents.begin(problem, settings, 1).params
    ends = np.array([[1.5, 3, 6], [2, 4, 8]])  # those with the rates 0.5, 1, 2, and with 1, 2, 4
    found = experiment.measure(problem, settings).sharpness
    np.testing.assert_allclose(found, (ends[:, None] * np.asarray(starts)[:, None]) ** 2, rtol=1e-5)


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
