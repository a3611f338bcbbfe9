"""A new cost beside the film's: what its outputs ask for, the best rate, and the claims."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import LAST_OFF, make_examples, make_params

from experiments.common import cost_looks
from experiments.common.cost_looks import Scatter
from experiments.common.hills import View
from experiments.common.problem import Problem
from experiments.common.runs import Diverged
from experiments.common.tune import Tuned
from experiments.networks import new_cost
from experiments.networks.new_cost import Descended, OfCost, Result, Settings, cross_entropy
from research import costs, models

SMALLEST = Settings(
    num_seeds=2, num_examples=120, batch_size=10, num_steps=20, num_epochs=4, resolution=5, learning_rates=(0.5, 2.0),
    layer_sizes=(784, 3, 10),
)  # fmt: skip
SAMPLES = make_examples(jax.random.key(1), 20, 12, 4)
PARAMS = make_params(jax.random.key(0))


def test_cross_entropy_is_the_formula_and_finite_where_an_output_is_saturated():
    output, target = np.array([0.9, 0.2, 0.5]), np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(cross_entropy(output, target), -np.log(0.9 * 0.8 * 0.5), rtol=1e-6)
    assert np.isfinite(cross_entropy(np.array([0.0, 1.0]), np.array([1.0, 0.0])))
    assert cross_entropy(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0


def posed(cost_fn):
    activations = (jax.nn.sigmoid, jax.nn.sigmoid)
    return Problem(models.mlp((12, 5, 6, 4)), cost_fn, SAMPLES, SAMPLES, (3, 4, 1), activations)


@pytest.fixture(scope="module")
def asked():
    """What the outputs ask for, of cross-entropy and of the film's cost."""
    return [cost_looks.wishes(posed(cost_fn), PARAMS, SAMPLES) for cost_fn in (cross_entropy, costs.sum_of_squares)]


def test_what_the_outputs_ask_for_is_what_the_formulas_say(asked):
    outputs, targets = asked[0].outputs, np.asarray(SAMPLES.targets)
    slopes, wrong = outputs * (1 - outputs), outputs - targets
    np.testing.assert_allclose(asked[0].nudges * slopes, -wrong, atol=1e-6)
    np.testing.assert_allclose(asked[0].deltas, wrong, atol=1e-6)
    np.testing.assert_allclose(asked[1].nudges, -2 * wrong, atol=1e-6)
    np.testing.assert_allclose(asked[1].deltas, 2 * wrong * slopes, atol=1e-6)


def test_the_gradients_of_a_cost_are_checked_in_three_ways():
    by_hand, differences = cost_looks.check_gradients(posed(costs.absolute), PARAMS)
    assert by_hand < 1e-12
    assert differences < 1e-6


TARGETS, OUTPUTS = np.array([[0.0, 1.0]] * 2), np.array([[0.1, 0.8], [0.3, 0.4]])
WRONG = OUTPUTS - TARGETS
ACCURACY = np.array([[0.5, 0.99], [0.5, 0.9], [0.5, 0.88]])  # of three seeds, at two looks


def of_cost(deltas, came_down=950.0, delta=0.0, by_hand=0.0, differences=0.0, average=0.0, ahead=0.0):
    """Three seeds, two looks. The full batch comes to 0.6 with 1,000 examples, mini-batches of the last seed after so
    many, of the others earlier; the last delta, and the last seed's average at the end, are so far off."""
    scatter = Scatter(np.array([[1, 900.0], [1, 20.0], [1, 10.0]]), np.outer(LAST_OFF, (0, average)))
    tuned, view = Tuned(np.array([0.5]), np.array([0.1])), View(np.zeros(2), np.zeros(2), np.ones((2, 2)), (), ())
    mini = np.array([[0.5, 0.4], [0.55, 0.4], [0.9, 0.59 if came_down else 0.61]])
    full, mini = (
        Descended(tuned, read, cost, ACCURACY + more, ACCURACY[:, :1])
        for read, cost, more in (
            (np.array([500.0, 1000.0]), np.array([[0.8, 0.6]] * 3), ahead),
            (np.array([50.0, came_down]), mini, -2 * ahead * np.outer(LAST_OFF, (0, 1))),
        )
    )
    off = np.zeros((2, 2))
    off[-1, -1] = delta
    wishes = cost_looks.Wishes(TARGETS, OUTPUTS, -2 * WRONG, deltas + off)
    return OfCost("a", by_hand, differences, wishes, wishes, scatter, (full, mini), view, 1.0)


