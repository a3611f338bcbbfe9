"""The mean of footsteps: the formula against covariances written out, the walk against numpy, and the claims."""

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SAME_MEDIAN

from experiments.common import long_training
from experiments.common.problem import Problem
from experiments.hill import footsteps as experiment
from experiments.hill.footsteps import MEN, RATES, Result
from research import costs, sampling
from research.data import Examples
from research.models import Model

ZEROS = Examples(jnp.zeros((20, 1)), jnp.zeros((20, 1)))
PROBLEM = Problem(
    Model(lambda key: jnp.float32(0), lambda theta, x: theta[None]), costs.sum_of_squares, ZEROS, ZEROS, (1, 1, 1)
)
SMALLEST = long_training.Settings(num_seeds=2, start_epochs=3, layer_sizes=(784, 3, 10))


@pytest.mark.parametrize("eta_h", [0.02, 0.7, 1.0, 1.8])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_variance_of_the_mean_is_that_of_all_pairs_of_footsteps(eta_h, length):
    """Cov(theta_s, theta_t) = V phi^|s - t| at rest, V the stationary variance."""
    lags = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    pairs = sampling.stationary_variance(eta_h, 1.0, 1.0, 1) * (1 - eta_h) ** lags.astype(float)
    assert experiment.variance(eta_h, length) == pytest.approx(pairs.mean())


def test_many_footsteps_are_worth_as_many_batches_whatever_the_rate():
    found = experiment.variance(np.array([0.1, 0.5, 1.9]), 1e9) * 1e9
    np.testing.assert_allclose(found, 1, rtol=1e-6)


@pytest.mark.parametrize("s", [0.01, 0.3, 1.0, 3.0, 10.0, 100.0, 1e4])
def test_on_a_parabola_averaging_leaves_no_more_of_the_floor_than_a_rate_that_falls(s):
    """With a rate eta w, w from 1 to 0 in n steps: dV/dw = 2 s w (V - w), V in units of the floor, s = n eta h."""
    w = np.linspace(0, 1, 1_000_001)
    weights = 2 * s * w**2 * np.exp(-s * w**2)
    falling = np.exp(-s) + (weights[1:] + weights[:-1]).mean() / 2
    average = 2 / s * (1 + np.expm1(-s) / s)
    assert average <= falling * (1 + 1e-6)
    eta_h = 1e-5  # small steps: the share is the limit of the formula over the stationary variance
    exact = experiment.variance(eta_h, s / eta_h) / sampling.stationary_variance(eta_h, 1.0, 1.0, 1)
    assert average == pytest.approx(exact, rel=1e-3)


def test_the_simulation_is_within_its_standard_error():
    off = experiment.simulated(1) / experiment.variance(experiment.ETA_H[:, None], experiment.LENGTHS) - 1
    assert np.abs(off).max() < 4 * np.sqrt(2 / experiment.CHAINS)


def test_a_walk_is_descent_and_averages_where_it_was(x64):
    x = np.array([1.0, 3.0, -2.0, 0.5])
    rows, rates = np.array([[0, 1], [2, 3], [1, 1], [0, 3]]), np.array([0.1, 0.2, 0.3, 0.4])
    objective = lambda point, some: jnp.mean((point[0] - some.inputs[:, 0]) ** 2)
    examples = Examples(jnp.asarray(x)[:, None], jnp.zeros((4, 1)))
    place, mean = experiment.walk(objective, examples, jnp.asarray(rates), jnp.array([5.0]), jnp.asarray(rows))
    theta, path = np.float64(5.0), []
    for batch, rate in zip(rows, rates, strict=True):
        theta -= rate * 2 * (theta - x[batch].mean())
        path.append(theta)
    np.testing.assert_allclose([place[0], mean[0]], [theta, np.mean(path)], rtol=1e-12)


def test_the_men_of_a_seed_leave_the_same_place(monkeypatch):
    """At a rate of 0 they stay there."""
    monkeypatch.setattr(experiment, "RATES", (0.0, 0.0))
    monkeypatch.setattr(long_training, "train", lambda problem, settings: jnp.array([1.0, 3.0]))
    found = experiment.measure(PROBLEM, long_training.Settings(num_seeds=2))
    np.testing.assert_allclose(found.cost, np.array([1.0, 9.0])[:, None, None] * np.ones((3, 1, MEN, 2)))
    np.testing.assert_allclose(found.together, np.array([1.0, 9.0])[:, None] * np.ones((3, 1, 2)))


def made_up(gain=1.0, average=0.95, parabola=0.0):
    """Three seeds; tr Sigma = 1.6 makes the floor of the lowest rate 0.04, of which the mean of four men wins 0.03,
    times `gain` in the median seed. In the last seed the average costs such a share of the falling rate's end at the
    last rate; one variance of the parabola is so many standard errors off."""
    formula = experiment.variance(experiment.ETA_H[:, None], experiment.LENGTHS)
    formula[-1, -1] *= 1 + parabola * np.sqrt(2 / experiment.CHAINS)
    man, men = np.array([0.09, 0.06, 0.07]), np.array([-3.0, 1, 1, 1])
    cost = np.full((3, 3, MEN, len(RATES)), 1.0) * man[:, None, None, None] + 0.002 * men[:, None]
    cost[1, -1, :, -1] *= 0.07 * average / 0.06
    cost[1, -1, :, -1] += 0.07 * average - cost[1, -1, :, -1].mean()
    together = 0.09 - 0.03 * (gain + 0.1 * SAME_MEDIAN[:, None]) + np.zeros(len(RATES))
    scatter = np.full((3, MEN, len(RATES)), 1.6) + 0.2 * men[:, None]
    return Result(formula, cost, np.stack([together, together / 2, together / 3]), scatter)


@pytest.mark.parametrize(
    ("changed", "failing"),
    [({}, []), ({"parabola": 3.9}, []), ({"parabola": 4.1}, [0]), ({"parabola": -4.1}, [0]), ({"gain": 1.28}, []),
     ({"gain": 1.32}, [1]), ({"gain": 0.72}, []), ({"gain": 0.68}, [1]), ({"average": 1.05}, [2]),
     ({"average": np.nan}, [2])],
)  # fmt: skip
def test_each_claim_fails_where_its_number_is_off(changed, failing):
    found = list(experiment.claims(made_up(**changed), long_training.Settings()))
    assert len(found) == 3
    assert changed or found[1].measured == pytest.approx(1)
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_median_seed():
    said = experiment.finding(made_up(), SMALLEST)
    assert (
        f"costs 0.67 of what he does at a rate of {RATES[0]:g} (a falling rate's end 0.78, 4 men's mean place 0.67)"
        in said
    )


def test_of_another_network_only_the_parabola_is_claimed():
    other = long_training.Settings(num_seeds=1, layer_sizes=(784, 30, 10))
    assert len(list(experiment.claims(made_up(), other))) == 1
