"""Ways of drawing: theory against enumeration and simulation, the loop against numpy, and the claims."""

import itertools
from functools import partial
from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest
import threefry
from helpers import SAME_MEAN

from experiments.common.bounds import SettingsError
from experiments.mini_batches import convex_shuffling
from experiments.mini_batches.convex_shuffling import ANEW, AS_STORED, BY_LOT, QUICK, RATES, SORTED, Result, Settings
from research import data, sampling
from research.data import Examples

SMALLEST = Settings(num_seeds=2, chains=3)
AROUND = partial(mock.patch.object, convex_shuffling, "BURN_IN", 6)  # epochs, of the 728 that forget the start


def quadratic_of(num_images, seed=0):
    rng = np.random.default_rng(seed)
    inputs, targets = rng.random((num_images, 9), np.float32), np.eye(3, dtype=np.float32)[np.arange(num_images) % 3]
    return convex_shuffling.make_quadratic(Examples(jnp.asarray(inputs), jnp.asarray(targets)))


def parts(quadratic):
    return quadratic.curvatures, quadratic.slopes


def test_the_optimum_is_one_and_the_hessian_is_as_said():
    quadratic = quadratic_of(12)
    np.testing.assert_allclose(quadratic.slopes.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(quadratic.curvatures.mean(axis=0), convex_shuffling.STEEPNESS * np.eye(6), atol=1e-12)


def test_theory_by_lot_is_a_long_average():
    quadratic, rate, rng = quadratic_of(12), 0.1, np.random.default_rng(1)
    apart, total = np.zeros((2000, 6)), []
    for step in range(300):
        drawn = rng.integers(12, size=len(apart))
        pull = np.einsum("nij,nj->ni", quadratic.curvatures[drawn], apart) + quadratic.slopes[drawn]
        apart -= rate * pull
        total += [np.mean(np.sum(apart**2, axis=1))] if step >= 100 else []
    # 2000 chains over some 20 correlation times: a standard error of half a percent
    assert sampling.variance_by_lot(*parts(quadratic), rate) == pytest.approx(np.mean(total), rel=0.03)


def test_the_excess_is_what_an_epoch_moves_from_the_optimum_beyond_first_order():
    quadratic, rate = quadratic_of(7), 1e-4
    orders = np.array(list(itertools.permutations(range(7))))[::97]
    for order, excess in zip(orders, sampling.excess(*parts(quadratic), orders), strict=True):
        apart = np.zeros(6)
        for image in order:
            apart -= rate * (quadratic.curvatures[image] @ apart + quadratic.slopes[image])
        np.testing.assert_allclose(apart / rate**2, excess, atol=0.02 * np.abs(excess).max())


def test_bias_and_variance_of_reshuffling_are_those_of_all_orders(monkeypatch):
    quadratic, rates = quadratic_of(7), np.array([1e-3, 1e-2])
    monkeypatch.setattr(sampling, "DRAWN_ORDERS", 20_000)
    bias, variance = sampling.bias_and_variance_shuffled(*parts(quadratic), rates, 0)
    excess = sampling.excess(*parts(quadratic), np.array(list(itertools.permutations(range(7)))))
    mean, left = excess.mean(axis=0), (1 - rates * convex_shuffling.STEEPNESS) ** 7
    np.testing.assert_allclose(bias, rates**4 * (mean @ mean) / (1 - left) ** 2, rtol=1e-10)
    scatter = np.sum((excess - mean) ** 2, axis=1).mean()
    np.testing.assert_allclose(variance, rates**4 * scatter / (1 - left**2), rtol=0.05)


def drawn(key, labels, epochs):
    """Which image every step sees: ways, steps."""
    anew, once, by_lot = threefry.split(key, 3)
    fixed = threefry.permutation(once, 30), np.arange(30), np.argsort(labels, kind="stable")
    again, stored, by_label = (np.tile(order, epochs) for order in fixed)
    return (
        threefry.shuffles(anew, 30, epochs).ravel(),
        again,
        threefry.integers(by_lot, 30 * epochs, 30),
        stored,
        by_label,
    )


@pytest.fixture
def on_mnist(small_mnist):
    """(labels of the first 30 images, their parabolas)"""
    few = data.take(data.load(str(small_mnist)), slice(convex_shuffling.NUM_IMAGES))
    return few.targets.argmax(axis=1), convex_shuffling.make_quadratic(few)


def test_every_way_is_as_far_off_in_the_second_half_as_steps_written_out(ran, on_mnist):
    run, (labels, quadratic) = ran("convex_shuffling")[0], on_mnist
    features, targets = quadratic.features, quadratic.targets
    optimum = np.linalg.solve(features.T @ features / 30 + 0.1 * np.eye(6), features.T @ targets / 30)
    chains = [threefry.split(threefry.fold_in(key, 1), 3) for _, key in threefry.seed_keys(run.settings.seed, 2)]
    orders = np.array([[drawn(key, labels, 12) for key in keys] for keys in chains])  # seeds, chains, ways, steps
    orders = np.moveaxis(orders, 2, 0)[:, :, :, None]  # an axis of rates
    theta, away = np.tile(optimum, (5, 2, 3, len(RATES), 1)), []
    for step in range(12 * 30):
        rows = orders[..., step]
        x, residual = features[rows], np.sum(theta * features[rows], axis=-1) - targets[rows]
        theta = theta - RATES[:, None] * (residual[..., None] * x + 0.1 * theta)
        away += [np.sum((theta - optimum) ** 2, axis=-1)] if step % 30 == 29 and step >= 6 * 30 else []
    np.testing.assert_allclose(run.result.distance, np.mean(away, axis=(0, 3)), rtol=1e-9)


def test_theory_is_of_the_first_thirty_images(ran, on_mnist):
    result, (labels, quadratic) = ran("convex_shuffling")[0].result, on_mnist
    x = quadratic.features
    slopes = (x @ quadratic.optimum - quadratic.targets)[:, None] * x
    np.testing.assert_allclose(quadratic.curvatures, x[:, :, None] * x[:, None] + 0.1 * np.eye(6), atol=1e-12)
    np.testing.assert_allclose(quadratic.slopes, slopes + 0.1 * quadratic.optimum, atol=1e-12)
    by_lot = [sampling.variance_by_lot(*parts(quadratic), rate) for rate in RATES]
    np.testing.assert_allclose(result.by_lot, by_lot, rtol=1e-9)
    rng = np.random.default_rng(5)
    excess = sampling.excess(*parts(quadratic), rng.permuted(np.tile(np.arange(30), (1000, 1)), axis=1))
    mean, left = -np.einsum("nij,nj->i", *parts(quadratic)) / 2, (1 - RATES * convex_shuffling.STEEPNESS) ** 30
    np.testing.assert_allclose(result.anew[0], RATES**4 * (mean @ mean) / (1 - left) ** 2, rtol=1e-9)
    scatter = np.mean(np.sum((excess - mean) ** 2, axis=1))  # of 1,000 orders: a standard error of some 3 %
    np.testing.assert_allclose(result.anew[1], RATES**4 * scatter / (1 - left**2), rtol=0.15)
    orders = np.arange(30), np.concatenate([np.flatnonzero(labels == label) for label in range(10)])
    for order, found in zip(orders, result.resting, strict=True):
        places = [sampling.resting_place(*parts(quadratic), order, rate) for rate in RATES]
        np.testing.assert_allclose(found, np.linalg.norm(places, axis=1) ** 2, rtol=1e-9)


def made_up(*, by_lot=1.0, anew=2.0, exact=1.0, small=1.0, stored=1.5):
    """Distances that go as these powers of the rate, in the mean of three seeds; by lot `exact` times the formula's at
    one rate, anew `small` times theory's; in the order as stored it is so much larger at one rate."""
    one = lambda index, value: np.where(np.arange(len(RATES)) == index, value, 1.0)
    powers = np.array([anew, 2.0, by_lot, 2.0, 2.0])
    distance = 3.0 * RATES ** powers[:, None]
    distance[AS_STORED] *= one(5, stored)
    distance[SORTED] *= 2 if anew == 2 else 10
    apart = 1 + np.outer(SAME_MEAN, 0.1 + 0.2 * (np.arange(len(RATES)) == 3))
    theory = np.array([[0.3], [0.7]]) * distance[ANEW] / small
    return Result(distance[:, None] * apart, distance[BY_LOT] / one(6, exact), theory, np.ones((2, len(RATES))))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"by_lot": 1.19}, []), ({"by_lot": 1.21}, [0]), ({"by_lot": 0.81}, []), ({"by_lot": 0.79}, [0]),
     ({"anew": 2.19}, []), ({"anew": 2.21}, [1]), ({"anew": 1.81}, []), ({"anew": 1.79}, [1]), ({"exact": 1.047}, []),
     ({"exact": 1.053}, [2]), ({"exact": 0.947}, [2]), ({"small": 1.095}, []), ({"small": 1.105}, [3]),
     ({"small": 0.895}, [3]), ({"stored": 1.9}, []), ({"stored": 2.1}, [4])],
)  # fmt: skip
def test_the_claims_hold_where_theory_does_and_fail_elsewhere(changes, failing):
    found = list(convex_shuffling.claims(made_up(**changes), QUICK))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_mean_seed():
    said = convex_shuffling.finding(made_up(by_lot=1.1), QUICK)
    times = f"{round(RATES[0] ** -0.9, -2):,.0f} times as large"
    assert f"at the rate 0.00025 the squared distance to the optimum is {times}" in said
    assert "Up to the rate 0.002 it goes as the rate to the power 1.10 drawn by lot, 2.00 shuffled anew." in said


def test_images_that_do_not_differ_are_refused():
    same = Examples(jnp.ones((30, 9)), jnp.asarray(np.eye(30, 3)))
    with pytest.raises(SettingsError, match="fewer than 6 directions"):
        convex_shuffling.make_quadratic(same)
