"""A new cost beside the film's: what its outputs ask for, the best rate, and the claims."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import make_examples, make_params

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
    num_seeds=2, num_examples=120, batch_size=10, num_steps=20, num_epochs=4, resolution=5, learning_rates=(0.5, 2.0)
)
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


def of_cost(name, wishes, mini=(0.9, 0.5), error=0.0):
    """Two seeds, two looks; the full batch comes to 0.6 with 1,000 examples."""
    scatter = Scatter(np.ones((2, 2)), np.full((2, 2), error))
    tuned, accuracy = Tuned(np.array([0.5]), np.array([0.1])), np.full((2, 2), 0.9)
    full = Descended(tuned, np.array([500.0, 1000.0]), np.array([[0.8, 0.6]] * 2), accuracy, accuracy[:, :1])
    mini = Descended(tuned, np.array([50.0, 100.0]), np.array([mini] * 2), accuracy, accuracy[:, :1])
    view = View(np.zeros(2), np.zeros(2), np.ones((2, 2)), (), ())
    return OfCost(name, error, error, wishes, wishes, scatter, (full, mini), view, 1.0)


def verdicts(new, film):
    return [claim.holds for claim in new_cost.claims(Result(new, film, True), Settings())]


def test_the_claims_hold_for_the_right_costs_and_fail_for_swapped_or_wrong_ones(asked):
    new, film = of_cost("cross entropy", asked[0]), of_cost("the film's cost", asked[1])
    assert verdicts(new, film) == [True] * 7
    assert verdicts(film, new) == [True] * 3 + [False] * 2 + [True] * 2
    wrong = of_cost("cross entropy", asked[0], mini=(0.9, 0.7), error=1e-3)
    assert verdicts(wrong, film) == [False] * 3 + [True] * 3 + [False]


def test_examples_to_the_same_cost_are_counted_at_the_looks():
    np.testing.assert_array_equal(new_cost.examples_saved(of_cost("", None)), [10, 10])
    assert np.isnan(new_cost.examples_saved(of_cost("", None, mini=(0.9, 0.7)))).all()


def test_the_best_rate_is_the_one_that_ends_lowest_and_one_that_diverged_never_is():
    cost = np.array([[[3.0, 2.0], [3.0, 1.0], [3.0, np.nan]], [[3.0, 2.0], [3.0, 1.5], [np.inf, 0.1]]])
    settings = dataclasses.replace(SMALLEST, learning_rates=(1.0, 2.0, 3.0))
    best, _ = new_cost.best_of(settings, (cost, cost / 10, cost[..., None]), np.ones(2))
    assert best.tuned.best == 2.0
    np.testing.assert_array_equal(best.cost, [[3.0, 1.0], [3.0, 1.5]])
    with pytest.raises(Diverged, match="every learning rate"):
        new_cost.best_of(settings, (cost * np.nan, cost, cost[..., None]), np.ones(2))
