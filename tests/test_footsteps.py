"""The mean of footsteps: the formula against covariances written out, the walk against numpy, and the claims."""

import numpy as np
import plain
import pytest
from helpers import SAME_MEDIAN

from experiments.common import long_training
from experiments.hill import footsteps as experiment
from experiments.hill.footsteps import BATCH, MEN, RATES, Result
from research import sampling

SMALLEST = long_training.Settings(
    num_seeds=2, num_examples=200, start_batch_size=50, start_epochs=3, layer_sizes=(784, 3, 10)
)


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


def test_every_man_walks_from_the_end_of_the_long_training_as_plain_descent_does(ran):
    run, _ = ran("footsteps")
    result, (train, _, starts, _) = run.result, plain.begin(run.settings)
    train = train._replace(inputs=train.inputs / 255)
    count, ends, found = len(train.inputs), plain.trained(run.settings, train, starts), {}
    sizes = (2, len(ends), MEN, count // BATCH, BATCH)
    batches = np.random.default_rng(run.settings.seed).integers(count, size=sizes)
    falls = np.linspace(1, 0, count // BATCH)
    for seed, man, rate in np.ndindex(result.scatter.shape):
        first, second = batches[:, seed, man]
        settled = plain.descend(ends[seed], train, first, RATES[rate])[-1]
        footsteps = plain.descend(settled, train, second, RATES[rate])[1:]
        average = np.mean([plain.flat(place) for place in footsteps], axis=0)
        falling = plain.descend(settled, train, second, RATES[rate] * falls)
        places = [footsteps[-1], plain.unflat(average, settled), falling[-1]]
        cost = [plain.costs(place, train).mean() for place in places]
        np.testing.assert_allclose(result.cost[:, seed, man, rate], cost, rtol=5e-4)  # roundings grow on the way
        np.testing.assert_allclose(result.scatter[seed, man, rate], plain.scatter(places[0], train), rtol=5e-4)
        found[seed, man, rate] = [plain.flat(place) for place in places]
    for place, seed, rate in np.ndindex(result.together.shape):
        mean = np.mean([found[seed, man, rate][place] for man in range(MEN)], axis=0)
        cost = plain.costs(plain.unflat(mean, ends[seed]), train).mean()
        np.testing.assert_allclose(result.together[place, seed, rate], cost, rtol=5e-4)


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