def made_up(new=None, film=None):
    slope = OUTPUTS * (1 - OUTPUTS)
    return Result(of_cost(WRONG, **(new or {})), of_cost(2 * WRONG * slope, **(film or {}))._replace(name="b"), True)


@pytest.mark.parametrize(
    ("new", "film", "failing"),
    [({}, {}, []), ({"by_hand": 9.5e-13, "differences": 9.5e-7, "average": 9.5e-7, "delta": 9.5e-7}, {}, []),
     ({"by_hand": 1.05e-12}, {}, [0]), ({}, {"by_hand": 1.05e-12}, [0]), ({"differences": 1.05e-6}, {}, [1]),
     ({}, {"differences": 1.05e-6}, [1]), ({"average": 1.05e-6}, {}, [2]), ({}, {"average": 1.05e-6}, [2]),
     ({}, {"delta": 9.5e-7}, []), ({}, {"delta": 1.05e-6}, [3]), ({"delta": 1.05e-6}, {}, [4]),
     ({}, {"came_down": 1050.0}, [5]), ({"came_down": 1050.0}, {}, [6]), ({"came_down": 0.0}, {}, [6])],
)  # fmt: skip
def test_the_claims_hold_for_the_right_costs_and_fail_for_others(new, film, failing):
    found = list(new_cost.claims(made_up(new, film), Settings()))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_of_a_cost_of_ones_own_and_of_other_outputs_less_is_claimed():
    assert len(list(new_cost.claims(made_up(), Settings(cost="costs:mine")))) == 6
    assert len(list(new_cost.claims(made_up()._replace(sigmoid=False), Settings()))) == 5


def test_examples_to_the_same_cost_are_counted_at_the_looks():
    np.testing.assert_array_equal(new_cost.examples_saved(of_cost(WRONG)), [20, 20, 1000 / 950])
    np.testing.assert_array_equal(new_cost.examples_saved(of_cost(WRONG, came_down=0.0)), [20, 20, np.nan])


def test_the_finding_counts_the_starts_and_gives_the_median_ends():
    said = new_cost.finding(made_up(new={"ahead": 0.01}), Settings())
    assert "a against b: full batch 91.0 % against 90.0 %, mini-batches 90.0 % against 90.0 % (medians)" in said
    assert "3 of 3 starts (by +1.00 points on average) and 0 of 3 starts (by -0.67 points on average)" in said
    assert "at the end of the mini-batches is 20 (10 to 900) against 20 (10 to 900)." in said


def test_the_best_rate_is_the_one_that_ends_lowest_and_one_that_diverged_never_is():
    cost = np.array([[[3.0, 2.0], [3.0, 1.0], [3.0, np.nan]], [[3.0, 2.0], [3.0, 1.5], [np.inf, 0.1]]])
    settings = dataclasses.replace(SMALLEST, learning_rates=(1.0, 2.0, 3.0))
    best, _ = new_cost.best_of(settings, (cost, cost / 10, cost[..., None]), np.ones(2))
    assert best.tuned.best == 2.0
    np.testing.assert_array_equal(best.cost, [[3.0, 1.0], [3.0, 1.5]])
    with pytest.raises(Diverged, match="every learning rate"):
        new_cost.best_of(settings, (cost * np.nan, cost, cost[..., None]), np.ones(2))
