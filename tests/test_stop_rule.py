"""What every step of plain descent sees; and Results on which the claims must hold, and must fail."""

import dataclasses
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import plain
import pytest

from experiments.common import runs
from experiments.hill import stop_rule
from experiments.hill.stop_rule import Result, Settings
from research.data import Examples
from research.models import Model

SMALLEST = Settings(num_seeds=2, num_examples=100, num_legs=3)


def test_every_step_sees_the_cost_and_the_gradient_of_where_plain_descent_is(ran):
    run, _ = ran("stop_rule")
    result, (train, _, starts, _) = run.result, plain.begin(run.settings)
    train = train._replace(inputs=train.inputs / 255)
    everything = np.tile(np.arange(len(train.inputs)), (result.cost.shape[1], 1))
    for seed, start in enumerate(starts):
        passed = plain.descend(start, train, everything, run.settings.learning_rate)
        costs = [plain.costs(params, train).mean() for params in passed[:-1]]
        norms = [np.linalg.norm(plain.flat(plain.gradient(params, train))) for params in passed[:-1]]
        np.testing.assert_allclose(result.cost[seed], costs, rtol=1e-4)
        np.testing.assert_allclose(result.gradient[seed], norms, rtol=1e-4)
        accuracy = [plain.accuracy(params, train) for params in passed[:: stop_rule.LEG]]
        np.testing.assert_allclose(result.accuracy[seed], accuracy, atol=0.011)  # one of 100


def made_up(**changed):
    """Two seeds: |G| is smallest at step 2, in the saddle, and as small again at step 5."""
    cost = np.array([[2.5, 1.0, 0.9, 0.8, 0.3, 0.1, 0.05]] * 2)
    gradient = np.array([[1.4, 0.1, 0.02, 0.06, 0.05, 0.02, 0.01]] * 2)
    return Result(cost, gradient, np.array([[0.1, 0.9]] * 2))._replace(**changed)


def test_it_halts_in_the_saddle_and_where_the_gradient_is_as_small_again():
    halt, again = stop_rule.halts(made_up())
    assert halt.tolist() == [2, 2]
    assert again.tolist() == [5, 5]
    never = made_up().gradient + np.array([0, 0, 0, 0, 0, 1, 1])
    assert stop_rule.halts(made_up(gradient=never))[1].tolist() == [6, 6], "the last step"
    learned = made_up(gradient=np.array([[1.4, 0.1, 0.02, 0.06, 0.01, 0.005, 0.001]] * 2))
    assert stop_rule.halts(learned)[0].tolist() == [2, 2]  # at a cost of 0.3 it is out of the saddle


def test_the_finding_says_the_first_lows_of_the_gradient_of_all_seeds():
    apart = made_up(gradient=made_up().gradient * [[1.0], [2.0]])
    assert "is at its first low, 0.020 to 0.040, would stop at step 2 to 2" in stop_rule.finding(apart, SMALLEST)


def test_the_accuracy_is_that_of_the_nearest_look():
    result = made_up(accuracy=np.array([[0.1, 0.5, 0.9]] * 4))  # after 0, 10 and 20 steps
    np.testing.assert_allclose(stop_rule.looked(result, np.array([4, 6, 14, 16])), [10, 50, 50, 90])


@pytest.mark.parametrize(
    ("changed", "verdicts"),
    [({}, [True, True, True]), ({"gradient": np.full((2, 7), 2.0)}, [False, False, False]),
     ({"cost": made_up().cost - np.array([0, 0, 0.05, 0, 0, 0, 0])}, [True, False, True]),
     ({"gradient": made_up().gradient * np.array([1, 1, 1, 0.6, 0.6, 1, 1])}, [True, True, False])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changed, verdicts):
    assert [claim.holds for claim in stop_rule.claims(made_up(**changed), SMALLEST)] == verdicts


def test_the_promise_is_kept_to_the_letter_where_the_rate_is_1_over_the_sharpness():
    """C = h p^2 / 2 at a rate of 1/h is at its minimum in one step: |G|^2 = h^2 p^2 = 2 (C_0 - C_1) / rate."""
    h, place = 4.0, 3.0
    result = made_up(cost=np.array([[h * place**2 / 2, 0.0]]), gradient=np.array([[h * place, 0.0]]))
    promise, *_ = stop_rule.claims(result, dataclasses.replace(SMALLEST, learning_rate=1 / h))
    assert promise.measured == pytest.approx(1)


def test_of_other_networks_nothing_is_claimed():
    assert list(stop_rule.claims(made_up(), dataclasses.replace(SMALLEST, activation="relu"))) == []


def test_a_descent_that_diverges_says_so():
    parabola = SimpleNamespace(
        model=Model(lambda key: jnp.ones(()), lambda params, inputs: params), train=Examples(np.zeros(1), np.zeros(1)),
        cost=lambda params, train: 2 * params**2, accuracy=lambda params, train: params,
    )  # fmt: skip
    with pytest.raises(runs.Diverged, match="full-batch descent"):
        stop_rule.measure(parabola, Settings(num_seeds=2, learning_rate=1e30, num_legs=2))  # pyright: ignore
